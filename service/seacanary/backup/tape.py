"""Tape: a tar file written or read from one end to the other, compressed as its name says, hashed on the way."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, cast

import zstandard

from seacanary.backup.manifest import BackedFile, BackupError

PLAIN, GZIP, ZSTANDARD = (".tar",), (".tar.gz", ".tgz"), (".tar.zst", ".tzst")
CHUNK_BYTES = 1 << 20
OWNER_ONLY = 0o600


class HashingReader(io.RawIOBase):
    """Passes bytes on, and knows their hash at the end."""

    def __init__(self, file: IO[bytes], on_bytes: Callable[[int], None] = lambda _: None) -> None:
        self._file, self._on_bytes, self._hash = file, on_bytes, hashlib.sha256()

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Read and hash."""
        chunk = self._file.read(size)
        self._hash.update(chunk)
        self._on_bytes(len(chunk))
        return chunk

    @property
    def sha256(self) -> str:
        """Of all that was read so far."""
        return self._hash.hexdigest()


def require_known_ending(path: Path) -> None:
    """Refuse names that say no form.

    Raises:
        BackupError: the name ends in nothing known.
    """
    if not path.name.endswith((*PLAIN, *GZIP, *ZSTANDARD)):
        raise BackupError(f"{path}: the name must end in {', '.join((*PLAIN, *GZIP, *ZSTANDARD))}")


@contextmanager
def written(file: IO[bytes], *, name: str) -> Iterator[tarfile.TarFile]:
    """Write a tape into an open file.

    Args:
        file: stays open.
        name: says how it is compressed.
    """
    with ExitStack() as stack:
        stream = file
        if name.endswith(GZIP):
            zipped = gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, filename="", mtime=0)
            stream = stack.enter_context(cast("IO[bytes]", zipped))
        elif name.endswith(ZSTANDARD):
            stream = stack.enter_context(zstandard.ZstdCompressor(level=3).stream_writer(file, closefd=False))
        yield stack.enter_context(tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT))


@contextmanager
def wound(path: Path, advance: Callable[[int], None] = lambda _: None) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    """Read a tape: the name and the bytes of each file, in order; the bytes are there until the next is asked for.

    Args:
        path: of the tape.
        advance: told of bytes read from the disk.

    Raises:
        BackupError: it cannot be read, is damaged, or holds what is no file.
    """
    with ExitStack() as stack:
        with _told_as_unreadable(path):
            file = stack.enter_context(path.open("rb"))
            stream: IO[bytes] = cast("IO[bytes]", HashingReader(file, advance))
            if path.name.endswith(GZIP):
                stream = stack.enter_context(cast("IO[bytes]", gzip.GzipFile(fileobj=stream, mode="rb")))
            elif path.name.endswith(ZSTANDARD):
                stream = stack.enter_context(zstandard.ZstdDecompressor().stream_reader(stream, closefd=False))
            tape = stack.enter_context(tarfile.open(fileobj=stream, mode="r|"))
        yield _files(tape, path)


@contextmanager
def _told_as_unreadable(path: Path) -> Iterator[None]:
    """Around what reads the tape, and nothing else: what its reader does with the bytes may fail too."""
    try:
        yield
    except (OSError, EOFError, tarfile.TarError, zstandard.ZstdError) as exc:
        raise BackupError(f"{path}: cannot be read as a backup: {exc or type(exc).__name__}") from exc


class _Content(io.RawIOBase):
    """A file on the tape."""

    def __init__(self, content: IO[bytes], path: Path) -> None:
        self._content, self._path = content, path

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Read.

        Raises:
            BackupError: the tape is damaged there.
        """
        with _told_as_unreadable(self._path):
            return self._content.read(size)


def put(tape: tarfile.TarFile, name: str, file: IO[bytes], size: int, *, on_bytes: Callable[[int], None]) -> BackedFile:
    """Add a file.

    Raises:
        OSError: it cannot be read, or the tape not be written.
    """
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, OWNER_ONLY
    reader = HashingReader(file, on_bytes)
    tape.addfile(entry, cast("IO[bytes]", reader))
    return BackedFile(path=name, size_bytes=size, sha256=reader.sha256)


def _files(tape: tarfile.TarFile, path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    while True:
        with _told_as_unreadable(path):
            entry = tape.next()
            content = tape.extractfile(entry) if entry and entry.isreg() else None
        if entry is None:
            return
        if content is None:
            raise BackupError(f"{path}: {entry.name} is no ordinary file; this is not a seacanary backup")
        yield entry.name, cast("IO[bytes]", _Content(content, path))
