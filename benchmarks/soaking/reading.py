"""Reads what a station left: its journal, also between two of its lives; and the Redis stream."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from benchmarks.soaking.station_tree import STREAM
from seacanary.errors import JournalError
from seacanary.events import Event
from seacanary.journal import Journal


@dataclass(frozen=True, slots=True)
class Journalled:
    """A journal's content.

    Attributes:
        events: all of them, in order.
        done_files: recordings heard to their end.
        dead_letters: how many events a destination refused.
    """

    events: tuple[Event, ...] = ()
    done_files: frozenset[str] = frozenset()
    dead_letters: int = 0


def read_journal(path: Path) -> Journalled:
    """All that is in a journal."""

    async def read() -> Journalled:
        async with await Journal.open_to_read(path) as journal:
            events = [entry.event async for entry in journal.entries()]
            return Journalled(tuple(events), await journal.done_files(), len(await journal.dead_letters()))

    return asyncio.run(read())


async def _done_files(path: Path) -> frozenset[str]:
    async with await Journal.open_to_read(path) as journal:
        return await journal.done_files()


class DoneFiles:
    """The recordings that a journal knows as heard; the same as before while it cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path, self._known = path, frozenset[str]()

    def __call__(self) -> frozenset[str]:
        try:
            if self._path.exists():
                self._known = asyncio.run(_done_files(self._path))
        except JournalError:
            pass  # its disk is full: nothing was marked meanwhile either
        return self._known


def streamed_ids(url: str) -> list[str]:
    """Ids of all events in the stream, in its order."""
    with Redis.from_url(url, decode_responses=True) as redis:
        return [fields["id"] for _, fields in redis.xrange(STREAM)]
