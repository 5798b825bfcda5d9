"""Order: a partition's records are taken one after another, also over rebalances."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP
from faust.types.tuples import Message
from mode.services import Service

from seacanary.cluster.ordered_consumer import Order, OrderedConsumer, RecordsSkipped

IMAGES = TP("images", 3)
CHANGELOG = TP("changelog", 3)


def record(offset: int, *, generation: int = 1, tp: TP = IMAGES) -> Message:
    return Message(
        tp.topic, tp.partition, offset, timestamp=0.0, timestamp_type=1, headers=None, key=b"", value=b"",
        checksum=None, generation_id=generation,
    )  # fmt: skip


def test_records_come_one_after_another() -> None:
    order = Order(lambda: {IMAGES: 5})
    for offset in (5, 6, 7):
        order.check(record(offset))
    with pytest.raises(RecordsSkipped, match=r"images\[3\]: expected 8, got 9"):
        order.check(record(9))


def test_a_partition_begins_where_it_was_committed() -> None:
    with pytest.raises(RecordsSkipped, match="expected 5, got 6"):
        Order(lambda: {IMAGES: 5}).check(record(6))


def test_after_a_rebalance_records_go_on_from_the_commit_and_not_beyond() -> None:
    begins_at = {IMAGES: 0}
    order = Order(lambda: begins_at)
    for offset in range(10):
        order.check(record(offset))
    begins_at[IMAGES] = 4
    order.check(record(10))  # of the generation before, which was in work
    order.check(record(4, generation=2))
    with pytest.raises(RecordsSkipped, match="expected 5, got 11"):
        order.check(record(11, generation=2))


def test_what_another_worker_has_done_meanwhile_is_no_hole() -> None:
    begins_at = {IMAGES: 0}
    order = Order(lambda: begins_at)
    order.check(record(0))
    begins_at[IMAGES] = 100
    order.check(record(100, generation=3))


def test_records_read_again_are_taken() -> None:
    order = Order(lambda: {IMAGES: 0})
    for offset in (0, 1, 2, 0, 1, 2, 3):
        order.check(record(offset))


def test_partitions_are_apart() -> None:
    order = Order(lambda: {IMAGES: 5})
    order.check(record(5))
    order.check(record(70, tp=TP("images", 4)))


class Broker:
    """Stands in for all that a consumer does by itself: a partition of images, and a changelog."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.position = 0
        self.earliest = 0
        self.meanwhile: Callable[[], None] = lambda: None
        monkeypatch.setattr(Consumer, "__init__", self._init)
        monkeypatch.setattr(Consumer, "_getmany", self._getmany)
        monkeypatch.setattr(Consumer, "seek_to_committed", self._seek_to_committed)
        monkeypatch.setattr(Consumer, "perform_seek", lambda consumer: consumer.seek_to_committed())
        monkeypatch.setattr(Consumer, "earliest_offsets", self._earliest_offsets)
        monkeypatch.setattr(Consumer, "resume_flow", lambda _: None)
        monkeypatch.setattr(Consumer, "seek", self._seek)
        monkeypatch.setattr(Consumer, "_is_changelog_tp", lambda _, tp: tp == CHANGELOG)

    @staticmethod
    def _init(consumer: Consumer, transport: Any) -> None:
        consumer.app = transport.app

    async def _getmany(self, *_: Any) -> dict[TP, list[int]]:
        """Two records, which the position goes on by."""
        self.position += 2
        found = {IMAGES: [self.position - 2, self.position - 1], CHANGELOG: [0]}
        self.meanwhile()
        return found

    async def _seek_to_committed(self) -> dict[TP, int]:
        self.position = 10
        return {IMAGES: 10}

    async def _earliest_offsets(self, *tps: TP) -> dict[TP, int]:
        return dict.fromkeys(tps, self.earliest)

    async def _seek(self, _: TP, offset: int) -> None:
        self.position = offset


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    return Broker(monkeypatch)


@pytest.fixture
def expired() -> list[tuple[str, int]]:
    """Topic and number of records that were told to have expired."""
    return []


