"""Dead letters are read and sent again, or an error says within bounded time that the brokers do not answer."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from seacanary.cluster import dead_letter_reading
from seacanary.cluster.dead_letter_reading import DeadLetter, dead_letters, replay
from seacanary.cluster.dead_letters import OFFSET, PARTITION, REASON, TOPIC
from seacanary.cluster.section import KafkaSection
from seacanary.cluster.topics import ClusterUnreachable

SECTION = KafkaSection(request_timeout_s=0.5)
LETTERS = 3


def record(offset: int) -> Any:
    headers = {REASON: b"damaged", TOPIC: b"seacanary.images", PARTITION: b"2", OFFSET: b"%d" % (40 + offset)}
    return SimpleNamespace(
        offset=offset, timestamp=1_777_640_000_000, key=b"pier/h1", value=b"x", headers=headers.items()
    )


class Consumer:
    """Reads letters one by one, until the brokers go away."""

    away_after: float = float("inf")
    hangs_at_the_end_offsets = False

    def __init__(self, **_: object) -> None:
        self.at = 0

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def assign(self, _: object) -> None: ...

    def assignment(self) -> frozenset[str]:
        return frozenset()

    def pause(self) -> None: ...

    async def seek_to_beginning(self, _: object) -> None: ...

    async def end_offsets(self, places: list[object]) -> dict[object, int]:
        if self.hangs_at_the_end_offsets:
            await asyncio.Event().wait()
        return dict.fromkeys(places, LETTERS)

    async def position(self, _: object) -> int:
        return self.at

    async def getmany(self, place: object, *, timeout_ms: int) -> dict[object, list[Any]]:
        if self.at >= self.away_after:
            await asyncio.sleep(timeout_ms / 1000)
            return {}
        self.at += 1
        return {place: [record(self.at - 1)]}


class Producer:
    """Sends the first, and then nothing."""

    def __init__(self, **_: object) -> None: ...

    async def start(self) -> None: ...

    async def send_and_wait(self, *_: object, **__: object) -> None:
        await asyncio.Event().wait()


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> type[Consumer]:
    class Mine(Consumer):
        """Of this test alone."""

    monkeypatch.setattr(dead_letter_reading, "AIOKafkaConsumer", Mine)
    return Mine


async def listed() -> list[DeadLetter]:
    async with asyncio.timeout(30):
        return [letter async for letter in dead_letters(SECTION)]


async def test_all_letters_are_listed(consumer: type[Consumer]) -> None:
    assert [(letter.number, letter.offset) for letter in await listed()] == [(0, 40), (1, 41), (2, 42)]


async def test_brokers_that_go_away_midway_are_named(consumer: type[Consumer]) -> None:
    consumer.away_after = 1
    with pytest.raises(ClusterUnreachable, match=r"9092: no answer within 0\.5 s"):
        await listed()


async def test_brokers_that_go_away_at_the_beginning_are_named(consumer: type[Consumer]) -> None:
    consumer.hangs_at_the_end_offsets = True
    with pytest.raises(ClusterUnreachable, match="no answer"):
        await listed()


async def test_a_letter_that_is_not_acknowledged_is_not_waited_for_for_ever(
    consumer: type[Consumer], monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped: list[Producer] = []

    async def drop(producer: Producer) -> None:
        dropped.append(producer)

    monkeypatch.setattr(dead_letter_reading, "AIOKafkaProducer", Producer)
    monkeypatch.setattr(dead_letter_reading, "drop_producer", drop)
    async with asyncio.timeout(30):
        with pytest.raises(ClusterUnreachable, match="no answer"):
            await replay(SECTION)
    assert len(dropped) == 1
