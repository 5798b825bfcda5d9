"""The place of a folder: on the disk where it was at first, or nowhere."""

import os
from pathlib import Path


class Place:
    """Tells a folder that was deleted, and can be made again, from a disk that is not mounted any more."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._device: int | None = None
        self._is_mount = False

    def make_sure(self) -> None:
        """Have the folder there, on the disk where it was at first.

        Raises:
            OSError: it cannot be made, or its disk is gone; writing would fill another.
        """
        folder = self._folder
        if self._device is None:
            folder.mkdir(parents=True, exist_ok=True)
            self._device, self._is_mount = folder.stat().st_dev, folder.is_mount()
        elif not folder.exists():
            if _nearest_device(folder) != self._device:
                raise FileNotFoundError(None, "its disk is not there any more: mount it again")
            folder.mkdir(parents=True, exist_ok=True)
        elif self._is_mount and not folder.is_mount():
            raise FileNotFoundError(None, "no disk is mounted there any more: mount it again")

    def free_bytes(self) -> int:
        """What an ordinary user may still write.

        Raises:
            OSError: the folder is not there.
        """
        status = os.statvfs(self._folder)
        return status.f_bavail * status.f_frsize

    def disk_bytes(self) -> int:
        """How large the disk is.

        Raises:
            OSError: the folder is not there.
        """
        status = os.statvfs(self._folder)
        return status.f_blocks * status.f_frsize


def _nearest_device(folder: Path) -> int:
    return next(parent.stat().st_dev for parent in folder.absolute().parents if parent.exists())
