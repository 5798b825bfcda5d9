"""Topics, dead letters and security on a real Kafka; brokers killed, paused and brought back."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import InvalidTimestampError, KafkaError, MessageSizeTooLargeError

from kafka_server import KafkaServer, why_not
from seacanary.cluster.dead_letter_reading import DeadLetter, LetterRefused, dead_letters, replay
from seacanary.cluster.section import KafkaLogin, KafkaSection, KafkaTls
from seacanary.cluster.security import client_options
from seacanary.cluster.topics import (
    DEAD_LETTERS,
    IMAGES,
    ClusterUnreachable,
    TopicsRefused,
    make_topics,
    topics,
)

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def _kafka_can_be_had() -> None:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def kafka(_kafka_can_be_had: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    with KafkaServer(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture(scope="module")
def secure(_kafka_can_be_had: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    with KafkaServer(tmp_path_factory.mktemp("kafka"), secure=True) as server:
        yield server


@pytest.fixture
def section(kafka: KafkaServer, request: pytest.FixtureRequest) -> KafkaSection:
    """Of the plain broker, with topics of the test's own."""
    return kafka.section(topic_prefix=re.sub(r"\W", "-", request.node.name)[:60] + ".")


@asynccontextmanager
async def admin_of(section: KafkaSection) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**client_options(section))
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


@asynccontextmanager
async def producer_of(section: KafkaSection) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(**client_options(section), acks="all", enable_idempotence=True)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def held(section: KafkaSection, topic: str, partition: int = 0) -> list[Any]:
    """Every record of a partition."""
    place = TopicPartition(topic, partition)
    consumer = AIOKafkaConsumer(**client_options(section), auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        records: list[Any] = []
        while await consumer.position(place) < end:
            records += (await consumer.getmany(place, timeout_ms=500)).get(place, [])
        return records
    finally:
        await consumer.stop()


async def test_topics_are_made_as_stated_whoever_comes_first(section: KafkaSection) -> None:
    assert await asyncio.gather(*(make_topics(section) for _ in range(3))) == [(), (), ()]
    wanted = topics(section)
    async with admin_of(section) as admin:
        found = {topic["topic"]: topic["partitions"] for topic in await admin.describe_topics()}
        resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in wanted]
        (answer,) = await admin.describe_configs(resources)
    settings = {name: {entry[0]: entry[1] for entry in entries} for _, _, _, name, entries in answer.resources}
    for topic in wanted:
        assert len(found[topic.name]) == topic.partitions
        assert {len(partition["replicas"]) for partition in found[topic.name]} == {topic.replication}
        assert topic.settings.items() <= settings[topic.name].items()


async def test_other_partition_counts_are_refused(section: KafkaSection) -> None:
    await make_topics(section)
    fewer = section.model_copy(update={"partitions": 3})
    with pytest.raises(TopicsRefused, match=r"images has 12 partitions and must have 3.*detections has 12"):
        await make_topics(fewer)


async def test_a_topic_that_would_lose_records_is_refused(section: KafkaSection) -> None:
    images = section.topic(IMAGES)
    harmful = {"cleanup.policy": "compact", "max.message.bytes": "1000", "message.timestamp.type": "CreateTime"}
    async with admin_of(section) as admin:
        await admin.create_topics([NewTopic(images, section.partitions, 1, topic_configs=harmful)])
    with pytest.raises(TopicsRefused) as refused:
        await make_topics(section)
    for fault in (
        "cleanup.policy is compact and must be delete",
        "message.timestamp.type is CreateTime and must be LogAppendTime",
        "max.message.bytes is 1000 and must be 262144 or more",
    ):
        assert f"topic {images}: {fault}" in str(refused.value)


async def test_a_topic_kept_for_another_time_is_used_and_said(section: KafkaSection) -> None:
    await make_topics(section)
    notes = await make_topics(section.model_copy(update={"images_kept_h": 1.0}))
    assert notes == (f"topic {section.topic(IMAGES)}: retention.ms is 21600000, configured is 3600000",)


async def test_more_copies_than_brokers_are_refused(section: KafkaSection) -> None:
    with pytest.raises(TopicsRefused, match="replication 3 is more than there are brokers"):
        await make_topics(section.model_copy(update={"replication": 3}))


