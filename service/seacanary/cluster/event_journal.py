"""EventJournal: the events topic as a journal, the same on every machine that reads it.

The topic has one partition, so its order is the events' order. Each record's own time is the entry's
time: a journal filled from the topic's beginning holds the same sequences and entry ids wherever it is
filled, and a Redis stream written from one machine goes on from another.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from seacanary.errors import SeaCanaryError
from seacanary.events import EVENT, Event
from seacanary.journal import Journal

# Name of the journal's state that says which record comes next.
NEXT_OFFSET = "cluster/events_offset"
READ_AT_ONCE = 500


class EventRefused(SeaCanaryError):
    """A record of the events topic holds no event."""


class EventsMissing(SeaCanaryError):
    """The topic has lost records that the journal has not seen."""


@dataclass(frozen=True, slots=True)
class EventRecord:
    """A record of the events topic.

    Attributes:
        offset: its place.
        timestamp_ms: when the broker or its writer dated it, ms since 1970.
        value: the event as JSON.
    """

    offset: int
    timestamp_ms: int
    value: bytes | None

    def event(self) -> Event:
        """The event it holds.

        Raises:
            EventRefused: it holds none.
        """
        try:
            return EVENT.validate_json(self.value or b"")
        except ValidationError as exc:
            raise EventRefused(f"not an event: {exc.errors()[0]['msg']}") from exc


class _RecordClock:
    """Tells a journal the time of the record that it is about to store."""

    def __init__(self) -> None:
        self._times: Iterator[int] = iter(())
        self._latest_ms = 0

    def of(self, records: Sequence[EventRecord]) -> None:
        """The next entries are these records'."""
        self._times = iter([record.timestamp_ms for record in records])

    def __call__(self) -> float:
        self._latest_ms = next(self._times, self._latest_ms)
        return self._latest_ms / 1000


class EventJournal:
    """A journal that follows the events topic. Use as `async with await EventJournal.open(path)`."""

    def __init__(self, journal: Journal, clock: _RecordClock, next_offset: int) -> None:
        self.journal, self._clock, self.next_offset = journal, clock, next_offset

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open, making the file if there is none.

        Raises:
            JournalError: in use, not a journal, damaged, or of a newer version.
        """
        clock = _RecordClock()
        journal = await Journal.open(path, now=clock)
        return cls(journal, clock, int((await journal.states()).get(NEXT_OFFSET, 0)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.journal.aclose()

    async def take(self, records: Sequence[EventRecord]) -> list[tuple[EventRecord, EventRefused]]:
        """Store records that follow one another; those the journal has are passed over.

        Returns:
            Records that hold no event, with the reason.

        Raises:
            EventsMissing: the first of them is not the next one; fill() first.
            JournalError: they cannot be stored.
        """
        records = [record for record in records if record.offset >= self.next_offset]
        if not records:
            return []
        if records[0].offset > self.next_offset:
            raise EventsMissing(f"expected event record {self.next_offset}, got {records[0].offset}")
        readable, refused = _parted(records)
        self._clock.of([record for record, _ in readable])
        next_offset = records[-1].offset + 1
        await self.journal.append([event for _, event in readable], states={NEXT_OFFSET: str(next_offset)})
        self.next_offset = next_offset
        return refused

    async def fill(self, read: Callable[[int], AsyncIterator[Sequence[EventRecord]]]) -> int:
        """Store what the topic holds and this journal has not seen.

        Args:
            read: the topic's records from an offset on to its present end, in batches.

        Returns:
            How many records were read.
        """
        count = 0
        async for records in read(self.next_offset):
            await self.take(records)
            count += len(records)
        return count


def _parted(
    records: Sequence[EventRecord],
) -> tuple[list[tuple[EventRecord, Event]], list[tuple[EventRecord, EventRefused]]]:
    readable, refused = [], []
    for record in records:
        try:
            readable.append((record, record.event()))
        except EventRefused as exc:
            refused.append((record, exc))
    return readable, refused
