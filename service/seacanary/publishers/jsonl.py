"""JSON Lines: every event as one line of CloudEvents JSON in a file, once each."""

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seacanary.errors import DeliveryRetryable
from seacanary.events import CloudEvent, JournalEntry

# A line torn by a crash is looked for in the last of these: a batch is 1000 lines of 1 kB at most.
TAIL_BYTES = 8 << 20


class JsonLinesSection(BaseModel):
    """Events appended to a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["jsonl"] = "jsonl"
    name: str = Field("jsonl", min_length=1, description="name of the cursor, the metrics and the logs")
    path: Path = Field(description="file to append to; its folder is made if missing")
    rotate_bytes: int | None = Field(None, ge=4096, description="size at which the file becomes PATH.1; null: never")
    keep_files: int = Field(10, ge=1, description="rotated files kept")


class JsonLines:
    """Appends events to a file and waits for the disk.

    It knows the ids of all that the file and the rotated ones hold: they are read
    at the first event, and go with a file that rotation lets go. So neither a batch repeated
    after a crash nor a replay writes a line twice, and what the files have lost is
    written again; a line torn by a crash is dropped. An id takes about 115 bytes of memory.
    """

    def __init__(self, section: JsonLinesSection) -> None:
        self.name = section.name
        self._section = section
        self._disk = ThreadPoolExecutor(1, thread_name_prefix=f"{section.name}-file")
        # Ids by number of the file that holds them, 0 for PATH itself; empty until they are read.
        self._held: list[set[bytes]] = []

    async def publish(self, entries: Sequence[JournalEntry]) -> None:
        """Append what is not there yet, and flush it to the disk."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._disk, self._append, tuple(entries))
        except OSError as exc:
            raise DeliveryRetryable(f"{self._section.path}: {exc.strerror or exc}") from exc

    async def aclose(self) -> None:
        """Let a write in progress end; the file is open only while one is."""
        await asyncio.to_thread(self._disk.shutdown)

    def _append(self, entries: Sequence[JournalEntry]) -> None:
        if not self._held:
            self._held = self._take_stock()
        if not self._missing(entries):
            return
        self._rotate_if_due()
        fresh = self._missing(entries)  # rotation may have let go of more of them
        lines = "".join(CloudEvent.of(entry.event).model_dump_json() + "\n" for entry in fresh)
        _write_whole(self._section.path, lines.encode())
        self._held[0].update(entry.event.id.bytes for entry in fresh)

    def _missing(self, entries: Sequence[JournalEntry]) -> list[JournalEntry]:
        return [entry for entry in entries if not any(entry.event.id.bytes in ids for ids in self._held)]

    def _take_stock(self) -> list[set[bytes]]:
        """Learn which events each file holds, and drop a torn last line."""
        path = self._section.path
        path.parent.mkdir(parents=True, exist_ok=True)
        held = [_ids_in(_file(path, number)) for number in range(self._section.keep_files + 1)]
        if path.exists():
            _drop_torn_line(path)
        return held

    def _rotate_if_due(self) -> None:
        path, limit = self._section.path, self._section.rotate_bytes
        if limit is None or not path.exists() or path.stat().st_size < limit:
            return
        for number in range(self._section.keep_files - 1, -1, -1):
            if _file(path, number).exists():
                _file(path, number).replace(_file(path, number + 1))
                self._held[number + 1], self._held[number] = self._held[number], set()


def _file(path: Path, number: int) -> Path:
    """PATH for 0, else the file that was rotated so many times."""
    return path.with_name(f"{path.name}.{number}") if number else path


def _write_whole(path: Path, lines: bytes) -> None:
    """Append and fsync; on a full disk take back what was written in part."""
    with path.open("ab", buffering=0) as file:
        size = file.tell()
        rest = memoryview(lines)
        try:
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            os.ftruncate(file.fileno(), size)
            raise
    if size == 0:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a new file's name durable, not only its bytes."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _drop_torn_line(path: Path) -> None:
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL_BYTES))
        tail = file.read()
        torn = len(tail) - (tail.rfind(b"\n") + 1)
        if torn:
            file.truncate(size - torn)


class _Named(BaseModel):
    """What is needed of a line to know it again."""

    id: UUID


def _ids_in(path: Path) -> set[bytes]:
    """Ids of the events in a file's whole lines; foreign lines are passed over."""
    if not path.exists():
        return set()
    with path.open("rb") as file:
        return {event_id for line in file if line.endswith(b"\n") and (event_id := _id_of(line)) is not None}


def _id_of(line: bytes) -> bytes | None:
    try:
        return _Named.model_validate_json(line).id.bytes
    except ValidationError:
        return None
