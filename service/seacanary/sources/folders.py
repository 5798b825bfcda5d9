"""Sound files in a folder: those already there, and those that arrive while we watch."""

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from watchfiles import awatch

from seacanary.errors import SourceLost

SOUND_SUFFIXES = frozenset(
    {".wav", ".wave", ".bwf", ".rf64", ".bw64", ".w64", ".aif", ".aiff", ".aifc", ".flac"}
    | {".ogg", ".oga", ".opus", ".mp3", ".au", ".snd", ".caf", ".sph"}
)
# How much longer than a sound file one waits that looks unfinished: cut off, or still copied slowly.
_PATIENCE = 10


def sound_files(folder: Path, *, recursive: bool) -> list[Path]:
    """Sound files by suffix, sorted by path; hidden ones and links to folders are passed over.

    Raises:
        SourceLost: the folder is not there (now), or may not be listed.
    """
    try:
        if not recursive:
            return sorted(path for path in folder.iterdir() if _is_sound(path) and not path.is_dir())
        return sorted(
            Path(where) / name
            for where, _, names in os.walk(folder, onerror=_raise)
            for name in names
            if _is_sound(Path(name))
        )
    except OSError as exc:
        raise SourceLost(f"{folder}: cannot be listed: {exc.strerror}; expected a readable folder") from exc


def is_folder(path: Path) -> bool:
    """Whether this is a folder; what cannot even be asked is none."""
    try:
        return path.is_dir()
    except OSError:  # not permitted, or a name too long
        return False


def _raise(exc: OSError) -> None:
    raise exc


def _is_sound(path: Path) -> bool:
    return path.suffix.lower() in SOUND_SUFFIXES and not path.name.startswith(".")


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file as last seen, and since when it has been like that."""

    size: int
    modified_ns: int
    since_s: float


class Arrivals:
    """Decide which files of a growing folder are complete; each is given out once."""

    def __init__(self, settle_s: float, looks_whole: Callable[[Path], bool]) -> None:
        self._settle_s = settle_s
        self._looks_whole = looks_whole
        self._waiting: dict[Path, _Seen] = {}
        self._taken: set[Path] = set()

    def complete(self, present: list[Path], now_s: float) -> list[Path]:
        """Files of this listing that are new and complete.

        A file is complete when its size and time have stood still for settle_s
        and it looks whole; one that does not is taken after ten times that, as
        the damaged file it then is.

        Args:
            present: the folder's files now.
            now_s: monotonic time of the listing.
        """
        self._taken &= set(present)
        self._waiting = {path: seen for path, seen in self._waiting.items() if path in set(present)}
        ready = [path for path in present if path not in self._taken and self._is_ready(path, now_s)]
        for path in ready:
            self._taken.add(path)
            self._waiting.pop(path)
        return ready

    def _is_ready(self, path: Path, now_s: float) -> bool:
        try:
            facts = path.stat()
        except OSError:
            return False  # gone again, or not ours to see yet
        seen = self._waiting.get(path)
        if seen is None or (seen.size, seen.modified_ns) != (facts.st_size, facts.st_mtime_ns):
            self._waiting[path] = _Seen(facts.st_size, facts.st_mtime_ns, now_s)
            return False
        still_s = now_s - seen.since_s
        if still_s < self._settle_s:
            return False
        return still_s >= _PATIENCE * self._settle_s or self._looks_whole(path)


async def watch_folder(folder: Path, *, every_s: float, recursive: bool) -> AsyncIterator[None]:
    """Wake up at once, at every change in the folder, and at least every `every_s`.

    Raises:
        SourceLost: the folder cannot be watched (now).
    """
    yield
    try:
        wake = awatch(
            folder,
            watch_filter=None,
            rust_timeout=max(1, round(every_s * 1000)),
            debounce=max(1, round(every_s * 1000)),
            yield_on_timeout=True,
            recursive=recursive,
        )
        async for _ in wake:
            yield
    except (FileNotFoundError, OSError) as exc:
        raise SourceLost(f"{folder}: cannot be watched: {exc}; expected a readable folder") from exc
