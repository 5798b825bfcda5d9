"""Whether this user may use the machine's capture devices: without the right, a sound library shows none at all."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from seacanary.doctor.findings import Finding, broken, ok
from seacanary.doctor.subject import Subject
from seacanary.sources.alsa import AlsaSection
from seacanary.sources.soundcard import SoundcardSection

DEVICES = Path("/dev/snd")


def _usable(node: Path) -> bool:
    return os.access(node, os.R_OK | os.W_OK)


def permissions(
    subject: Subject, *, devices: Path = DEVICES, usable: Callable[[Path], bool] = _usable
) -> Iterator[Finding]:
    """The device files of all capture devices, if the configuration has a source that needs one.

    Args:
        subject: with its configuration.
        devices: folder of the device files.
        usable: whether this user may open one.
    """
    if not any(isinstance(section, SoundcardSection | AlsaSection) for section in subject.sources):
        return
    nodes = sorted(devices.glob("pcm*c"))
    denied = [node for node in nodes if not usable(node)]
    if denied:
        yield broken(
            "sound devices",
            f"user {os.geteuid()} may not use {', '.join(map(str, denied))}",
            means="they look as if they were not there: PortAudio and ALSA do not show what may not be opened",
            remedy="usermod -aG audio USER and log in again; in a container give it the group that owns /dev/snd "
            "(securityContext.supplementalGroups, --group-add audio)",
        )
    elif nodes:
        yield ok("sound devices", f"user {os.geteuid()} may use {len(nodes)} capture devices in {devices}")
