"""Sources: whether each can be opened, is somebody else's, delivers, and at which rate it really does."""

from collections.abc import Iterator
from functools import partial

from seacanary.config import SourceSection
from seacanary.doctor.apart import START_S, Died, apart
from seacanary.doctor.findings import Finding, broken, ok, unknown, warning
from seacanary.doctor.holders import holders
from seacanary.doctor.listening import LISTEN_S, Attempt, Heard, listen
from seacanary.doctor.subject import Subject
from seacanary.errors import SourceError
from seacanary.sources.alsa import AlsaSection
from seacanary.sources.files import FilesSection
from seacanary.sources.folders import is_folder, sound_files
from seacanary.sources.network import TcpSection
from seacanary.sources.soundcard import SoundcardSection

OPENING_S = 10.0
LISTEN_LIMIT_S = OPENING_S + LISTEN_S + 10
LIMIT_S = START_S + LISTEN_LIMIT_S + 5
# Crystals are within 0.02 %; the fit over some seconds is within 0.5 %.
WRONG_RATE = 0.01
DRIFT_PPM = 500.0
CLIPPED = 0.999
BUSY_WORDS = ("busy", "device unavailable")
DENIED_WORDS = ("permission denied", "operation not permitted")


def source(subject: Subject, place: int) -> Iterator[Finding]:
    """One source of the configuration.

    Args:
        subject: with its configuration.
        place: of the source there, from 0.
    """
    section = subject.sources[place]
    feed = f"{place}-{section.kind}"
    name = f"source {feed}"
    if isinstance(section, FilesSection):
        yield from recordings(name, section)
    elif subject.running:
        yield from _in_use(name, feed, section, subject)
    elif subject.running.may_run:
        yield _left_alone(name)
    else:
        yield from _tried(name, section)


def _left_alone(name: str) -> Finding:
    return unknown(
        name,
        "not tried: it cannot be told whether a running station has it",
        means="nothing is known of it; to open it might take it from that station",
        remedy="see the finding of the station above for why, and how to have it tried",
    )


def _in_use(name: str, feed: str, section: SourceSection, subject: Subject) -> Iterator[Finding]:
    """The running process has it, which is as it should be: ask that one."""
    told = subject.running.detail("sources").get(feed)
    if told is None:
        yield ok(name, "in use by the running process, which does not say more; not tried")
        return
    if told["state"] == "opening":
        yield _being_opened(name, section)
        return
    if told["state"] not in ("running", "ended"):
        yield _lost(name, section, told.get("reason") or f"it is {told['state']}")
        return
    yield ok(name, "in use by the running process, as it should be, and delivering")
    for hydrophone in section.hydrophone_names:
        stream = subject.running.detail("streams").get(hydrophone) or {}
        drift_ppm = stream.get("drift_ppm")
        if drift_ppm is not None and abs(drift_ppm) > DRIFT_PPM:
            yield _wrong_rate(
                name, hydrophone, stream["sample_rate_hz"], stream["sample_rate_hz"] * (1 + drift_ppm * 1e-6)
            )


def _being_opened(name: str, section: SourceSection) -> Finding:
    """By the running process: what comes of it is not known yet, and a sender may call late, or never."""
    if isinstance(section, TcpSection) and section.mode == "listen":
        return _silent(name, section, "the running process waits for it")
    return warning(
        name,
        "it is being opened by the running process",
        means="nothing is heard of it yet; this takes seconds",
        remedy="look again in a moment; if it does not come, its finding then says why, and so does the process's log",
    )


def _tried(name: str, section: SourceSection) -> Iterator[Finding]:
    try:
        attempt = apart(partial(listen, section, opening_s=OPENING_S), limit_s=LISTEN_LIMIT_S)
    except TimeoutError:
        yield hanging(name)
        return
    except Died as exc:
        yield aborted(name, exc)
        return
    yield from judged(name, section, attempt)


def judged(name: str, section: SourceSection, attempt: Attempt) -> Iterator[Finding]:
    """What an attempt to listen means."""
    if attempt.trouble is not None:
        yield _troubled(name, section, attempt)
    for hydrophone, heard in attempt.heard.items():
        yield from _heard(name, hydrophone, heard)
    missing = [name for name in section.hydrophone_names if name not in attempt.heard]
    if attempt.heard and missing:
        yield broken(
            name,
            f"nothing came of {', '.join(missing)}",
            means="these hydrophones are not heard",
            remedy="compare the names under `hydrophones` with the channels of the device",
        )


def _troubled(name: str, section: SourceSection, attempt: Attempt) -> Finding:
    trouble = attempt.trouble or ""
    if attempt.kind == "unusable":
        return broken(
            name,
            trouble,
            means="it can never work as configured; the other sources go on without it",
            remedy="set device, sample_rate_hz, channels (hydrophones) and format to what `seacanary devices` shows",
        )
    if attempt.kind == "silent":
        return _silent(name, section, trouble)
    return _lost(name, section, trouble)


