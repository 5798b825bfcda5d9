"""The events topic for one station: read by a plain consumer, in no group, from wherever it is told."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]  # it ships no types
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from seacanary.cluster.edge_events import Batch, EventsAway
from seacanary.cluster.event_journal import EventRecord
from seacanary.cluster.section import KafkaSection
from seacanary.cluster.topics import EVENTS, make_topics
from seacanary.errors import SeaCanaryError
from seacanary.kafka_clients import client_options, close_consumer

log = logging.getLogger(__name__)

POLL_MS = 1000
AT_ONCE = 100  # events read from JSON at once: a few ms of the loop


@asynccontextmanager
async def events_of(section: KafkaSection, station: str) -> AsyncIterator["KafkaEventsReader"]:
    """A connection; the topics are made first if there are none.

    Raises:
        EventsAway: no broker answers, lets us in, or has the topic as it must be.
    """
    async with _asking(3 * section.request_timeout_s):
        consumer = await _consumer(section, station)
    try:
        yield KafkaEventsReader(consumer, section, station)
    finally:
        await close_consumer(consumer)


class KafkaEventsReader:
    """As EventsReader."""

    def __init__(self, consumer: AIOKafkaConsumer, section: KafkaSection, station: str) -> None:
        """Wrap a consumer that runs."""
        self._consumer, self._ours = consumer, f"{station}/".encode()
        self._place = TopicPartition(section.topic(EVENTS), 0)
        self._within_s = section.request_timeout_s + POLL_MS / 1000

    async def begin(self, next_offset: int | None, *, since_ms: int) -> int:
        """As EventsReader.begin."""
        async with _asking(3 * self._within_s):
            return await self._begin(next_offset, since_ms)

    async def read(self) -> Batch:
        """As EventsReader.read."""
        async with _asking(self._within_s):
            return await self._read()

    async def end(self) -> int:
        """As EventsReader.end."""
        async with _asking(self._within_s):
            return await self._end()

    async def _begin(self, next_offset: int | None, since_ms: int) -> int:
        self._consumer.assign([self._place])
        begin = int((await self._consumer.beginning_offsets([self._place]))[self._place])
        end = await self._end()
        if next_offset is None:
            found = (await self._consumer.offsets_for_times({self._place: max(0, since_ms)}))[self._place]
            offset = end if found is None else int(found.offset)
        elif begin <= next_offset <= end:
            offset = next_offset
        else:
            log.error(
                "%s holds records %d to %d, this edge had come to %d: made anew or cut short; reading all of it",
                self._place.topic, begin, end, next_offset,
            )  # fmt: skip
            offset = begin
        self._consumer.seek(self._place, offset)
        return offset

    async def _read(self) -> Batch:
        found = await self._consumer.getmany(self._place, timeout_ms=POLL_MS, max_records=AT_ONCE)
        records = [
            EventRecord(record.offset, record.timestamp, record.value)
            for record in found.get(self._place, [])
            if record.key is None or record.key.startswith(self._ours)
        ]
        return Batch(records, int(await self._consumer.position(self._place)))

    async def _end(self) -> int:
        return int((await self._consumer.end_offsets([self._place]))[self._place])


async def _consumer(section: KafkaSection, station: str) -> AIOKafkaConsumer:
    await make_topics(section)
    consumer = AIOKafkaConsumer(
        **client_options(section),
        client_id=f"seacanary-edge-{station}-events",
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
    )
    try:
        await consumer.start()
    except BaseException:
        await close_consumer(consumer)
        raise
    return consumer


@asynccontextmanager
async def _asking(within_s: float) -> AsyncIterator[None]:
    """Ask the brokers in here.

    Raises:
        EventsAway: they do not answer, or not in time.
    """
    try:
        async with asyncio.timeout(within_s):
            yield
    except (KafkaError, OSError, TimeoutError, SeaCanaryError) as exc:
        raise EventsAway(f"{type(exc).__name__}: {exc}") from exc
