"""Events to a real Kafka, killed, frozen and emptied meanwhile: the topic equals the journal, once each."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from event_samples import event
from kafka_server import KafkaServer, why_not
from seacanary.errors import DeliveryLost, DeliveryRejected, DeliveryRetryable
from seacanary.events import EVENT, CloudEvent, JournalEntry
from seacanary.journal import Journal
from seacanary.publishers.delivery import Delivery, DeliveryPolicy
from seacanary.publishers.kafka import KafkaEvents
from seacanary.publishers.kafka_section import KafkaEventsSection

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(600)]

PATIENT = DeliveryPolicy(batch=7, timeout_s=10, first_wait_s=0.05, longest_wait_s=0.5, recheck_s=0.2)


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with KafkaServer(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    async with await Journal.open(tmp_path / "journal.db") as opened:
        yield opened


@pytest.fixture
async def section(kafka: KafkaServer, request: pytest.FixtureRequest) -> KafkaEventsSection:
    """With a topic of the test's own, of two partitions."""
    topic = re.sub(r"\W", "-", request.node.name)
    await make(kafka, topic)
    connection = {"bootstrap_servers": kafka.bootstrap, "request_timeout_s": 5}
    return KafkaEventsSection.model_validate({"topic": topic, "kafka": connection})


@asynccontextmanager
async def admin_of(kafka: KafkaServer) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=list(kafka.bootstrap))
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def make(kafka: KafkaServer, topic: str) -> None:
    settings = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": "20000"}
    async with admin_of(kafka) as admin, asyncio.timeout(30):
        while True:  # one that is being deleted must be gone first
            await admin.create_topics([NewTopic(topic, 2, 1, topic_configs=settings)])
            found = {t["topic"]: t["partitions"] for t in await admin.describe_topics()}
            if topic in found and all(partition["leader"] >= 0 for partition in found[topic]):
                return
            await asyncio.sleep(0.2)


@asynccontextmanager
async def delivering(journal: Journal, to: KafkaEventsSection) -> AsyncIterator[Delivery]:
    publisher = KafkaEvents(to)
    delivery = Delivery(journal, publisher, policy=PATIENT, on_change=lambda status: None)
    running = asyncio.create_task(delivery.run())
    try:
        async with asyncio.timeout(240):
            yield delivery
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await publisher.aclose()


