"""JSON Lines: every event as one line of CloudEvents JSON in a file, once each."""

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seacanary.errors import DeliveryRetryable
from seacanary.events import CloudEvent, JournalEntry

# Repeats reach back one batch at most (1000 events); twice that is remembered.
IDS_REMEMBERED = 2000
# Far more than that many lines take.
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

    What the file holds already is read from it, so an event that was written
    just before a crash is not written again; a line torn by one is dropped.
    """

    def __init__(self, section: JsonLinesSection) -> None:
        self.name = section.name
        self._section = section
        self._disk = ThreadPoolExecutor(1, thread_name_prefix=f"{section.name}-file")
        self._written: deque[str] | None = None

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
        path = self._section.path
        if self._written is None:
            self._written = self._take_stock()
        written = self._written
        fresh = [entry for entry in entries if str(entry.event.id) not in written]
        if not fresh:
            return
        self._rotate_if_due()
        lines = "".join(CloudEvent.of(entry.event).model_dump_json() + "\n" for entry in fresh)
        _write_whole(path, lines.encode())
        written.extend(str(entry.event.id) for entry in fresh)

    def _take_stock(self) -> deque[str]:
        """Learn which events the newest two files hold, and drop a torn last line."""
        path = self._section.path
        path.parent.mkdir(parents=True, exist_ok=True)
        known = deque[str](maxlen=IDS_REMEMBERED)
        for file in (_rotated(path, 1), path):
            if file.exists():
                known.extend(_ids_at_end(file))
        if path.exists():
            _drop_torn_line(path)
        return known

    def _rotate_if_due(self) -> None:
        path, limit = self._section.path, self._section.rotate_bytes
        if limit is None or not path.exists() or path.stat().st_size < limit:
            return
        for number in range(self._section.keep_files - 1, 0, -1):
            if _rotated(path, number).exists():
                _rotated(path, number).replace(_rotated(path, number + 1))
        path.replace(_rotated(path, 1))


def _rotated(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


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


def _ids_at_end(path: Path) -> list[str]:
    """Ids of the events in a file's last whole lines, oldest first; foreign lines are passed over."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL_BYTES))
        lines = file.read().split(b"\n")[:-1]
    return [event_id for line in lines if (event_id := _id_of(line)) is not None]


def _id_of(line: bytes) -> str | None:
    try:
        return CloudEvent.model_validate_json(line).id
    except ValidationError:
        return None
