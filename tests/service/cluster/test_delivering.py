"""Delivering: publishers run while the partition is held, and go on where another worker stopped."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from event_samples import event
from fakes import ListPublisher
from seacanary.cluster.delivering import Delivering, OnChange
from seacanary.cluster.event_journal import EventRecord
from seacanary.errors import JournalError
from seacanary.journal import Journal
from seacanary.journal_store import JournalStore
from seacanary.publishers.delivery import Delivery, DeliveryPolicy

RECORDS = [EventRecord(n, 1000 + n, event(n).model_dump_json().encode()) for n in range(20)]


class Topic:
    """The events and cursors topics, in memory."""

    def __init__(self, records: Sequence[EventRecord] = ()) -> None:
        self.records, self.said = list(records), dict[str, int]()

    async def events(self, after: int) -> AsyncIterator[Sequence[EventRecord]]:
        if self.records[after:]:
            yield self.records[after:]

    async def cursors(self) -> dict[str, int]:
        return dict(self.said)

    async def say(self, publisher: str, sequence: int) -> None:
        self.said[publisher] = sequence


def worker(path: Path, topic: Topic, publisher: ListPublisher, *, newcomers: Sequence[str] = ()) -> Delivering:
    def open_deliveries(journal: Journal, opened: AsyncExitStack, on_change: OnChange) -> Sequence[Delivery]:
        opened.push_async_callback(publisher.aclose)
        return [Delivery(journal, publisher, policy=DeliveryPolicy(), on_change=on_change)]

    return Delivering(path, topic, open_deliveries=open_deliveries, on_change=lambda _: None, newcomers=newcomers)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


def offsets(publisher: ListPublisher) -> list[int]:
    return [entry.event.onset_sample for entry in publisher.received]  # type: ignore[union-attr]  # presences alone


async def test_events_go_to_publishers_in_order(tmp_path: Path) -> None:
    topic, publisher = Topic(), ListPublisher()
    delivering = worker(tmp_path / "events.db", topic, publisher)
    delivering.begin()
    for record in RECORDS:
        topic.records.append(record)
        assert await delivering.take(record) == []
    await until(lambda: topic.said == {"list": len(RECORDS)})
    await delivering.end()
    assert offsets(publisher) == list(range(20))
    assert topic.said == {"list": 20}


async def test_another_worker_goes_on_where_this_one_stopped(tmp_path: Path) -> None:
    topic, first, second = Topic(RECORDS[:12]), ListPublisher(), ListPublisher()
    one, other = worker(tmp_path / "a.db", topic, first), worker(tmp_path / "b.db", topic, second)
    one.begin()
    await until(lambda: topic.said == {"list": 12})
    await one.end()
    topic.records += RECORDS[12:]
    other.begin()
    await until(lambda: topic.said == {"list": 20})
    await other.end()
    assert (offsets(first), offsets(second)) == (list(range(12)), list(range(12, 20)))
    # And back, to a journal that has missed what came meanwhile, and a cursor of its own that is too old.
    topic.records.append(EventRecord(20, 3000, event(20).model_dump_json().encode()))
    one.begin()
    await until(lambda: len(first.received) == 13)
    await one.end()
    assert offsets(first)[12:] == [20]
    assert [(e.sequence, e.entry_ms) for e in first.received[12:]] == [(21, 3000)]


async def test_a_worker_killed_before_it_said_how_far_it_was_is_repeated_not_skipped(tmp_path: Path) -> None:
    topic, first, second = Topic(RECORDS), ListPublisher(), ListPublisher()
    one = worker(tmp_path / "a.db", topic, first)
    one.begin()
    await until(lambda: len(first.received) == 20)
    await one.end()
    topic.said["list"] = 15
    other = worker(tmp_path / "b.db", topic, second)
    other.begin()
    await until(lambda: len(second.received) == 5)
    await other.end()
    assert [(e.sequence, e.entry_ms) for e in second.received] == [
        (e.sequence, e.entry_ms) for e in first.received[15:]
    ]


async def test_people_who_are_new_get_what_is_to_come_whoever_delivers(tmp_path: Path) -> None:
    topic, first, second = Topic(RECORDS[:12]), ListPublisher(), ListPublisher()
    one = worker(tmp_path / "a.db", topic, first, newcomers=["list"])
    one.begin()
    await until(lambda: topic.said == {"list": 12})
    await one.end()
    topic.records += RECORDS[12:]
    other = worker(tmp_path / "b.db", topic, second, newcomers=["list"])
    other.begin()
    await until(lambda: len(second.received) == 8)
    await other.end()
    assert (offsets(first), offsets(second)) == ([], list(range(12, 20)))


async def test_what_is_not_held_is_not_taken(tmp_path: Path) -> None:
    topic, publisher = Topic(RECORDS), ListPublisher()
    delivering = worker(tmp_path / "events.db", topic, publisher)
    assert await delivering.take(RECORDS[0]) is None
    delivering.begin()
    delivering.begin()
    await until(lambda: len(publisher.received) == 20)
    await delivering.end()
    await delivering.end()
    assert await delivering.take(RECORDS[0]) is None


async def test_a_partition_given_away_while_its_past_is_read_ends_nothing(tmp_path: Path) -> None:
    topic, publisher = Topic(RECORDS[:5]), ListPublisher()
    delivering = worker(tmp_path / "events.db", topic, publisher)
    delivering.begin()
    await until(lambda: len(publisher.received) == 5)

    async def given_away(after: int) -> AsyncIterator[Sequence[EventRecord]]:
        await delivering.end()
        yield RECORDS[after:]

    topic.events = given_away  # type: ignore[method-assign]  # what comes of it comes too late
    assert await delivering.take(RECORDS[9]) is None


async def test_a_journal_that_cannot_be_read_takes_no_publisher_back_to_its_beginning(tmp_path: Path) -> None:
    topic, tried = Topic(RECORDS), asyncio.Event()
    topic.said["list"] = 15

    async def unreadable(_: str) -> int:
        tried.set()
        raise JournalError("the disk is gone")

    def open_deliveries(journal: Journal, _: AsyncExitStack, on_change: OnChange) -> Sequence[Delivery]:
        journal.cursor = unreadable  # type: ignore[method-assign]  # for good
        return [Delivery(journal, ListPublisher(), policy=DeliveryPolicy(), on_change=on_change)]

    delivering = Delivering(tmp_path / "events.db", topic, open_deliveries=open_deliveries, on_change=lambda _: None)
    delivering.begin()
    await tried.wait()
    await asyncio.sleep(0)
    await delivering.end()  # says how far publishers have come
    assert topic.said == {"list": 15}


async def test_a_partition_given_away_while_the_journal_opens_can_be_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, publisher, opening = Topic(RECORDS), ListPublisher(), threading.Event()
    going_on, opened = threading.Event(), JournalStore.open

    def slowly(path: Path) -> JournalStore:
        store = opened(path)
        opening.set()
        going_on.wait(10)
        return store

    monkeypatch.setattr(JournalStore, "open", slowly)
    delivering = worker(tmp_path / "events.db", topic, publisher)
    for _ in range(3):
        delivering.begin()
        await asyncio.to_thread(opening.wait, 10)
        await delivering.end()
    delivering.begin()
    going_on.set()
    await until(lambda: len(publisher.received) == 20)
    await delivering.end()
