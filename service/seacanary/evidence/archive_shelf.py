"""What the archive holds on the disk, and what of it goes when it is too old or too much."""

import os
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Archived:
    """A finished file: when its audio begins, and its size."""

    start: datetime
    path: Path
    size_bytes: int


class ArchiveShelf:
    """Finished files, oldest first. Blocks: call it from the thread that writes the archive."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = deque[Archived]()
        self.size_bytes = 0

    def take_stock(self) -> None:
        """Find what an earlier process left; what it was still writing when it was killed cannot be read, and goes.

        Raises:
            OSError: the folder cannot be read.
        """
        for part in self._folder.glob("*/*/.*.flac.part"):
            part.unlink(missing_ok=True)
        found = [archived for path in self._folder.glob("*/*/[0-9]*.flac") if (archived := _archived(path))]
        self._files = deque(sorted(found, key=lambda archived: (archived.start, archived.path)))
        self.size_bytes = sum(archived.size_bytes for archived in found)

    def add(self, path: Path, start: datetime, size_bytes: int) -> None:
        """A file is finished; files come in order of time, or nearly."""
        self._files.append(Archived(start, path, size_bytes))
        self.size_bytes += size_bytes

    def prune(self, *, now: datetime, max_age_days: float | None, max_bytes: int | None, min_free_bytes: int) -> None:
        """Delete the oldest files until all limits are kept, or none is left.

        Raises:
            OSError: the disk refuses.
        """
        oldest = None if max_age_days is None else now - timedelta(days=max_age_days)
        while self._files and (
            (oldest is not None and self._files[0].start < oldest)
            or (max_bytes is not None and self.size_bytes > max_bytes)
            or self.free_bytes() < min_free_bytes
        ):
            gone = self._files[0]
            gone.path.unlink(missing_ok=True)
            self._files.popleft()
            self.size_bytes -= gone.size_bytes
            with suppress(OSError):  # not empty: other files of the day
                gone.path.parent.rmdir()

    def free_bytes(self) -> int:
        """What an ordinary user may still write.

        Raises:
            OSError: the folder is not there.
        """
        status = os.statvfs(self._folder)
        return status.f_bavail * status.f_frsize


def _archived(path: Path) -> Archived | None:
    try:
        start = datetime.strptime(path.name.partition("_")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return Archived(start, path, path.stat().st_size)
    except (ValueError, FileNotFoundError):
        return None
