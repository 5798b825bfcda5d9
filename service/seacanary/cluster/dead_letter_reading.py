"""Dead letters read again: which records were refused and why, and sending them once more."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiokafka import (  # type: ignore[import-untyped]  # it ships no types
    AIOKafkaConsumer,
    AIOKafkaProducer,
    TopicPartition,
)
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from seacanary.cluster.dead_letters import OFFSET, PARTITION, REASON, TOPIC
from seacanary.cluster.section import KafkaSection
from seacanary.cluster.topics import DEAD_LETTERS, ClusterUnreachable, topics
from seacanary.errors import SeaCanaryError
from seacanary.kafka_clients import client_options, close_consumer, drop_producer, in_words

_POLL_MS = 500


class LetterRefused(SeaCanaryError):
    """A dead letter cannot be sent again."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that no worker could read.

    Attributes:
        number: its offset in the dead-letter topic.
        refused: when it was put aside, by the brokers' clock.
        reason: what was wrong with it.
        topic, partition, offset: where it was.
        key, value: the record as it was.
    """

    number: int
    refused: datetime
    reason: str
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


async def dead_letters(section: KafkaSection) -> AsyncGenerator[DeadLetter, None]:
    """All letters that the brokers hold now, oldest first. What is no letter of ours is passed over.

    Raises:
        ClusterUnreachable: the brokers cannot be asked now, or have not answered for `request_timeout_s`.
    """
    place = TopicPartition(section.topic(DEAD_LETTERS), 0)
    consumer = AIOKafkaConsumer(**client_options(section), enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        await consumer.start()
        consumer.assign([place])
        async with asyncio.timeout(section.request_timeout_s):
            await consumer.seek_to_beginning(place)
            end = (await consumer.end_offsets([place]))[place]
        while records := await _next(consumer, place, end, timeout_s=section.request_timeout_s):
            for record in records:
                letter = _letter(record)
                if letter is not None and letter.number < end:
                    yield letter
    except (KafkaError, TimeoutError) as exc:
        raise _unreachable(section, exc) from exc
    finally:
        await close_consumer(consumer)


async def replay(section: KafkaSection, numbers: Collection[int] | None = None) -> int:
    """Send letters again, each to the partition it came from; the letters stay where they are.

    Workers conclude each hydrophone's records in order. A letter counts only if nothing later of its hydrophone has
    been concluded since it was refused: else it is passed over, as a repeat is. So to do it twice harms nothing.

    Args:
        section: of the configuration.
        numbers: which letters; None: all.

    Returns:
        How many were sent and acknowledged.

    Raises:
        LetterRefused: a number is no letter's, or a letter comes from a topic that is not ours; nothing is sent.
        ClusterUnreachable: the brokers cannot be asked now; some may have been sent.
    """
    async with aclosing(dead_letters(section)) as held:
        chosen = [letter async for letter in held if numbers is None or letter.number in numbers]
    _refuse_strays(section, chosen, numbers or ())
    producer = AIOKafkaProducer(**client_options(section), acks="all", enable_idempotence=True)
    try:
        await producer.start()
        for letter in chosen:
            # An idempotent producer gives up no record by itself.
            async with asyncio.timeout(section.request_timeout_s):
                await producer.send_and_wait(letter.topic, letter.value, key=letter.key, partition=letter.partition)
    except (KafkaError, TimeoutError) as exc:
        raise _unreachable(section, exc) from exc
    finally:
        await drop_producer(producer)  # what is acknowledged is sent, and nothing else shall be
    return len(chosen)


async def _next(consumer: AIOKafkaConsumer, place: TopicPartition, end: int, *, timeout_s: float) -> Sequence[Any]:
    """The next records before an offset; none: it is reached.

    Raises:
        TimeoutError: none came.
    """
    async with asyncio.timeout(timeout_s):
        while await consumer.position(place) < end:
            records: Sequence[Any] = (await consumer.getmany(place, timeout_ms=_POLL_MS)).get(place, ())
            if records:
                return records
    return ()


def _refuse_strays(section: KafkaSection, chosen: Collection[DeadLetter], numbers: Collection[int]) -> None:
    unknown = sorted(set(numbers) - {letter.number for letter in chosen})
    if unknown:
        raise LetterRefused(f"there is no dead letter {', '.join(map(str, unknown))} in {section.topic(DEAD_LETTERS)}")
    ours = {topic.name: topic.partitions for topic in topics(section)}
    for letter in chosen:
        if letter.partition >= ours.get(letter.topic, 0) or letter.topic == section.topic(DEAD_LETTERS):
            raise LetterRefused(f"dead letter {letter.number} is from {letter.topic}[{letter.partition}], not ours")


def _letter(record: Any) -> DeadLetter | None:
    headers: Mapping[str, bytes] = dict(record.headers)
    try:
        return DeadLetter(
            number=record.offset,
            refused=datetime.fromtimestamp(record.timestamp / 1000, UTC),
            reason=headers[REASON].decode(),
            topic=headers[TOPIC].decode(),
            partition=int(headers[PARTITION]),
            offset=int(headers[OFFSET]),
            key=record.key,
            value=record.value,
        )
    except (KeyError, ValueError):
        return None


def _unreachable(section: KafkaSection, exc: Exception) -> ClusterUnreachable:
    no_answer = f"no answer within {section.request_timeout_s:g} s"
    return ClusterUnreachable(f"{section.place}: {no_answer if isinstance(exc, TimeoutError) else in_words(exc)}")