def _lost(name: str, section: SourceSection, trouble: str) -> Finding:
    said = trouble.lower()
    if any(word in said for word in BUSY_WORDS):
        who = holders()
        return broken(
            name,
            f"{trouble}; {who or 'who has it cannot be seen'}",
            means="another program has the device: a sound server, a recorder, or a second station",
            remedy="stop that program, or keep it from this device (`fuser -v /dev/snd/*` as root names it)",
        )
    if any(word in said for word in DENIED_WORDS):
        return broken(
            name,
            trouble,
            means="this user may not use it",
            remedy="add the station's user to the group audio (usermod -aG audio USER), and log in again",
        )
    if isinstance(section, SoundcardSection | AlsaSection):
        return broken(
            name,
            trouble,
            means="the device is not there: unplugged, without power, or called otherwise",
            remedy="plug it in and see `seacanary devices`; take its name from there; hand /dev/snd to containers",
        )
    return broken(
        name,
        trouble,
        means="its sender cannot be reached; the station tries on, and this hydrophone is unobserved meanwhile",
        remedy="see whether the sender runs and whether host, port, cable and firewall let it through",
    )


def _silent(name: str, section: SourceSection, trouble: str) -> Finding:
    if isinstance(section, TcpSection) and section.mode == "listen":
        return warning(
            name,
            f"no sender has called: {trouble}",
            means="nothing is heard until one does",
            remedy=f"see whether the sender runs, and whether it knows this machine's address and port {section.port}",
        )
    return broken(
        name,
        f"open, but {trouble}",
        means="nothing is heard",
        remedy="see whether the sender or the device is switched on, and sends to this address and port",
    )


def _heard(name: str, hydrophone: str, heard: Heard) -> Iterator[Finding]:
    true_hz = heard.true_rate_hz
    if true_hz is not None and abs(true_hz / heard.sample_rate_hz - 1) > WRONG_RATE:
        yield _wrong_rate(name, hydrophone, heard.sample_rate_hz, true_hz)
    if heard.peak == 0:
        yield warning(
            name,
            f"{hydrophone} delivers zeros alone",
            means="the device runs, and its input is muted or not connected",
            remedy="see the cable, the preamplifier's power, and the capture switch (alsamixer, F4)",
        )
    elif heard.peak >= CLIPPED:
        yield warning(
            name,
            f"{hydrophone} reached full scale within {LISTEN_S:g} s",
            means="clipped audio hides calls and makes false ones",
            remedy="lower the gain of the preamplifier or the capture level",
        )
    if heard.lost:
        yield warning(
            name,
            f"{hydrophone} lost {heard.lost:,} samples within {LISTEN_S:g} s",
            means="the driver or the network does not keep up",
            remedy="a longer buffer_s or latency_s; see what else keeps the machine or the network busy",
        )
    rate = f"{true_hz:,.0f} samples/s by this clock" if true_hz else "too short to measure the true rate"
    yield ok(name, f"{hydrophone}: {heard.sample_rate_hz:,} Hz ({rate}), peak {heard.peak:.4f} of full scale")


def _wrong_rate(name: str, hydrophone: str, nominal_hz: int, true_hz: float) -> Finding:
    return broken(
        name,
        f"{hydrophone} is configured for {nominal_hz:,} Hz and really delivers {true_hz:,.0f} samples/s",
        means="every frequency and every time is wrong by that factor: clicks are taken for others or missed",
        remedy=f"set sample_rate_hz to what the device or sender really has (near {true_hz:,.0f})",
    )


def hanging(name: str) -> Finding:
    """Opening it did not come back."""
    return broken(
        name,
        f"its driver has not answered within {LISTEN_LIMIT_S:g} s",
        means="the driver hangs; a station would wait for it too",
        remedy="unplug the device and plug it in again; see the system's log (dmesg)",
    )


def aborted(name: str, exc: Died) -> Finding:
    """Opening it ended the process."""
    return broken(
        name,
        f"opening it fails badly: {exc}",
        means="its driver or sound library ends the process that opens it; a station would die the same way",
        remedy="see ALSA's configuration (/etc/asound.conf, ~/.asoundrc, ALSA_CONFIG_PATH), and dmesg",
    )


def recordings(name: str, section: FilesSection) -> Iterator[Finding]:
    """A file or a folder of recordings; nothing is played."""
    path = section.path
    if not path.exists():
        yield broken(
            name,
            f"{path} is not there",
            means="nothing can be read from it",
            remedy="mount its disk or make the folder; correct `path`",
        )
        return
    try:
        count = len(sound_files(path, recursive=section.recursive)) if is_folder(path) else 1
        if not is_folder(path):
            path.open("rb").close()
    except (SourceError, OSError) as exc:
        yield broken(
            name,
            str(exc),
            means="it cannot be read by this user",
            remedy=f"give the station's user the right to read it (chmod, chown of {path})",
        )
        return
    if count == 0 and not section.watch:
        yield warning(
            name,
            f"no sound file lies in {path}",
            means="there is nothing to analyse, and nothing is waited for",
            remedy="put files there, set recursive: true for sub-folders, or watch: true to wait for them",
        )
    else:
        yield ok(name, f"{count} sound file{'s' * (count != 1)} at {path}" + (", more are waited for" * section.watch))
