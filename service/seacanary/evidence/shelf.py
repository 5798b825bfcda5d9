"""The evidence folder: which events' files are there, told by their names alone, so a damaged file hides nothing."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from seacanary.evidence.names import AUDIO, FACTS, PARTS, stem_in
from seacanary.evidence.retention import Kept

# Beside a clip: what a copy of it was verified against. No part of the evidence itself.
COPIED = ".copied"
# A folder changed so lately may change again within the same tick of its time stamp.
SETTLED_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class ShelvedFile:
    """A file of an event's evidence: its ending, its size, and when it was written, ns since 1970."""

    ending: str
    size_bytes: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Shelved:
    """One event's evidence as it lies on the disk.

    Attributes:
        stem: relative path without ending.
        files: its parts, by ending.
        copied_ns: the time stamp of its copy marker, ns since 1970; None if there is none.
    """

    stem: str
    files: tuple[ShelvedFile, ...]
    copied_ns: int | None

    @property
    def modified_ns(self) -> int:
        """When the latest of its files was written, ns since 1970."""
        return max((file.modified_ns for file in self.files), default=0)

    @property
    def is_copied(self) -> bool:
        """Whether all of it, as it is now, has a verified copy."""
        return self.copied_ns is not None and self.copied_ns >= self.modified_ns

    @property
    def is_finished(self) -> bool:
        """Whether its facts are there: they are written after the audio."""
        return self.has(FACTS)

    def has(self, ending: str) -> bool:
        """Whether that part is there."""
        return any(file.ending == ending for file in self.files)

    def kept(self) -> Kept | None:
        """As retention sees it; None if the name tells no time."""
        name = self.stem.rpartition("/")[2]
        try:
            onset = datetime.strptime(name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            return None
        species = name[17:].rsplit("_", 2)[0]
        size_bytes = sum(file.size_bytes for file in self.files)
        return Kept(self.stem, species, onset, size_bytes, self.is_copied)


class Shelf:
    """Lists and deletes evidence. Blocks: call it from a thread that may wait for the disk; one at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._listed: dict[str, tuple[int, list[Shelved]]] = {}

    def contents(self) -> list[Shelved]:
        """All evidence; folders that have not changed are not read again.

        Raises:
            OSError: the folder cannot be read.
        """
        days = {f"{hydrophone}/{day}" for hydrophone in _folders(self.folder) for day in _folders_of(self, hydrophone)}
        for gone in self._listed.keys() - days:
            del self._listed[gone]
        return [shelved for day in sorted(days) for shelved in self._day(day)]

    def delete(self, stem: str) -> None:
        """Delete all files of an event, the copy marker last, and its day's folder if nothing else is in it.

        Raises:
            OSError: the disk refuses.
        """
        for ending in (*PARTS, COPIED):
            (self.folder / (stem + ending)).unlink(missing_ok=True)
        with suppress(OSError):  # not empty: other events of the day
            (self.folder / stem).parent.rmdir()

    def _day(self, day: str) -> list[Shelved]:
        try:
            modified_ns = (self.folder / day).stat().st_mtime_ns
            known_ns, listed = self._listed.get(day, (0, []))
            if known_ns != modified_ns:
                listed = _listing(self.folder, day)
                settled = time.time_ns() - modified_ns > SETTLED_NS
                self._listed[day] = (modified_ns if settled else 0, listed)
        except FileNotFoundError:
            return []
        return listed


def _folders(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        yield from (e.name for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith("."))


def _folders_of(shelf: Shelf, hydrophone: str) -> list[str]:
    try:
        return list(_folders(shelf.folder / hydrophone))
    except FileNotFoundError:
        return []


def _listing(folder: Path, day: str) -> list[Shelved]:
    files: dict[str, list[ShelvedFile]] = {}
    copied: dict[str, int] = {}
    with os.scandir(folder / day) as entries:
        for entry in entries:
            path = f"{day}/{entry.name}"
            # The marker's stem is told by the audio's pattern.
            stem = stem_in(path.removesuffix(COPIED) + AUDIO if path.endswith(COPIED) else path)
            if stem is None:
                continue
            with suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                if path.endswith(COPIED):
                    copied[stem] = status.st_mtime_ns
                else:
                    files.setdefault(stem, []).append(
                        ShelvedFile(path.removeprefix(stem), status.st_size, status.st_mtime_ns)
                    )
    return [Shelved(stem, tuple(files.get(stem, ())), copied.get(stem)) for stem in sorted(files.keys() | copied)]