async def test_no_topic_is_made_by_naming_it(section: KafkaSection) -> None:
    async with producer_of(section) as producer:
        with pytest.raises((KafkaError, TimeoutError)):
            async with asyncio.timeout(3):
                await producer.send_and_wait(section.topic("nobody-made-this"), b"x")
    async with admin_of(section) as admin:
        assert section.topic("nobody-made-this") not in await admin.list_topics()


async def test_a_wrong_clock_is_no_reason_to_lose_a_record(section: KafkaSection) -> None:
    await make_topics(section)
    other = section.topic("create-time")
    ahead_ms = round((datetime.now(UTC) + timedelta(days=3)).timestamp() * 1000)
    async with admin_of(section) as admin:
        await admin.create_topics([NewTopic(other, 1, 1, topic_configs={"message.timestamp.type": "CreateTime"})])
    async with producer_of(section) as producer:
        await producer.send_and_wait(section.topic(IMAGES), b"image", partition=0, timestamp_ms=ahead_ms)
        with pytest.raises(InvalidTimestampError):
            await producer.send_and_wait(other, b"image", timestamp_ms=ahead_ms)
    (record,) = await held(section, section.topic(IMAGES))
    assert abs(datetime.now(UTC).timestamp() - record.timestamp / 1000) < 60


async def test_a_record_may_be_as_large_as_stated_and_no_larger(section: KafkaSection) -> None:
    await make_topics(section)
    largest = 256 * 1024
    async with producer_of(section) as producer:
        await producer.send_and_wait(section.topic(IMAGES), b"x" * (largest - 1024), partition=0)
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_and_wait(section.topic(IMAGES), b"x" * largest, partition=0)
        await producer.send_and_wait(section.topic(DEAD_LETTERS), b"x" * largest)


async def put_letter(producer: AIOKafkaProducer, section: KafkaSection, value: bytes, **changes: str) -> None:
    where = {"reason": "no envelope", "topic": section.topic(IMAGES), "partition": "7", "offset": "41", **changes}
    headers = [(name, text.encode()) for name, text in where.items()]
    await producer.send_and_wait(section.topic(DEAD_LETTERS), value, key=b"north/a", headers=headers)


async def letters_of(section: KafkaSection) -> list[DeadLetter]:
    return [letter async for letter in dead_letters(section)]


async def test_a_dead_letter_tells_what_and_why_and_goes_back_where_it_came_from(section: KafkaSection) -> None:
    await make_topics(section)
    assert await letters_of(section) == []
    values = [b"\x00first", b"\xffsecond", b""]
    async with producer_of(section) as producer:
        for value in values:
            await put_letter(producer, section, value)
        await producer.send_and_wait(section.topic(DEAD_LETTERS), b"no letter of ours")
    letters = await letters_of(section)
    assert [(letter.number, letter.value) for letter in letters] == list(enumerate(values))
    first = letters[0]
    assert (first.reason, first.topic, first.partition) == ("no envelope", section.topic(IMAGES), 7)
    assert (first.offset, first.key) == (41, b"north/a")
    assert abs(datetime.now(UTC) - first.refused) < timedelta(minutes=1)
    assert await replay(section, [1]) == 1
    assert await replay(section) == 3
    back = await held(section, section.topic(IMAGES), 7)
    assert [(record.key, record.value) for record in back] == [(b"north/a", v) for v in (values[1], *values)]
    assert await letters_of(section) == letters


async def test_a_letter_that_cannot_go_back_stops_all(section: KafkaSection) -> None:
    await make_topics(section)
    async with producer_of(section) as producer:
        await put_letter(producer, section, b"ours")
        await put_letter(producer, section, b"foreign", topic="payments")
        await put_letter(producer, section, b"too far", partition="12")
        await put_letter(producer, section, b"itself", topic=section.topic(DEAD_LETTERS), partition="0")
    for number, reason in ((1, "payments"), (2, r"images\[12\]"), (3, "deadletters"), (9, "no dead letter 9")):
        with pytest.raises(LetterRefused, match=reason):
            await replay(section, [0, number])
    assert await held(section, section.topic(IMAGES), 7) == []


async def test_what_was_acknowledged_survives_the_broker(kafka: KafkaServer, section: KafkaSection) -> None:
    await make_topics(section)
    async with producer_of(section) as producer:
        for number in range(200):
            await producer.send_and_wait(section.topic(IMAGES), b"%d" % number, partition=0)
        await asyncio.to_thread(kafka.kill)
        await asyncio.to_thread(kafka.start)
        await producer.send_and_wait(section.topic(IMAGES), b"after", partition=0)
    values = [record.value for record in await held(section, section.topic(IMAGES))]
    assert values == [b"%d" % number for number in range(200)] + [b"after"]