@pytest.fixture
def consumer(broker: Broker, expired: list[tuple[str, int]]) -> OrderedConsumer:
    """One that was just assigned its partitions."""
    app = SimpleNamespace(consumer_generation_id=7)  # no more of it is asked for
    return OrderedConsumer(SimpleNamespace(app=app, on_expired=lambda *what: expired.append(what)))


async def images(consumer: OrderedConsumer) -> list[int]:
    """The next images that are handed over."""
    found: dict[TP, list[int]] = await consumer._getmany({IMAGES, CHANGELOG}, 1.0)
    assert found[CHANGELOG] == [0]
    return found.get(IMAGES, [])


async def test_nothing_but_changelogs_flows_before_the_seek(consumer: OrderedConsumer) -> None:
    consumer.resume_flow()
    assert await images(consumer) == []
    await consumer.seek_to_committed()
    consumer.resume_flow()
    assert await images(consumer) == [10, 11]


async def test_what_was_read_in_vain_during_the_seek_is_read_again(consumer: OrderedConsumer) -> None:
    await consumer.seek_to_committed()
    assert await images(consumer) == []  # the flow is not resumed yet
    consumer.resume_flow()
    assert await images(consumer) == [10, 11]


async def test_a_read_that_began_before_the_flow_and_ends_in_it_leaves_no_hole(
    consumer: OrderedConsumer, broker: Broker
) -> None:
    await consumer.seek_to_committed()
    assert await images(consumer) == []
    broker.meanwhile = consumer.resume_flow
    assert await images(consumer) == []  # 12 and 13, while 10 and 11 went by
    broker.meanwhile = lambda: None
    assert await images(consumer) == [10, 11]


async def test_what_expired_unread_is_told_once(
    consumer: OrderedConsumer, broker: Broker, expired: list[tuple[str, int]]
) -> None:
    await consumer.seek_to_committed()
    assert expired == []
    broker.earliest = 15
    await consumer.seek_to_committed()
    await consumer.seek_to_committed()  # another rebalance, before anything was committed
    broker.earliest = 18
    await consumer.seek_to_committed()
    assert expired == [("images", 5), ("images", 3)]
    consumer.resume_flow()
    assert await images(consumer) == [18, 19]


@pytest.fixture
def delivering(consumer: OrderedConsumer) -> OrderedConsumer:
    """One that hands records to agents."""
    Service.__init__(consumer)
    consumer.suspend_flow = asyncio.Event()
    return consumer


def tasks() -> int:
    return len(asyncio.all_tasks())


async def test_a_delivery_that_need_not_wait_takes_no_task(delivering: OrderedConsumer) -> None:
    began_with, seen = tasks(), []

    async def deliver() -> str:
        seen.append(tasks())
        return "delivered"

    came_first = await delivering.wait_first(deliver(), delivering.suspend_flow.wait())
    assert came_first.results == ["delivered"]
    assert not came_first.stopped
    assert seen == [began_with] == [tasks()]


async def test_a_delivery_to_an_agent_without_room_goes_on_when_there_is(delivering: OrderedConsumer) -> None:
    room, delivered = asyncio.Event(), []

    async def deliver() -> None:
        await room.wait()
        delivered.append(1)

    asyncio.get_running_loop().call_later(0.01, room.set)
    await delivering.wait_first(deliver(), delivering.suspend_flow.wait())
    assert delivered == [1]


@pytest.mark.parametrize("begins_suspended", [True, False])
async def test_a_rebalance_cuts_a_delivery_short(delivering: OrderedConsumer, begins_suspended: bool) -> None:
    left: list[str] = []

    async def deliver() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            left.append("left")

    if begins_suspended:
        delivering.suspend_flow.set()
    else:
        asyncio.get_running_loop().call_later(0.01, delivering.suspend_flow.set)
    async with asyncio.timeout(5):
        await delivering.wait_first(deliver(), delivering.suspend_flow.wait())
        await asyncio.sleep(0.01)
    assert left == ["left"]


async def test_what_is_no_delivery_is_awaited_as_ever(delivering: OrderedConsumer) -> None:
    event = asyncio.Event()
    event.set()
    assert (await delivering.wait_first(event)).done == [event]
    delivering._stopped.set()
    assert (await delivering.wait_first(asyncio.sleep(5), asyncio.sleep(5))).stopped
