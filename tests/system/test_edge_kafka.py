"""An edge on a real Kafka: killed, cut off and slow in its clock, it loses nothing of what it put on disk."""

import asyncio
import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from byte_models import write_byte_model
from cluster_samples import HOP, image
from kafka_server import KafkaServer, why_not
from seacanary.cluster.edge_runner import kafka_carrier
from seacanary.cluster.envelope import EdgeClock, Envelope, ImageEnvelope, key_of
from seacanary.cluster.envelope_codec import decode, encode
from seacanary.cluster.image_spool import FILE, Spooled
from seacanary.cluster.kafka_carrier import KafkaCarrier
from seacanary.cluster.section import KafkaSection
from seacanary.cluster.security import client_options
from seacanary.cluster.shipping import BrokersAway
from seacanary.cluster.topics import IMAGES, make_topics
from topic_records import records_of

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(600)]

CHILD = Path(__file__).parent / "edge_child.py"
HYDROPHONES = ("a", "b", "c")
LONGEST_WAIT_S = 120


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    if reason := why_not():
        pytest.skip(reason)
    with KafkaServer(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture
def kafka(server: KafkaServer, tmp_path: Path) -> KafkaSection:
    """Topics of its own for each test."""
    return server.section(topic_prefix=f"{tmp_path.name}.", partitions=4)


class EdgeFolder:
    """An edge with simulated live hydrophones, its spool and its log, in one folder."""

    def __init__(self, folder: Path, kafka: KafkaSection) -> None:
        self.folder, self.kafka = folder, kafka
        tree = {
            "station": {"name": "pier"},
            "model": {"path": str(write_byte_model(folder / "model"))},
            "sources": [{"kind": "simulated", "hydrophones": list(HYDROPHONES), "sample_rate_hz": 8000}],
            "supervision": {"stall_s": 60, "opening_s": 60},
            "metrics": {"enabled": False},
            "kafka": kafka.model_dump(mode="json"),
            "edge": {"spool": str(folder / "spool")},
        }
        (folder / "edge.json").write_text(json.dumps(tree), encoding="utf-8")

    @contextmanager
    def process(self) -> Iterator[subprocess.Popen[bytes]]:
        """A run of the edge, killed on exit."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(CHILD.parents[1])}
        with (self.folder / "edge.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, CHILD, self.folder / "edge.json"], stdout=log, stderr=log, env=environment
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def finish(self) -> None:
        """One more run, told to stop once something of it has arrived; it leaves nothing on disk."""
        before = self.stored()
        with self.process() as process:
            self.wait_stored(before + 10)
            self.wait_empty()
            process.terminate()
            assert process.wait(60) == 0, self.log()
        assert self.waiting() == 0, self.log()

    def stored(self) -> int:
        """The highest number that was ever put on disk."""
        return self._ask("SELECT coalesce(max(seq), 0) FROM sqlite_sequence")

    def waiting(self) -> int:
        """Envelopes on disk."""
        return self._ask("SELECT count(*) FROM envelopes")

    def wait_stored(self, number: int) -> None:
        wait_until(lambda: self.stored() >= number, f"envelope {number} is on disk", self.log)

    def wait_empty(self) -> None:
        """Wait until the brokers have nearly all of it; live audio goes on."""
        wait_until(lambda: self.waiting() < 10, "the spool is drained", self.log)

    def log(self) -> str:
        return (self.folder / "edge.log").read_text(encoding="utf-8", errors="replace")[-3000:]

    def arrived(self) -> list[Any]:
        """All records of the images topic."""
        return asyncio.run(records_of(self.kafka, IMAGES))

    def _ask(self, query: str) -> int:
        path = self.folder / "spool" / FILE
        if not path.exists():
            return 0
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            try:
                return int(connection.execute(query).fetchone()[0])
            except sqlite3.OperationalError:  # it is being made
                return 0


def wait_until(condition: Any, what: str, log: Any = str) -> None:
    deadline = time.monotonic() + LONGEST_WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}\n{log()}"
        time.sleep(0.05)


def assert_all_arrived_in_order(edge: EdgeFolder) -> dict[int, bytes]:
    """Each number once, or again as the very same bytes; each hydrophone's in order and without a hole.

    Returns:
        Records by number.
    """
    by_number: dict[int, bytes] = {}
    by_partition: dict[int, list[Any]] = defaultdict(list)
    for record in edge.arrived():
        item = decode(record.value)
        assert record.key == key_of("pier", item.hydrophone)
        assert by_number.setdefault(item.number, record.value) == record.value
        by_partition[record.partition].append((record.offset, item))
    assert sorted(by_number) == list(range(1, edge.stored() + 1))
    partitions_of: dict[str, set[int]] = defaultdict(set)
    for partition, found in by_partition.items():
        reached: dict[str, int] = {}
        for _, item in sorted(found, key=lambda pair: pair[0]):
            partitions_of[item.hydrophone].add(partition)
            newest = reached.setdefault(item.hydrophone, item.number)
            # Repeats begin anew with something seen; nothing new comes before what precedes it.
            if item.number > newest:
                skipped = [n for n in range(newest + 1, item.number) if hydrophone_of(by_number[n]) == item.hydrophone]
                assert not skipped
                reached[item.hydrophone] = item.number
    assert all(len(places) == 1 for places in partitions_of.values())
    assert set(partitions_of) == set(HYDROPHONES)
    return by_number


def hydrophone_of(record: bytes) -> str:
    return decode(record).hydrophone


def assert_no_window_is_missing(envelopes: Sequence[Envelope], *, epochs: int) -> None:
    """Within each epoch windows follow each other hop by hop; what a stop cuts last may overlap more."""
    streams: dict[tuple[str, str], list[int]] = defaultdict(list)
    for item in envelopes:
        if isinstance(item, ImageEnvelope):
            streams[item.hydrophone, item.epoch.isoformat()].append(item.first_sample)
    assert len(streams) == epochs * len(HYDROPHONES)
    for firsts in streams.values():
        hops = [later - earlier for earlier, later in pairwise(sorted(set(firsts)))]
        assert set(hops[:-1]) <= {HOP}
        assert all(hop <= HOP for hop in hops[-1:])


def test_ten_kills_lose_nothing_of_what_was_put_on_disk(kafka: KafkaSection, tmp_path: Path) -> None:
    edge, rng = EdgeFolder(tmp_path, kafka), random.Random(6)
    for _ in range(10):
        before = edge.stored()
        with edge.process() as process:
            edge.wait_stored(before + rng.randint(1, 60))
            time.sleep(rng.uniform(0, 0.2))
            process.kill()
    edge.finish()
    by_number = assert_all_arrived_in_order(edge)
    assert_no_window_is_missing([decode(record) for record in by_number.values()], epochs=11)


def test_a_broker_that_is_away_gets_all_of_it_in_order_when_it_is_back(
    kafka: KafkaSection, server: KafkaServer, tmp_path: Path
) -> None:
    edge = EdgeFolder(tmp_path, kafka.model_copy(update={"request_timeout_s": 3.0}))
    with edge.process() as process:
        edge.wait_stored(60)
        edge.wait_empty()
        server.kill()
        try:
            before = edge.stored()
            edge.wait_stored(before + 300)
            assert edge.waiting() >= 290
        finally:
            server.start()
        edge.wait_empty()
        process.terminate()
        assert process.wait(60) == 0, edge.log()
    edge.finish()
    by_number = assert_all_arrived_in_order(edge)
    assert_no_window_is_missing([decode(record) for record in by_number.values()], epochs=2)
    log = (tmp_path / "edge.log").read_text(encoding="utf-8")
    assert log.count("brokers away, images wait on disk") == 1
    assert len(log.splitlines()) < 120  # aiokafka's own lines are held back


def test_a_frozen_broker_is_waited_for(kafka: KafkaSection, server: KafkaServer, tmp_path: Path) -> None:
    hasty = kafka.model_copy(update={"request_timeout_s": 3.0})
    edge = EdgeFolder(tmp_path, hasty)
    with edge.process() as process:
        edge.wait_stored(60)
        server.pause()
        try:
            edge.wait_stored(edge.stored() + 300)
        finally:
            server.resume()
        edge.wait_empty()
        process.terminate()
        assert process.wait(60) == 0, edge.log()
    edge.finish()
    assert_all_arrived_in_order(edge)


def parcel(count: int, *, first: int = 1, pixels: int = 4000) -> list[Spooled]:
    """Images of three hydrophones in turn, as a spool hands them out."""
    items = []
    for number in range(first, first + count):
        name = HYDROPHONES[number % 3]
        record = encode(replace(image(number, hydrophone=name, pixels=pixels), number=number))
        items.append(Spooled(number, name, record))
    return items


def test_a_parcel_larger_than_a_batch_arrives_in_parts_from_its_beginning(kafka: KafkaSection) -> None:
    async def ship() -> list[int]:
        carrier = kafka_carrier(kafka.model_copy(update={"partitions": 1}), station="pier")
        left, sizes = parcel(200), []
        while left:
            receipt = await carrier.send(left)
            assert list(receipt.sent) == left[: len(receipt.sent)]
            sizes.append(len(receipt.sent))
            left = left[len(receipt.sent) :]
        await carrier.aclose()
        return sizes

    sizes = asyncio.run(ship())
    assert len(sizes) > 2
    found = asyncio.run(records_of(kafka.model_copy(update={"partitions": 1}), IMAGES))
    assert [decode(record.value).number for record in found] == list(range(1, 201))


@pytest.mark.parametrize("wrong_by_s", [-3600.0, 0.0, 3600.0])
def test_a_clock_that_is_wrong_by_an_hour_shows_in_the_receipt(kafka: KafkaSection, wrong_by_s: float) -> None:
    async def ship() -> float | None:
        carrier = KafkaCarrier(
            options=client_options(kafka),
            topic=kafka.topic(IMAGES),
            station="pier",
            prepare=lambda: make_topics(kafka),
            system_s=lambda: time.time() + wrong_by_s,
        )
        await carrier.send(parcel(1))
        receipt = await carrier.send(parcel(1, first=2))
        await carrier.aclose()
        return receipt.broker_ahead_s

    ahead_s = asyncio.run(ship())
    assert ahead_s == pytest.approx(-wrong_by_s, abs=5)
    assert EdgeClock(broker_ahead_s=ahead_s) != EdgeClock()


def test_topics_of_another_shape_are_not_written_to(kafka: KafkaSection) -> None:
    async def ship() -> None:
        await make_topics(kafka)
        carrier = kafka_carrier(kafka.model_copy(update={"partitions": 3}), station="pier")
        with pytest.raises(BrokersAway, match="has 4 partitions and must have 3"):
            await carrier.send(parcel(3))
        await carrier.aclose()

    asyncio.run(ship())
    assert not asyncio.run(records_of(kafka, IMAGES))


def test_nobody_there_is_said_and_nothing_hangs(kafka: KafkaSection) -> None:
    async def ship() -> None:
        nobody = kafka.model_copy(update={"bootstrap_servers": ("127.0.0.1:1",)})
        carrier = kafka_carrier(nobody, station="pier")
        async with asyncio.timeout(20):
            for _ in range(2):
                with pytest.raises(BrokersAway):
                    await carrier.send(parcel(1))
        await carrier.aclose()

    asyncio.run(ship())


def test_a_broker_that_freezes_leaves_no_sender_behind(server: KafkaServer, kafka: KafkaSection) -> None:
    async def only(tasks: set[asyncio.Task[Any]]) -> None:
        async with asyncio.timeout(30):
            while asyncio.all_tasks() != tasks:
                await asyncio.sleep(0.05)

    async def sent(carrier: KafkaCarrier, items: list[Spooled]) -> None:
        async with asyncio.timeout(LONGEST_WAIT_S):
            while True:
                with suppress(BrokersAway):  # slow ones, perhaps
                    await carrier.send(items)
                    return

    async def ship() -> None:
        before = asyncio.all_tasks()
        carrier = kafka_carrier(kafka.model_copy(update={"request_timeout_s": 5}), station="pier")
        await sent(carrier, parcel(6))
        server.pause(1)
        try:
            with pytest.raises(BrokersAway):
                await carrier.send(parcel(6, first=7))
            await only(before)
        finally:
            server.resume(1)
        await sent(carrier, parcel(6, first=7))
        await carrier.aclose()
        await only(before)

    asyncio.run(ship())
    found = [decode(record.value).number for record in asyncio.run(records_of(kafka, IMAGES))]
    assert set(found) == set(range(1, 13))


def test_password_and_encryption_are_used(tmp_path: Path) -> None:
    if reason := why_not():
        pytest.skip(reason)

    async def ship(section: KafkaSection) -> int:
        carrier = kafka_carrier(section, station="pier")
        receipt = await carrier.send(parcel(6))
        await carrier.aclose()
        return len(receipt.sent)

    with KafkaServer(tmp_path / "secure", secure=True) as server:
        assert asyncio.run(ship(server.section(partitions=1))) == 6
        with pytest.raises(BrokersAway):
            asyncio.run(ship(server.section(partitions=1, login=None)))
