"""An edge's own events, followed through outages into its journal."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from event_samples import event
from seacanary.cluster import edge_events
from seacanary.cluster.edge_events import CLOCKS_AGREE_MS, NEXT_OFFSET, Batch, EventsAway, StationEvents
from seacanary.cluster.event_journal import EventRecord
from seacanary.events import PresenceEvent
from seacanary.journal import Journal

OURS = event(0).station
CLIP = "north/2026-05-01/20260501T000000Z_beluga_started_00000000"


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_events, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(edge_events, "LOOK_S", 0.02)


def ours(sample: int) -> PresenceEvent:
    return event(sample).model_copy(update={"evidence": CLIP})


def another(sample: int) -> PresenceEvent:
    return ours(sample).model_copy(update={"station": "elsewhere"})


@dataclass
class Topic:
    """An events topic in memory; `away` and `mute` are what may befall it."""

    values: list[bytes] = field(default_factory=list)
    begins: list[tuple[int | None, int]] = field(default_factory=list)
    away: bool = False
    mute: bool = False

    def tell(self, *events: PresenceEvent) -> None:
        self.values += [told.model_dump_json().encode() for told in events]

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["Reader"]:
        if self.away:
            raise EventsAway("nobody answers")
        yield Reader(self)


@dataclass
class Reader:
    topic: Topic
    place: int = 0

    async def begin(self, next_offset: int | None, *, since_ms: int) -> int:
        self.topic.begins.append((next_offset, since_ms))
        self.place = next_offset or 0
        return self.place

    async def read(self) -> Batch:
        await asyncio.sleep(0.005)
        if self.topic.away:
            raise EventsAway("connection lost")
        values = [] if self.topic.mute else self.topic.values[self.place : self.place + 3]
        first, self.place = self.place, self.place + len(values)
        return Batch([EventRecord(first + i, 0, value) for i, value in enumerate(values)], self.place)

    async def end(self) -> int:
        return len(self.topic.values)


@dataclass
class Following:
    """One process that follows, and what it was told."""

    journal: Journal
    reached: list[bool]
    events: StationEvents

    async def stored(self) -> list[PresenceEvent]:
        return [entry.event async for entry in self.journal.entries() if isinstance(entry.event, PresenceEvent)]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                await asyncio.sleep(0.005)


@asynccontextmanager
async def following(folder: Path, topic: Topic, *, system_s: float = 10_000.0) -> AsyncIterator[Following]:
    reached: list[bool] = []
    async with await Journal.open(folder / "journal.db") as journal:

        async def record(events: Sequence[PresenceEvent], states: dict[str, str]) -> None:
            await journal.append(events, states=states)

        events = StationEvents(
            OURS,
            topic.connect,
            states=journal.states,
            record=record,  # type: ignore[arg-type]
            on_reach=reached.append,
            system_s=lambda: system_s,
        )
        task = asyncio.create_task(events.run())
        try:
            yield Following(journal, reached, events)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_events_of_this_station_are_stored_and_no_others(tmp_path: Path) -> None:
    topic = Topic()
    topic.tell(ours(1), another(2), ours(3))
    topic.values.append(b"no event")
    topic.tell(ours(4))
    async with following(tmp_path, topic) as process:
        assert await process.events.drain(10)
        assert await process.stored() == [ours(1), ours(3), ours(4)]
        assert (await process.journal.states())[NEXT_OFFSET] == "5"
        topic.tell(ours(5))
        assert await process.events.drain(10)
        assert await process.stored() == [ours(1), ours(3), ours(4), ours(5)]


async def test_after_a_restart_it_goes_on_where_it_was(tmp_path: Path) -> None:
    topic = Topic()
    topic.tell(ours(1), ours(2))
    for sample in (3, 4):
        async with following(tmp_path, topic) as process:
            assert await process.events.drain(10)
        topic.tell(ours(sample), ours(1))  # a repeat, as workers that died may send
    async with following(tmp_path, topic) as process:
        assert await process.events.drain(10)
        assert await process.stored() == [ours(1), ours(2), ours(3), ours(4)]
    assert [begun[0] for begun in topic.begins] == [None, 2, 4]


async def test_a_new_edge_begins_with_what_is_younger_than_itself_even_if_brokers_come_late(tmp_path: Path) -> None:
    topic = Topic(away=True)
    async with following(tmp_path, topic, system_s=10_000.0) as process:
        await process.until(lambda: bool(process.reached))
    topic.away = False
    async with following(tmp_path, topic, system_s=20_000.0) as process:
        assert await process.events.drain(10)
    async with following(tmp_path, topic, system_s=30_000.0) as process:
        assert await process.events.drain(10)
    assert topic.begins[0] == (None, 20_000_000 - CLOCKS_AGREE_MS)
    assert topic.begins[1][1] == topic.begins[0][1]


async def test_an_outage_is_waited_for_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    topic = Topic()
    async with following(tmp_path, topic) as process:
        assert await process.events.drain(10)
        topic.away = True
        topic.tell(ours(1))
        await process.until(lambda: process.reached.count(False) >= 3)
        assert not await process.events.drain(0.1)
        assert await process.stored() == []
        topic.away = False
        assert await process.events.drain(10)
        assert await process.stored() == [ours(1)]
    said = [record.message for record in caplog.records if record.name == edge_events.__name__]
    assert said == ["events cannot be read, clips wait: connection lost", "events are read again"]


async def test_a_connection_through_which_nothing_comes_is_made_anew(tmp_path: Path) -> None:
    topic = Topic()
    async with following(tmp_path, topic) as process:
        assert await process.events.drain(10)
        topic.mute = True
        topic.tell(ours(1))
        await process.until(lambda: len(topic.begins) >= 2)
        topic.mute = False
        assert await process.events.drain(10)
        assert await process.stored() == [ours(1)]


async def test_it_settles_when_nothing_has_come_for_a_while(tmp_path: Path) -> None:
    topic = Topic()
    topic.tell(ours(1))
    async with following(tmp_path, topic) as process:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        loop.call_later(0.2, partial(topic.tell, ours(2)))
        await process.events.settle(quiet_s=0.4, timeout_s=10)
        assert loop.time() - began_s >= 0.6
        assert len(await process.stored()) == 2
        await process.events.settle(quiet_s=60, timeout_s=0.1)


async def test_workers_that_name_no_clips_are_told_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    topic = Topic()
    topic.tell(event(1), event(2))
    async with following(tmp_path, topic) as process:
        assert await process.events.drain(10)
    assert [record.message.count("clips: true") for record in caplog.records] == [1]