async def held(section: KafkaEventsSection) -> list[Any]:
    """All records of the topic, partition by partition."""
    places = [TopicPartition(section.topic, number) for number in (0, 1)]
    consumer = AIOKafkaConsumer(bootstrap_servers=list(section.kafka.bootstrap_servers), auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        records: list[Any] = []
        while any([await consumer.position(place) < ends[place] for place in places]):
            for batch in (await consumer.getmany(*places, timeout_ms=500)).values():
                records += batch
        return sorted(records, key=lambda record: (record.partition, record.offset))
    finally:
        await consumer.stop()


async def assert_once_each_in_order(section: KafkaEventsSection, journal: Journal) -> None:
    entries = [entry async for entry in journal.entries()]
    records = await held(section)
    for hydrophone in {entry.event.hydrophone for entry in entries}:
        sent = [EVENT.validate_json(r.value) for r in records if r.key == f"station/{hydrophone}".encode()]
        assert sent == [entry.event for entry in entries if entry.event.hydrophone == hydrophone]
    assert len(records) == len(entries)


async def test_a_record_is_a_cloud_event(journal: Journal, kafka: KafkaServer, section: KafkaEventsSection) -> None:
    await journal.append([event(1)])
    async with delivering(journal, section) as delivery:
        assert await delivery.drain(60)
    (record,) = await held(section)
    cloud = CloudEvent.of(event(1))
    assert dict(record.headers) == {
        "ce_specversion": b"1.0",
        "ce_id": cloud.id.encode(),
        "ce_source": b"/stations/station/hydrophones/north",
        "ce_type": b"org.seacanary.presence.started.v1",
        "ce_subject": b"beluga",
        "ce_time": b"2026-05-01T00:00:00.000003+00:00",
        "content-type": b"application/json",
    }
    assert EVENT.validate_json(record.value) == event(1)


async def test_an_acknowledgement_that_was_lost_doubles_nothing(journal: Journal, section: KafkaEventsSection) -> None:
    await journal.append([event(n, hydrophone=("north", "south")[n % 2]) for n in range(1, 40)])
    async with delivering(journal, section) as delivery:
        assert await delivery.drain(60)
    await journal.move_cursor("kafka", 5)  # as if it had been killed before it could note more
    await journal.append([event(40)])
    async with delivering(journal, section) as delivery:
        assert await delivery.drain(60)
    await assert_once_each_in_order(section, journal)


async def test_the_broker_is_killed_while_events_come(
    journal: Journal, kafka: KafkaServer, section: KafkaEventsSection
) -> None:
    async def write() -> None:
        for number in range(1, 400):
            await journal.append([event(number, hydrophone=("north", "south", "east")[number % 3])])
            await asyncio.sleep(0.02)

    async with delivering(journal, section) as delivery, asyncio.TaskGroup() as group:
        group.create_task(write())
        for _ in range(2):
            await asyncio.sleep(2)
            await asyncio.to_thread(kafka.kill)
            await asyncio.to_thread(kafka.start)
        assert await delivery.drain(120)
    await assert_once_each_in_order(section, journal)


async def test_a_topic_made_anew_is_filled_again(
    journal: Journal, kafka: KafkaServer, section: KafkaEventsSection
) -> None:
    await journal.append([event(n) for n in range(1, 20)])
    async with delivering(journal, section) as delivery:
        assert await delivery.drain(60)
        async with admin_of(kafka) as admin:
            await admin.delete_topics([section.topic])
        await make(kafka, section.topic)
        async with asyncio.timeout(60):
            while delivery.status.refills == 0:
                await asyncio.sleep(0.1)
        assert await delivery.drain(60)
    await assert_once_each_in_order(section, journal)


def one(number: int, **changes: Any) -> JournalEntry:
    return JournalEntry(number, round(time.time() * 1000), 0, event(number).model_copy(update=changes))


async def test_what_is_in_the_way_is_told_apart(kafka: KafkaServer, section: KafkaEventsSection) -> None:
    publisher = KafkaEvents(section)
    absent = KafkaEvents(section.model_copy(update={"topic": "nobody-made-this"}))
    try:
        with pytest.raises(DeliveryRetryable, match=r"nobody-made-this.*does not exist"):
            await absent.publish([one(1)])
        with pytest.raises(DeliveryRejected, match="MessageSizeTooLarge"):
            await publisher.publish([one(1, model_id="x" * 30_000)])
        await publisher.publish([one(2)])
        await publisher.recheck(one(2))
        kafka.pause()
        try:
            async with asyncio.timeout(30):
                with pytest.raises(DeliveryRetryable):
                    await publisher.publish([one(3)])
        finally:
            kafka.resume()
        await asyncio.sleep(3)  # for what it was sent while it was frozen
        await publisher.publish([one(3)])
    finally:
        await publisher.aclose()
    sent = [EVENT.validate_json(record.value) for record in await held(section)]
    assert sent == [event(2), event(3)]


async def test_a_topic_that_lost_its_end_is_noticed(kafka: KafkaServer, section: KafkaEventsSection) -> None:
    publisher = KafkaEvents(section)
    try:
        await publisher.publish([one(1)])
        async with admin_of(kafka) as admin:
            await admin.delete_topics([section.topic])
        await make(kafka, section.topic)
        with pytest.raises(DeliveryLost) as lost:
            await publisher.recheck(one(1))
        assert (lost.value.held_until, lost.value.keeps) == (0, None)
        await publisher.recheck(one(1))  # said once
    finally:
        await publisher.aclose()
