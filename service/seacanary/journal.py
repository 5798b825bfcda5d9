"""Journal: durable, ordered store of events; an event exists once it is in here."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import ParamSpec, Self, TypeVar

from seacanary.events import Event, JournalEntry
from seacanary.journal_store import DeadLetter, JournalStore

P = ParamSpec("P")
R = TypeVar("R")

READ_BATCH = 500


class Journal:
    """The journal as the loop sees it: every call runs on the one disk thread.

    Every method may raise JournalError. Use as `async with await Journal.open(path)`.
    """

    def __init__(self, store: JournalStore, disk: ThreadPoolExecutor, now: Callable[[], float]) -> None:
        self._store, self._disk, self._now = store, disk, now
        self._moved = asyncio.Condition()
        self._cursors: dict[str, int] = {}

    @classmethod
    async def open(cls, path: Path, *, now: Callable[[], float] = time.time) -> Self:
        """Open to write, making the file if there is none.

        Args:
            path: the SQLite file; its folder is made if missing.
            now: system clock, seconds since 1970, for entry ids only.
        """
        return await cls._opened(partial(JournalStore.open, path), now)

    @classmethod
    async def open_to_read(cls, path: Path) -> Self:
        """Look into a journal that a running station may be writing."""
        return await cls._opened(partial(JournalStore.open_to_read, path), time.time)

    @classmethod
    async def _opened(cls, opener: Callable[[], JournalStore], now: Callable[[], float]) -> Self:
        disk = ThreadPoolExecutor(1, thread_name_prefix="journal")
        try:
            store = await asyncio.get_running_loop().run_in_executor(disk, opener)
        except BaseException:
            disk.shutdown(wait=False)
            raise
        return cls(store, disk, now)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Finish what the disk thread has been given and release the file; once."""
        await self._on_disk(self._store.close)
        self._disk.shutdown()

    @property
    def head(self) -> int:
        """Sequence of the newest entry, 0 if none."""
        return self._store.head

    async def append(
        self,
        events: Sequence[Event],
        *,
        states: Mapping[str, str] | None = None,
        done: Iterable[str] = (),
        cursors: Mapping[str, int] | None = None,
    ) -> list[JournalEntry]:
        """Store events, states, done files and cursors together, or none of them.

        A consumer that makes events of events (alerts of presences) moves its cursor with
        what it made: a crash repeats or loses nothing.

        Returns:
            Entries of the events that were new; one already stored is a repeat.
        """
        append = partial(self._store.append, cursors=cursors or {}, now=self._now)
        entries = await self._on_disk(append, events, states=states or {}, done=tuple(done))
        for consumer, sequence in (cursors or {}).items():
            await self._cursor_is(consumer, sequence)
        if entries:
            async with self._moved:
                self._moved.notify_all()
        return entries

    async def mark_done(self, path: str) -> None:
        """Note that a file has been heard to its end."""
        await self.append((), done=(path,))

    async def wait_beyond(self, sequence: int) -> None:
        """Return once there is an entry after `sequence`."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.head > sequence)

    async def wait_delivered(self, publisher: str, sequence: int) -> None:
        """Return once a publisher's cursor has reached `sequence`."""
        if await self.cursor(publisher) >= sequence:
            return
        async with self._moved:
            await self._moved.wait_for(lambda: self._cursors.get(publisher, 0) >= sequence)

    async def read_after(self, sequence: int, limit: int) -> list[JournalEntry]:
        """Up to `limit` entries after `sequence`, in order."""
        return await self._on_disk(self._store.read_after, sequence, limit)

    async def entries(self, *, after: int = 0) -> AsyncIterator[JournalEntry]:
        """Every entry after a sequence, in order, to the present end."""
        while batch := await self.read_after(after, READ_BATCH):
            for entry in batch:
                yield entry
            after = batch[-1].sequence

    async def begin(self, publishers: Iterable[str]) -> None:
        """Have publishers that were never here go on after the newest entry there is now; others are left alone."""
        await self._on_disk(self._store.begin, tuple(publishers))

    async def cursor(self, publisher: str) -> int:
        """Sequence up to which a publisher has delivered; 0 if it has not begun."""
        return await self._on_disk(self._store.cursor, publisher)

    async def move_cursor(self, publisher: str, sequence: int) -> None:
        """Note how far the far side holds everything: on with an acknowledgement, back with a loss."""
        await self._on_disk(self._store.move_cursor, publisher, sequence)
        await self._cursor_is(publisher, sequence)

    async def dead_letter(self, publisher: str, entry: JournalEntry, reason: str) -> None:
        """Put aside an entry its destination will never take, and go on behind it."""
        await self._on_disk(self._store.dead_letter, publisher, entry, reason, now=self._now)
        await self._cursor_is(publisher, entry.sequence)

    async def dead_letters(self, publisher: str | None = None) -> list[DeadLetter]:
        """What a destination refused, or all of them, in order."""
        return await self._on_disk(self._store.dead_letters, publisher)

    async def to_retry(self, publisher: str, limit: int) -> list[JournalEntry]:
        """Up to `limit` dead letters that a person has asked to be tried again, in order."""
        return await self._on_disk(self._store.to_retry, publisher, limit)

    async def put_back(self, publisher: str, entry: JournalEntry, reason: str) -> None:
        """Put aside again what was tried again in vain; nothing if it was dropped meanwhile."""
        await self._on_disk(self._store.put_back, publisher, entry, reason, now=self._now)

    async def drop_dead_letter(self, publisher: str, entry: JournalEntry) -> None:
        """Forget that an entry was refused: it has been delivered after all."""
        await self._on_disk(self._store.drop_dead_letters, publisher, [entry.sequence])

    async def states(self) -> dict[str, str]:
        """Tracker states by name, as last stored."""
        return await self._on_disk(self._store.states)

    async def done_files(self) -> frozenset[str]:
        """Files that have been heard to their end."""
        return await self._on_disk(self._store.done_files)

    async def _cursor_is(self, publisher: str, sequence: int) -> None:
        async with self._moved:
            self._cursors[publisher] = sequence
            self._moved.notify_all()

    async def _on_disk(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._disk, partial(call, *args, **kwargs))
