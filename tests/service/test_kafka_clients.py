"""Clients are closed in bounded time, whatever their library does, and leave nothing behind."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiokafka import AIOKafkaProducer

from seacanary import kafka_clients
from seacanary.kafka_clients import close_consumer, drop_producer


class Consumer:
    """As close_consumer uses one."""

    def __init__(self, stop: Callable[[], Awaitable[None]]) -> None:
        self.stop, self.paused = stop, set[str]()

    def assignment(self) -> frozenset[str]:
        return frozenset({"events-0"})

    def pause(self, *places: str) -> None:
        self.paused |= set(places)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_clients, "CLOSE_S", 0.05)
    monkeypatch.setattr(kafka_clients, "FETCH_ENDS_S", 0.01)


async def raises_cancelled() -> None:
    """As a fetch that waits to be tried again, cancelled by its consumer."""
    stray = asyncio.create_task(asyncio.sleep(60))
    stray.cancel()
    await stray


async def fails() -> None:
    raise OSError("no route")


async def hangs() -> None:
    await asyncio.sleep(60)


async def hears_nothing() -> None:
    while True:
        try:
            await asyncio.sleep(0.3)
        except asyncio.CancelledError:
            continue
        return


@pytest.mark.parametrize("stop", [raises_cancelled, fails, hangs, hears_nothing])
async def test_whatever_stop_does_the_caller_goes_on(stop: Callable[[], Awaitable[None]]) -> None:
    consumer = Consumer(stop)
    async with asyncio.timeout(5):
        await close_consumer(consumer)
    assert consumer.paused == {"events-0"}
    await asyncio.sleep(0.35)


async def test_who_is_cancelled_meanwhile_is_cancelled() -> None:
    closing = asyncio.create_task(close_consumer(Consumer(hangs)))
    await asyncio.sleep(0.02)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing


async def far_away(*_: object, **__: object) -> None:
    """As brokers that are reached, and never answer."""


@pytest.mark.parametrize("sends", ["a batch of ours", "a record"])
async def test_a_producer_is_dropped_with_its_sender_and_what_it_has_not_sent(
    monkeypatch: pytest.MonkeyPatch, sends: str
) -> None:
    before = asyncio.all_tasks()
    producer = AIOKafkaProducer()
    for name in ("bootstrap", "_wait_on_metadata", "force_metadata_update"):
        monkeypatch.setattr(producer.client, name, far_away if name != "force_metadata_update" else asyncio.Future)
    monkeypatch.setattr(producer, "_partition", lambda *_: 0)
    await producer.start()
    if sends == "a record":
        unsent = await producer.send("images", b"one", partition=0)
    else:
        batch = producer.create_batch()
        batch.append(key=None, value=b"one", timestamp=None)
        unsent = await producer.send_batch(batch, "images", partition=0)
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await drop_producer(producer)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    unsent.cancel()  # nobody will ever say what became of it


async def test_a_producer_that_never_started_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    producer = AIOKafkaProducer()
    monkeypatch.setattr(producer.client, "bootstrap", fails)
    with pytest.raises(OSError, match="no route"):
        await producer.start()
    await drop_producer(producer)
