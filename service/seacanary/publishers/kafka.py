"""Kafka: one record per event, the event as JSON, its CloudEvents attributes as headers.

Within one run the producer is idempotent: what it tries again is stored once. After a start, or a
batch of which nobody knows how far it came, the topic is read from the time of the batch's first
event on, and what it holds already is not sent again. So a record is repeated only where the
brokers' clock is more than CLOCKS_DIFFER_MS behind this machine's; its id still tells.
Source of the form: CloudEvents 1.0, Kafka Protocol Binding, section 3.2 (binary content mode).
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import (  # type: ignore[import-untyped]  # it ships no types
    AIOKafkaConsumer,
    AIOKafkaProducer,
    TopicPartition,
)
from aiokafka.admin import AIOKafkaAdminClient  # type: ignore[import-untyped]
from aiokafka.errors import (  # type: ignore[import-untyped]
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordTooLargeError,
)

from seacanary.errors import DeliveryLost, DeliveryRejected, DeliveryRetryable
from seacanary.events import CloudEvent, Event, JournalEntry
from seacanary.kafka_clients import client_options, close_consumer, drop_producer, in_words
from seacanary.publishers.kafka_section import KafkaEventsSection

CLOCKS_DIFFER_MS = 3_600_000
_POLL_MS = 500
_ID = "ce_id"


class KafkaEvents:
    """Writes events to a topic, those of a hydrophone in order, and waits for all replicas."""

    def __init__(self, section: KafkaEventsSection) -> None:
        self.name = section.name
        self._section = section
        self._producer: AIOKafkaProducer | None = None
        # Ids that the topic held when the producer was started, of the events that were to come then.
        self._held: frozenset[str] = frozenset()
        # Where the newest record of ours is, by partition, as acknowledged in this run.
        self._newest: dict[int, int] = {}

    def carries(self, event: Event) -> bool:
        """Whether an event is to be sent."""
        return self._section.carries(event)

    async def publish(self, entries: Sequence[JournalEntry]) -> None:
        """Send what the topic does not hold yet; return once all brokers in sync have it.

        Raises:
            DeliveryRejected: an event is larger than the topic takes.
            DeliveryRetryable: the brokers cannot be reached, or refuse; the topic is not there.
        """
        try:
            if self._producer is None:
                self._held = await self._held_since(entries[0].entry_ms - CLOCKS_DIFFER_MS)
                self._producer = await self._started_producer()
            # An idempotent producer gives up no request by itself.
            async with asyncio.timeout(self._section.kafka.request_timeout_s):
                await self._send(self._producer, [entry for entry in entries if str(entry.event.id) not in self._held])
        except BaseException as exc:
            # How much of the batch is stored is not known: the next attempt looks.
            await self.aclose()
            if isinstance(exc, MessageSizeTooLargeError | RecordTooLargeError):
                raise DeliveryRejected(f"{self._place}: {in_words(exc)}") from exc
            if isinstance(exc, KafkaError | OSError | TimeoutError):
                raise DeliveryRetryable(f"{self._place}: {in_words(exc)}") from exc
            raise

    async def recheck(self, delivered: JournalEntry) -> None:
        """Return if the topic still reaches beyond what this run has written.

        Raises:
            DeliveryLost: it was made anew, or has lost its end.
            DeliveryRetryable: the brokers cannot be asked now.
        """
        if not self._newest:
            return
        try:
            ends = await self._ends()
        except (KafkaError, OSError, TimeoutError) as exc:
            raise DeliveryRetryable(f"{self._place}: {in_words(exc)}") from exc
        short = [number for number, offset in self._newest.items() if ends.get(number, 0) <= offset]
        if short:
            self._newest = {}
            await self.aclose()
            ended = ", ".join(f"partition {number} at {ends.get(number, 0)}" for number in short)
            raise DeliveryLost(
                f"{self._place} ends in {ended}, before event {delivered.sequence}", held_until=0, keeps=None
            )

    async def aclose(self) -> None:
        """Let go of the brokers."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await drop_producer(producer)  # what it flushed would come after the next attempt has looked

    @property
    def _place(self) -> str:
        return f"{self._section.kafka.place}, topic {self._section.topic}"

    async def _started_producer(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(**client_options(self._section.kafka), acks="all", enable_idempotence=True)
        try:
            await producer.start()
        except BaseException:
            await drop_producer(producer)
            raise
        return producer

    async def _send(self, producer: AIOKafkaProducer, entries: Sequence[JournalEntry]) -> None:
        topic = self._section.topic
        # In one go, but in order: the producer keeps the order of each partition.
        sent = [await producer.send(topic, **_record(entry)) for entry in entries]
        for stored in await asyncio.gather(*sent):
            self._newest[stored.partition] = max(stored.offset, self._newest.get(stored.partition, 0))

    async def _held_since(self, time_ms: int) -> frozenset[str]:
        """Ids of all events that the topic holds from a time on."""
        places = await self._places()
        async with self._reading(places) as consumer:
            ends = await consumer.end_offsets(places)
            begins = await consumer.offsets_for_times(dict.fromkeys(places, max(0, time_ms)))
            unread = {place for place in places if begins[place] is not None and begins[place].offset < ends[place]}
            for place in places:
                consumer.seek(place, begins[place].offset if place in unread else ends[place])
            ids = set[str]()
            while unread:
                for records in (await consumer.getmany(*unread, timeout_ms=_POLL_MS)).values():
                    ids.update(_id(record) for record in records)
                unread = {place for place in unread if await consumer.position(place) < ends[place]}
            return frozenset(ids)

    async def _ends(self) -> dict[int, int]:
        """The offset after the newest record, by partition."""
        places = await self._places()
        async with self._reading(places) as consumer:
            return {place.partition: end for place, end in (await consumer.end_offsets(places)).items()}

    @asynccontextmanager
    async def _reading(self, places: Sequence[TopicPartition]) -> AsyncIterator[AIOKafkaConsumer]:
        # Every place is sought to; with "none" the client would complain of its missing offset before that.
        consumer = AIOKafkaConsumer(**client_options(self._section.kafka), auto_offset_reset="earliest")
        try:
            await consumer.start()
            consumer.assign(list(places))
            yield consumer
        finally:
            await close_consumer(consumer)

    async def _places(self) -> list[TopicPartition]:
        """The topic's partitions; all topics are asked for, as to ask for one by name may make it."""
        admin = AIOKafkaAdminClient(**client_options(self._section.kafka))
        try:
            await admin.start()
            found = {topic["topic"]: topic["partitions"] for topic in await admin.describe_topics()}
        finally:
            await admin.close()
        if not found.get(self._section.topic):
            raise InvalidTopicError("the topic does not exist; make it, with its partitions and retention, first")
        numbers = sorted(partition["partition"] for partition in found[self._section.topic])
        return [TopicPartition(self._section.topic, number) for number in numbers]


def _record(entry: JournalEntry) -> dict[str, Any]:
    """Key, value, headers and time of an event's record."""
    event = CloudEvent.of(entry.event)
    attributes = {
        "ce_specversion": event.specversion,
        _ID: event.id,
        "ce_source": event.source,
        "ce_type": event.type,
        "ce_subject": event.subject,
        "ce_time": event.time.isoformat(),
        "content-type": event.datacontenttype,
    }
    return {
        "key": f"{entry.event.station}/{entry.event.hydrophone or ''}".encode(),
        "value": entry.event.model_dump_json().encode(),
        "headers": [(name, text.encode()) for name, text in attributes.items()],
        "timestamp_ms": entry.entry_ms,
    }


def _id(record: Any) -> str:
    headers: dict[str, bytes] = dict(record.headers)
    return headers.get(_ID, b"").decode(errors="replace")
