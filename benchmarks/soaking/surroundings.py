"""What a station's clock and disks are made of, so that they can fail: a preloaded clock, small tmpfs mounts."""

import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

SOURCE = Path(__file__).parent / "stepping_clock.c"
EVIDENCE_BYTES, JOURNAL_BYTES = 512 << 20, 64 << 20


class WallClock:
    """The wall clock that one process sees, off by whole seconds; steps while it runs."""

    def __init__(self, folder: Path) -> None:
        """Build the library.

        Raises:
            OSError, subprocess.CalledProcessError: there is no C compiler.
        """
        self._library, self._file = folder / "stepping_clock.so", folder / "clock_offset"
        flags = ["-shared", "-fPIC", "-O2", "-Wall", "-Werror"]
        subprocess.run(["gcc", *flags, "-o", str(self._library), str(SOURCE)], check=True, capture_output=True)
        self._file.write_bytes(struct.pack("=q", 0))
        self.offset_s = 0

    @property
    def environment(self) -> dict[str, str]:
        """For the process that shall see it."""
        return {"LD_PRELOAD": str(self._library), "CLOCK_OFFSET_FILE": str(self._file)}

    def step(self, offset_s: int) -> None:
        """Be off by so much from now on."""
        with self._file.open("r+b", buffering=0) as file:  # in place: the process has it mapped
            file.write(struct.pack("=q", offset_s))
        self.offset_s = offset_s


class Disk:
    """A folder of its own small file system, or a plain one that cannot be filled."""

    def __init__(self, folder: Path, *, small: bool) -> None:
        self.folder, self.small = folder, small
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Something else takes all the space that is left."""
        with self._ballast.open("ab") as file:
            while free_bytes := _free_bytes(self.folder):
                with suppress(OSError):  # the station was quicker, so there is less
                    os.posix_fallocate(file.fileno(), file.tell(), free_bytes)
                file.seek(0, os.SEEK_END)

    def empty(self) -> None:
        """The space is there again."""
        self._ballast.unlink(missing_ok=True)


def _free_bytes(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Disk]:
    """A tmpfs on the folder, where one can be mounted (by root, and not in every container)."""
    folder.mkdir(parents=True)
    with ExitStack() as mounted:
        small = False
        with suppress(OSError, subprocess.CalledProcessError):
            mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
            subprocess.run(mount, check=True, capture_output=True, timeout=20)
            mounted.callback(subprocess.run, ["umount", "-l", str(folder)], check=True, timeout=20)
            small = True
        yield Disk(folder, small=small)
