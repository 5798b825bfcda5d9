"""Delivering: the events topic to publishers, by the one worker that holds its one partition.

The journal is each worker's own and filled from the topic; how far publishers have come is in the cursors
topic, so that another worker goes on there. What the one before had delivered and not yet said is
delivered again: Redis recognises it, a webhook's far side knows it by its id.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Protocol

from seacanary.cluster.event_journal import EventJournal, EventRecord, EventRefused
from seacanary.cluster.guarding import nothing_passes
from seacanary.errors import JournalError
from seacanary.journal import Journal
from seacanary.publishers.delivery import Delivery
from seacanary.publishers.delivery_status import DeliveryStatus

log = logging.getLogger(__name__)

# A takeover repeats at most what was delivered within this.
CURSORS_EVERY_S = 0.2

OnChange = Callable[[DeliveryStatus], None]


class EventsTopic(Protocol):
    """The events and cursors topics, as far as delivering reads and writes them."""

    def events(self, after: int) -> AsyncIterator[Sequence[EventRecord]]:
        """Records from an offset to the present end, in batches."""

    async def cursors(self) -> dict[str, int]:
        """How far each publisher has come, by name."""

    async def say(self, publisher: str, sequence: int) -> None:
        """Write how far a publisher has come; return when the brokers have it."""


class Delivering:
    """Runs publishers while the partition is held. All methods are called on the loop.

    Attributes:
        records_filled: records read from the topic's past, to fill the journal.
    """

    def __init__(
        self,
        path: Path,
        topic: EventsTopic,
        *,
        open_deliveries: Callable[[Journal, AsyncExitStack, OnChange], Sequence[Delivery]],
        on_change: OnChange,
        newcomers: Collection[str] = (),
    ) -> None:
        """Prepare; begin() begins.

        Args:
            path: of this worker's own journal.
            topic: what to read and write.
            open_deliveries: makes publishers' deliveries; what they hold is closed with the stack.
            on_change: learns of every step of every delivery.
            newcomers: publishers that begin with what is to come when they are new: people.
        """
        self._path, self._topic, self._open_deliveries, self._on_change = path, topic, open_deliveries, on_change
        self._newcomers = newcomers
        self._reached: dict[str, int] = {}
        self._said: dict[str, int] = {}
        self._journal: EventJournal | None = None
        self._ready = asyncio.Event()
        self._tenure: asyncio.Task[None] | None = None
        self._left_behind: asyncio.Task[None] | None = None  # a journal that the tenure before did not wait for
        self.records_filled = 0

    def begin(self) -> None:
        """The partition is ours: take over in a task of its own, as a long journal takes long to fill."""
        if self._tenure is None:
            self._tenure = asyncio.create_task(self._hold(), name="delivering")

    async def end(self) -> None:
        """The partition is not ours any more, or for a moment nobody's: publishers stop here."""
        tenure, self._tenure = self._tenure, None
        if tenure is not None:
            tenure.cancel()
            await asyncio.wait({tenure})

    async def take(self, record: EventRecord) -> list[tuple[EventRecord, EventRefused]] | None:
        """Store the topic's next record.

        Returns:
            The record with the reason, if it holds no event; None, if the partition is not ours any more.
        """
        while self._tenure is not None and not self._ready.is_set():
            ready = asyncio.create_task(self._ready.wait())
            await asyncio.wait({ready, self._tenure}, return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()
        journal = self._journal
        if journal is None:
            return None
        try:
            if record.offset > journal.next_offset:
                await journal.fill(self._past)
            return await journal.take([record])
        except Exception:
            if self._journal is journal:
                raise
            return None  # closed meanwhile, as the partition was given away

    async def _hold(self) -> None:
        with nothing_passes("delivering"):
            async with AsyncExitStack() as opened:
                journal = await opened.enter_async_context(await self._open())
                count = await journal.fill(self._past)
                await self._take_over_cursors(journal.journal)
                log.info("delivering: %d events read, %d in the journal", count, journal.journal.head)
                opened.callback(self._close)
                self._journal = journal
                self._ready.set()
                await self._deliver(journal.journal, opened)

    async def _open(self) -> EventJournal:
        """The journal. A thread opens it, and locks it, even if the partition is given away meanwhile."""
        if self._left_behind is not None:
            await asyncio.shield(self._left_behind)
            self._left_behind = None
        opening = asyncio.create_task(EventJournal.open(self._path), name="opening the journal")
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            self._left_behind = asyncio.create_task(_closed(opening), name="closing the journal")
            raise

    async def _past(self, after: int) -> AsyncIterator[Sequence[EventRecord]]:
        async for records in self._topic.events(after):
            self.records_filled += len(records)
            yield records

    def _close(self) -> None:
        self._ready.clear()
        self._journal = None

    async def _take_over_cursors(self, journal: Journal) -> None:
        """The topic's word goes before the journal's: another worker may have delivered since."""
        self._said = await self._topic.cursors()
        for publisher in self._newcomers:
            if publisher not in self._said:
                # Said before its first event comes: whoever takes over must not begin it anew further on.
                await self._topic.say(publisher, journal.head)
                self._said[publisher] = journal.head
        self._reached = dict(self._said)
        for publisher, sequence in self._said.items():
            await journal.move_cursor(publisher, min(sequence, journal.head))

    async def _deliver(self, journal: Journal, opened: AsyncExitStack) -> None:
        deliveries = self._open_deliveries(journal, opened, self._note)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._say_always())
                for delivery in deliveries:
                    group.create_task(delivery.run())
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(CURSORS_EVERY_S):
                    await self._say()

    def _note(self, status: DeliveryStatus) -> None:
        if status.delivered is not None:
            self._reached[status.publisher] = status.delivered
        self._on_change(status)

    async def _say_always(self) -> None:
        while True:
            await asyncio.sleep(CURSORS_EVERY_S)
            await self._say()

    async def _say(self) -> None:
        for publisher, sequence in self._reached.items():
            if self._said.get(publisher) != sequence:
                await self._topic.say(publisher, sequence)
                self._said[publisher] = sequence


async def _closed(opening: asyncio.Task[EventJournal]) -> None:
    """Close a journal once it is open."""
    with suppress(JournalError):  # it did not open; who opens it next is told why
        async with await opening:
            pass
