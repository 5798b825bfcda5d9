"""Who holds the machine's capture devices: as the kernel says of ALSA, and of open files where we may look."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

ASOUND, SND = Path("/proc/asound"), re.compile(r"/dev/snd/pcmC\d+D\d+c")


def holders() -> str:
    """Programs with a capture device open, as one phrase; empty: none can be seen."""
    found = {pid: name for pid in (*_owners(), *_openers()) if (name := _name_of(pid))}
    return ", ".join(f"{name} (process {pid})" for pid, name in sorted(found.items()))


def _owners() -> Iterator[int]:
    """Who has started a capture, for everyone to read."""
    for status in ASOUND.glob("card*/pcm*c/sub*/status"):
        with suppress(OSError):
            if match := re.search(r"owner_pid\s*:\s*(\d+)", status.read_text()):
                yield int(match[1])


def _openers() -> Iterator[int]:
    """Who has one open; of other users' processes we are not told."""
    for process in psutil.process_iter():
        with suppress(OSError):
            files = Path(f"/proc/{process.pid}/fd").iterdir()
            if any(SND.fullmatch(str(file.readlink())) for file in files):
                yield process.pid


def _name_of(pid: int) -> str:
    with suppress(psutil.Error):
        return str(psutil.Process(pid).name())
    return ""
