"""What a station's disks are made of, so that they can be full: small tmpfs mounts."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

EVIDENCE_BYTES, JOURNAL_BYTES = 512 << 20, 64 << 20


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
