"""Verifying: every byte of a backup read, and held against what the backup says of itself."""

from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict, ValidationError

from seacanary import __version__
from seacanary.backup.manifest import (
    CONFIG,
    EFFORT,
    EVIDENCE,
    JOURNAL,
    MANIFEST,
    SECRET,
    VERSION,
    Advance,
    BackedFile,
    BackupError,
    Manifest,
)
from seacanary.backup.tape import CHUNK_BYTES, HashingReader, require_known_ending, wound
from seacanary.effort import is_month
from seacanary.evidence.names import stem_in


class _Versioned(BaseModel):
    """What the manifest of any version has."""

    model_config = ConfigDict(frozen=True)

    version: int
    program: str


def verified(path: Path, advance: Advance) -> Manifest:
    """Read a backup from end to end.

    Returns:
        What it says of itself, which is true.

    Raises:
        BackupError: it is none, damaged, incomplete, or of a newer version.
    """
    require_known_ending(path)
    size, read = _size_of(path), 0

    def on_bytes(count: int) -> None:
        nonlocal read
        read += count
        advance("verifying", read, size)

    found: list[BackedFile] = []
    manifest: Manifest | None = None
    with wound(path, on_bytes) as files:
        for name, content in files:
            if manifest is not None:
                raise BackupError(f"{path}: {name} follows the manifest; this is not a seacanary backup")
            if name == MANIFEST:
                manifest = _manifest(content.read(), path)
            else:
                found.append(_hashed(name, content, path))
    if manifest is None:
        raise BackupError(f"{path}: there is no {MANIFEST} at its end: it is incomplete, or not a seacanary backup")
    if tuple(found) != manifest.files:
        raise BackupError(f"{path}: damaged: {_difference(found, manifest)} differs from what the manifest says")
    return manifest


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as exc:
        raise BackupError(f"{path}: cannot be read: {exc.strerror}") from exc


def _manifest(text: bytes, path: Path) -> Manifest:
    try:
        told = _Versioned.model_validate_json(text)
        if told.version > VERSION:
            raise BackupError(
                f"{path}: backup of version {told.version}, made by seacanary {told.program}, but this seacanary "
                f"({__version__}) knows up to {VERSION}: install seacanary {told.program} or newer"
            )
        return Manifest.model_validate_json(text)
    except ValidationError as exc:
        raise BackupError(f"{path}: {MANIFEST} cannot be read: {exc.errors()[0]['msg']}") from exc


def _hashed(name: str, content: IO[bytes], path: Path) -> BackedFile:
    """Read a file of the backup; none may lead anywhere else than where such files belong."""
    ours = name in (CONFIG, JOURNAL, SECRET) or (name.startswith(EFFORT) and is_month(name.removeprefix(EFFORT)))
    if not ours and not (name.startswith(EVIDENCE) and stem_in(name.removeprefix(EVIDENCE))):
        raise BackupError(f"{path}: {name} does not belong into a seacanary backup")
    reader, size = HashingReader(content), 0
    while chunk := reader.read(CHUNK_BYTES):
        size += len(chunk)
    return BackedFile(path=name, size_bytes=size, sha256=reader.sha256)


def _difference(found: list[BackedFile], manifest: Manifest) -> str:
    differing = sorted({file.path for file in set(found) ^ set(manifest.files)})
    return differing[0] if differing else "the order of files"
