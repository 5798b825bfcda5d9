"""Restoring: a verified backup put in its place, and nothing deleted that was there."""

import os
import shutil
import sqlite3
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import IO

from seacanary.backup.manifest import (
    CONFIG,
    EFFORT,
    EVIDENCE,
    JOURNAL,
    SECRET,
    Advance,
    BackupError,
    Manifest,
    Places,
)
from seacanary.backup.taking_back import TakenBack, take_back
from seacanary.backup.tape import CHUNK_BYTES, OWNER_ONLY, wound
from seacanary.config import Configuration, StationConfig
from seacanary.errors import JournalError
from seacanary.evidence.files import write_whole
from seacanary.journal_schema import JOURNAL as JOURNAL_KIND
from seacanary.journal_schema import locked, translated

SIDE_FILES = ("-wal", "-shm")


@dataclass(slots=True)
class Restored:
    """What came of it.

    Attributes:
        manifest: of the backup.
        journal: where it is now; None: the backup has none.
        moved_aside: the journal that was there before, now of another name.
        secret_kept: whether another key of review links was there, and stays.
        effort_beside: months of effort that were there already, otherwise; the backup's lie beside them.
        clips: files of evidence written.
        clips_kept: files of evidence that were there already, the same.
        clips_differ: that were there already, and are not the same; they stay as they are.
        clips_absent: files of evidence of that time that are neither there nor in the backup.
        taken_back: by publisher, what it held beyond the backup.
    """

    manifest: Manifest
    journal: Path | None = None
    moved_aside: Path | None = None
    secret_kept: bool = False
    effort_beside: list[Path] = field(default_factory=list)
    clips: int = 0
    clips_kept: int = 0
    clips_differ: list[str] = field(default_factory=list)
    clips_absent: int = 0
    taken_back: list[TakenBack] = field(default_factory=list)


def configuration_in(backup: Path) -> bytes:
    """The YAML file in a backup, its first file.

    Raises:
        BackupError: there is none.
    """
    with wound(backup) as files:
        for name, content in files:
            if name == CONFIG:
                return content.read()
    raise BackupError(f"{backup}: there is no {CONFIG} in it")


def restore(
    backup: Path,
    manifest: Manifest,
    places: Places,
    *,
    config: Configuration | None,
    force: bool,
    advance: Advance,
) -> Restored:
    """Put journal, key and evidence in their places.

    Args:
        backup: verified.
        manifest: what it says of itself.
        places: where things belong.
        config: whose Redis is asked for events since then; None: nobody is.
        force: move a journal that is there out of the way.
        advance: told how it goes.

    Raises:
        BackupError: there is something already, or it cannot be written.
        JournalError: a process holds the journal, or the backup's is of a newer version.
    """
    restored = Restored(manifest)
    with ExitStack() as held:
        if places.journal is not None:
            held.callback(locked(places.journal).close)
        _refuse_existing(places, manifest, force=force)
        try:
            _Placing(places, restored, config, advance).place_all(backup)
        except OSError as exc:
            raise BackupError(f"{backup}: cannot be restored: {exc}") from exc
    return restored


