"""Reading a topic's one partition from a place to its present end, in no consumer group."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]  # it ships no types

from seacanary.cluster.event_journal import READ_AT_ONCE, EventRecord, EventsMissing
from seacanary.cluster.section import KafkaSection
from seacanary.cluster.topics import CURSORS, EVENTS
from seacanary.kafka_clients import client_options, close_consumer

POLL_MS = 1000


async def event_records(section: KafkaSection, after: int) -> AsyncGenerator[list[EventRecord]]:
    """The events topic's records from an offset to its present end, in batches.

    Raises:
        EventsMissing: it no longer, or not any more, holds what comes next.
    """
    async with aclosing(_records(section, section.topic(EVENTS), after=after)) as batches:
        async for batch in batches:
            yield [EventRecord(record.offset, record.timestamp, record.value) for record in batch]


async def newest_cursors(section: KafkaSection) -> dict[str, int]:
    """How far each publisher has come, by name, as the worker before said."""
    cursors = dict[str, int]()
    async with aclosing(_records(section, section.topic(CURSORS), after=None)) as batches:
        async for batch in batches:
            cursors.update({record.key.decode(): int(record.value) for record in batch})
    return cursors


async def _records(section: KafkaSection, topic: str, *, after: int | None) -> AsyncGenerator[list[Any]]:
    """Batches of what partition 0 holds now; after: first offset, None: its beginning."""
    place = TopicPartition(topic, 0)
    consumer = AIOKafkaConsumer(
        **client_options(section), group_id=None, enable_auto_commit=False, auto_offset_reset="none"
    )
    await consumer.start()
    try:
        consumer.assign([place])
        begin = (await consumer.beginning_offsets([place]))[place]
        end = (await consumer.end_offsets([place]))[place]
        offset = begin if after is None else after
        if not begin <= offset <= end:
            raise EventsMissing(
                f"{topic} holds records {begin} to {end}, the journal goes on at {offset}: "
                "was the topic made anew? Then begin a new journal too"
            )
        consumer.seek(place, offset)
        while offset < end:
            batch = (await consumer.getmany(place, timeout_ms=POLL_MS, max_records=READ_AT_ONCE)).get(place, [])
            if batch:
                yield batch
            offset = await consumer.position(place)
    finally:
        await close_consumer(consumer)