async def test_a_frozen_broker_is_unreachable_and_not_waited_for(kafka: KafkaServer, section: KafkaSection) -> None:
    quick = section.model_copy(update={"request_timeout_s": 1.0})
    kafka.pause()
    try:
        async with asyncio.timeout(20):
            with pytest.raises(ClusterUnreachable, match=kafka.bootstrap[0]):
                await make_topics(quick)
    finally:
        kafka.resume()
    assert await make_topics(section) == ()


# Security: users by SASL/SCRAM, everything over TLS, the cluster's own controllers and brokers too.


async def test_with_login_and_tls_all_is_done_as_without(secure: KafkaServer) -> None:
    section = secure.section()
    await make_topics(section)
    async with producer_of(section) as producer:
        await put_letter(producer, section, b"secret image")
    assert await replay(section) == 1
    (record,) = await held(section, section.topic(IMAGES), 7)
    assert record.value == b"secret image"


async def test_either_strength_of_scram_is_known(secure: KafkaServer) -> None:
    login = secure.section().login
    assert login is not None
    weaker = login.model_copy(update={"mechanism": "SCRAM-SHA-256"})
    assert await make_topics(secure.section(login=weaker)) == ()


@pytest.mark.parametrize(
    ("wrong", "cause"),
    [
        ("password", "Authentication failed during authentication due to invalid credentials"),
        ("user", "Authentication failed during authentication due to invalid credentials"),
        ("no login", "closed"),
        ("no tls", "closed"),
        ("authority", "CERTIFICATE_VERIFY_FAILED"),
        ("name", "IP address mismatch|Hostname mismatch"),
    ],
)
async def test_without_the_right_secrets_nothing_is_had(
    secure: KafkaServer, wrong: str, cause: str, caplog: pytest.LogCaptureFixture
) -> None:
    port = secure.bootstrap[0].partition(":")[2]
    changes: dict[str, dict[str, object]] = {
        "password": {"login": KafkaLogin.model_validate({"username": "seacanary", "password": "wr0ng"})},
        "user": {"login": KafkaLogin.model_validate({"username": "stranger", "password": "wr0ng"})},
        "no login": {"login": None},
        "no tls": {"tls": None},
        "authority": {"tls": KafkaTls()},
        # The same address, written as the certificate does not have it.
        "name": {"bootstrap_servers": (f"127.1:{port}",)},
    }
    with caplog.at_level(logging.DEBUG), pytest.raises(ClusterUnreachable) as refused:
        await make_topics(secure.section(request_timeout_s=5, **changes[wrong]))
    assert f":{port}" in str(refused.value)
    assert re.search(cause, caplog.text)
    assert "wr0ng" not in str(refused.value) + caplog.text


# Three brokers, two of which acknowledge each record.


@pytest.mark.slow
@pytest.mark.usefixtures("_kafka_can_be_had")
async def test_one_of_three_brokers_may_die(tmp_path: Path) -> None:
    with KafkaServer(tmp_path / "kafka", brokers=3) as three:
        section = three.section(replication=3, partitions=3)
        await make_topics(section)
        sent: dict[int, list[bytes]] = {0: [], 1: [], 2: []}

        async def write(producer: AIOKafkaProducer, count: int) -> None:
            for number in range(count):
                partition, value = number % 3, b"%d" % sum(map(len, sent.values()))
                await producer.send_and_wait(section.topic(IMAGES), value, partition=partition)
                sent[partition].append(value)

        async with producer_of(section) as producer:
            await write(producer, 30)
            for victim in (1, 2, 3):
                await asyncio.to_thread(three.kill, victim)
                await write(producer, 30)
                await asyncio.to_thread(three.start, victim)
                await all_in_sync(section)
        for partition, values in sent.items():
            assert [record.value for record in await held(section, section.topic(IMAGES), partition)] == values


async def all_in_sync(section: KafkaSection) -> None:
    """Wait until every record is held by as many brokers as configured."""
    async with asyncio.timeout(60), admin_of(section) as admin:
        while True:
            found = await admin.describe_topics()
            (images,) = (topic for topic in found if topic["topic"] == section.topic(IMAGES))
            copies = {len(partition["isr"]) for partition in images["partitions"]}
            if copies == {section.replication}:
                return
            await asyncio.sleep(0.2)