class _Placing:
    """One backup on its way to its places."""

    def __init__(self, places: Places, restored: Restored, config: Configuration | None, advance: Advance) -> None:
        self._places, self._restored, self._config, self._advance = places, restored, config, advance
        self._told = {file.path: file.sha256 for file in restored.manifest.evidence}

    def place_all(self, backup: Path) -> None:
        """Go through the tape, then look for what it only lists."""
        total = sum(file.size_bytes for file in self._restored.manifest.files)
        done = 0
        with wound(backup) as files:
            sizes = {file.path: file.size_bytes for file in self._restored.manifest.files}
            for name, content in files:
                self._place(name, content)
                done += sizes.get(name, 0)
                self._advance("restoring", done, total)
        if self._places.evidence is not None:
            folder = self._places.evidence
            listed = self._restored.manifest.evidence
            self._restored.clips_absent = sum(not (folder / file.path).exists() for file in listed)

    def _place(self, name: str, content: IO[bytes]) -> None:
        if name == JOURNAL and self._places.journal is not None:
            self._place_journal(content, self._places.journal)
        elif name == SECRET and self._places.secret is not None:
            self._place_secret(content.read(), self._places.secret)
        elif name.startswith(EFFORT) and self._places.effort is not None:
            self._place_effort(content.read(), self._places.effort / name.removeprefix(EFFORT))
        elif name.startswith(EVIDENCE) and self._places.evidence is not None:
            self._place_clip(content, self._places.evidence, name.removeprefix(EVIDENCE))

    def _place_journal(self, content: IO[bytes], path: Path) -> None:
        """Only a whole journal, brought up to date, takes the name."""
        draft = path.with_name(f".{path.name}.restored")
        for old in _with_sides(draft):
            old.unlink(missing_ok=True)
        _write(draft, content)
        _require_whole(draft)
        if isinstance(self._config, StationConfig):
            self._restored.taken_back = take_back(draft, self._config)
        for side in (*_with_sides(draft)[1:], draft.with_name(draft.name + ".lock")):
            side.unlink(missing_ok=True)
        self._restored.moved_aside = _move_aside(path)
        draft.replace(path)
        _sync_folder(path.parent)
        self._restored.journal = path

    def _place_secret(self, secret: bytes, path: Path) -> None:
        if path.exists():
            self._restored.secret_kept = path.read_bytes() != secret
            return
        draft = path.with_name(f".{path.name}.restored")
        draft.touch(OWNER_ONLY)
        draft.write_bytes(secret)
        draft.replace(path)

    def _place_effort(self, content: bytes, path: Path) -> None:
        """A month that is there has hours that the backup has not: it stays, and the backup's is laid beside it."""
        beside, number = path, 0
        while beside.exists() and beside.read_bytes() != content:
            number += 1
            beside = path.with_name(f"{path.name}.from-backup-{number}")
        if beside != path:
            self._restored.effort_beside.append(beside)
        write_whole(beside, content)

    def _place_clip(self, content: IO[bytes], folder: Path, name: str) -> None:
        path = folder / name
        if path.exists():
            if _hash_of(path) == self._told[name]:
                self._restored.clips_kept += 1
            else:
                self._restored.clips_differ.append(name)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.part")
        _write(draft, content)
        draft.replace(path)
        self._restored.clips += 1


def _refuse_existing(places: Places, manifest: Manifest, *, force: bool) -> None:
    journal = places.journal
    if journal is None or manifest.journal is None or force:
        return
    if any(file.exists() for file in _with_sides(journal)):
        raise BackupError(
            f"{journal}: a journal is there already. With --force it is moved aside, not deleted; its events of after "
            f"{manifest.made:%Y-%m-%d %H:%M:%S} UTC are then not in the restored one"
        )


def _require_whole(path: Path) -> None:
    with translated(path), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        JOURNAL_KIND.check(connection, path)
        (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise JournalError(f"{path}: the journal in the backup is damaged ({verdict})")


def _move_aside(path: Path) -> Path | None:
    """Rename a journal with what belongs to it; None if there is nothing.

    A log whose journal is gone would be played into the one that takes its place.
    """
    if not any(file.exists() for file in _with_sides(path)):
        return None
    aside = path.with_name(f"{path.name}.before-restore-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    while any(file.exists() for file in _with_sides(aside)):
        aside = aside.with_name(aside.name + "+")
    for file, moved in zip(_with_sides(path), _with_sides(aside), strict=True):
        if file.exists():
            file.rename(moved)
    return aside


def _with_sides(path: Path) -> list[Path]:
    """A journal's file and those that SQLite keeps beside it."""
    return [path, *(path.with_name(path.name + suffix) for suffix in SIDE_FILES)]


def _write(path: Path, content: IO[bytes]) -> None:
    """Write a file, and have it on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        shutil.copyfileobj(content, file, CHUNK_BYTES)
        file.flush()
        os.fsync(file.fileno())


def _hash_of(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
