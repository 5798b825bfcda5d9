"""What topics hold and when the broker appended it: every rate and latency is read there, by one clock."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition

from seacanary.cluster.envelope import ImageEnvelope
from seacanary.cluster.envelope_codec import decode
from seacanary.cluster.section import KafkaSection
from seacanary.cluster.topics import topics
from seacanary.cluster.tracking import Tracking
from seacanary.events import EVENT
from seacanary.kafka_clients import client_options

# A hydrophone's window: key of its records, number of its envelope.
Window: TypeAlias = tuple[bytes, int]


@dataclass(frozen=True, slots=True)
class Appended:
    """A record as it lies in a topic.

    Attributes:
        partition, offset: where.
        at_ms: when the broker appended it, ms since 1970.
        key, value: the record.
    """

    partition: int
    offset: int
    at_ms: int
    key: bytes
    value: bytes


@asynccontextmanager
async def reader(kafka: KafkaSection) -> AsyncIterator[Any]:
    """A consumer of no group."""
    consumer = AIOKafkaConsumer(
        **client_options(kafka), group_id=None, enable_auto_commit=False, max_partition_fetch_bytes=1 << 23
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


def partitions_of(kafka: KafkaSection, name: str) -> list[TopicPartition]:
    """All partitions of a topic, by its short name, or of a changelog."""
    count = next((known.partitions for known in topics(kafka) if known.name == kafka.topic(name)), kafka.partitions)
    return [TopicPartition(kafka.topic(name), place) for place in range(count)]


async def count(consumer: Any, kafka: KafkaSection, name: str) -> int:
    """Records that a topic has had."""
    return sum((await consumer.end_offsets(partitions_of(kafka, name))).values())


async def records(kafka: KafkaSection, name: str, *, skip: Mapping[int, int] | None = None) -> list[Appended]:
    """All that a topic holds now, in the order of appending.

    Args:
        kafka: which cluster.
        name: the topic's short name.
        skip: first offset of interest in each partition.
    """
    found: list[Appended] = []
    async with reader(kafka) as consumer:
        places = partitions_of(kafka, name)
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        for place in places:
            if skip:
                consumer.seek(place, skip.get(place.partition, 0))
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < ends[place] for place in places]):
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                found += [Appended(r.partition, r.offset, r.timestamp, r.key or b"", r.value or b"") for r in batch]
    return sorted(found, key=lambda record: record.at_ms)


def rate_per_s(records: Sequence[Appended], *, ramp: float = 0.15) -> float:
    """Records a second once the beginning is over.

    Args:
        records: in the order of appending, as one backlog was worked off.
        ramp: share at the beginning that is left out.
    """
    first = round(ramp * len(records))
    elapsed_s = (records[-1].at_ms - records[first].at_ms) / 1000
    # Records of one produce request share an instant: those of the first do not count.
    later = sum(record.at_ms > records[first].at_ms for record in records)
    return later / elapsed_s if elapsed_s > 0 else float("inf")


def window_of(record: Appended) -> Window:
    """Which window a record of images or detections speaks of."""
    return record.key, decode(record.value).number


def first_appended_ms(records: Sequence[Appended]) -> dict[Window, int]:
    """When each window was first spoken of."""
    first: dict[Window, int] = {}
    for record in records:
        first.setdefault(window_of(record), record.at_ms)
    return first


def deciding_windows(detections: Sequence[Appended], tracking: Tracking) -> dict[str, Window]:
    """The window that led to each event, by the event's id: detections are followed once more, as a worker does."""
    stored: dict[bytes, bytes] = {}
    decided: dict[str, Window] = {}
    for record in sorted(detections, key=lambda record: (record.partition, record.offset)):
        item = decode(record.value)
        assert not isinstance(item, ImageEnvelope)
        step = tracking.take(item, stored=stored.get(record.key))
        if step is not None:
            stored[record.key] = step.stored
            decided |= {str(event.id): (record.key, item.number) for event in step.events}
    return decided


@dataclass(frozen=True, slots=True)
class Latencies:
    """Seconds from an image's append, one of each window or event."""

    detections_s: Sequence[float]
    events_s: Sequence[float]


def latencies(
    images: Sequence[Appended], detections: Sequence[Appended], events: Sequence[Appended], tracking: Tracking
) -> Latencies:
    """How long after its image's append a detection, and after the deciding image's an event, was appended."""
    begun = first_appended_ms(images)
    detected = first_appended_ms(detections)
    decided = deciding_windows(detections, tracking)
    told: dict[str, int] = {}
    for record in events:
        told.setdefault(str(EVENT.validate_json(record.value).id), record.at_ms)
    return Latencies(
        [(detected[window] - at_ms) / 1000 for window, at_ms in begun.items() if window in detected],
        [(at_ms - begun[decided[id_]]) / 1000 for id_, at_ms in told.items() if id_ in decided],
    )


def quantiles_s(values: Sequence[float]) -> dict[str, float | None]:
    """Median, 99th percentile and maximum, seconds; None of nothing."""
    if not values:
        return {"p50_s": None, "p99_s": None, "max_s": None}
    p50, p99 = np.percentile(values, [50, 99])
    return {"p50_s": round(float(p50), 3), "p99_s": round(float(p99), 3), "max_s": round(max(values), 3)}


def concluded_first_ms(changelog: Sequence[Appended], *, after_ms: int) -> dict[bytes, int]:
    """When each hydrophone's state was first stored after an instant, ms since 1970."""
    first: dict[bytes, int] = {}
    for record in changelog:
        if record.at_ms > after_ms:
            first.setdefault(record.key, record.at_ms)
    return first
