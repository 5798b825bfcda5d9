"""Delivery: the cursor follows acknowledgements, whatever the far side does."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import pytest

from event_samples import event
from seacanary.errors import DeliveryError, DeliveryLost, DeliveryRejected, DeliveryRetryable
from seacanary.events import Event, JournalEntry, PresenceEvent
from seacanary.journal import Journal
from seacanary.journal_store import JournalStore
from seacanary.publishers import Publisher, Rechecked, Selective
from seacanary.publishers.delivery import Delivery, DeliveryPolicy, DeliveryStatus

QUICK = DeliveryPolicy(batch=3, timeout_s=0.2, first_wait_s=0.001, longest_wait_s=0.01, recheck_s=0.05)


class FarSide:
    """Remembers what it is given; `before` may raise or wait first."""

    def __init__(self, before: Callable[[Sequence[JournalEntry]], None] = lambda entries: None) -> None:
        self.name, self.before = "far", before
        self.received: list[int] = []

    async def publish(self, entries: Sequence[JournalEntry]) -> None:
        self.before(entries)
        self.received += [entry.sequence for entry in entries]

    async def aclose(self) -> None:
        return


class ForgetfulFarSide(FarSide):
    """May be asked whether it still has what it acknowledged."""

    async def recheck(self, delivered: JournalEntry) -> None:
        if delivered.sequence not in self.received:
            raise DeliveryLost("gone", held_until=max(self.received, default=0), keeps=4)


@asynccontextmanager
async def delivering(
    journal: Journal,
    far_side: Publisher,
    on_change: Callable[[DeliveryStatus], None] = lambda status: None,
    *,
    policy: DeliveryPolicy = QUICK,
    now_s: Callable[[], float] = lambda: 1000.0,
) -> AsyncIterator[Delivery]:
    delivery = Delivery(journal, far_side, policy=policy, on_change=on_change, now_s=now_s)
    running = asyncio.create_task(delivery.run())
    try:
        async with asyncio.timeout(10):
            yield delivery
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def refill() -> tuple[asyncio.Event, Callable[[DeliveryStatus], None]]:
    """An event that is set once delivery has gone back, and what sets it."""
    went_back = asyncio.Event()
    return went_back, lambda status: went_back.set() if status.refills else None


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    async with await Journal.open(tmp_path / "journal.db", now=lambda: 1000.0) as opened:
        yield opened


async def test_events_arrive_once_and_in_order_old_and_new(journal: Journal) -> None:
    await journal.append([event(n) for n in range(1, 8)])
    async with delivering(journal, far_side := FarSide()) as delivery:
        assert await delivery.drain(60)
        await journal.append([event(8)])
        assert await delivery.drain(60)
    assert far_side.received == list(range(1, 9))
    assert await journal.cursor("far") == 8
    assert (delivery.status.waiting, delivery.status.lag_s(2000.0)) == (0, 0.0)


async def test_delivery_goes_on_where_it_stopped(journal: Journal) -> None:
    await journal.append([event(1), event(2)])
    async with delivering(journal, FarSide()) as delivery:
        await delivery.drain(5)
    await journal.append([event(3)])
    async with delivering(journal, far_side := FarSide()) as delivery:
        await delivery.drain(5)
    assert far_side.received == [3]


async def test_an_outage_is_waited_out_and_shows_as_lag(journal: Journal) -> None:
    failures = 3

    def unwell(_: Sequence[JournalEntry]) -> None:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise DeliveryRetryable("connection refused")

    seen: list[DeliveryStatus] = []
    await journal.append([event(1), event(2)])
    async with delivering(journal, far_side := FarSide(unwell), seen.append) as delivery:
        assert await delivery.drain(60)
    assert far_side.received == [1, 2]
    assert delivery.status.failures == 3
    assert delivery.status.trouble is None
    worst = max(seen, key=lambda status: status.failures)
    assert any(s.trouble == "connection refused" and s.waiting == 2 for s in seen)
    assert worst.lag_s(1060.0) == 60.0


async def test_the_cursor_does_not_move_before_the_acknowledgement(journal: Journal) -> None:
    def never(_: Sequence[JournalEntry]) -> None:
        raise DeliveryRetryable("down")

    await journal.append([event(1)])
    async with delivering(journal, FarSide(never)) as delivery:
        assert not await delivery.drain(0.1)
    assert await journal.cursor("far") == 0


async def test_a_far_side_that_does_not_answer_is_tried_again(journal: Journal) -> None:
    class Silent(FarSide):
        async def publish(self, entries: Sequence[JournalEntry]) -> None:
            if not delivery.status.failures:
                await asyncio.sleep(60)
            await super().publish(entries)

    await journal.append([event(1)])
    async with delivering(journal, far_side := Silent()) as delivery:
        assert await delivery.drain(60)
    assert far_side.received == [1]
    assert delivery.status.failures == 1


async def test_one_refused_event_is_put_aside_and_the_others_arrive(journal: Journal) -> None:
    def picky(entries: Sequence[JournalEntry]) -> None:
        if any(entry.sequence == 2 for entry in entries):
            raise DeliveryRejected("413 too large")

    written = await journal.append([event(n) for n in range(1, 6)])
    async with delivering(journal, far_side := FarSide(picky)) as delivery:
        assert await delivery.drain(60)
    assert far_side.received == [1, 3, 4, 5]
    [letter] = await journal.dead_letters("far")
    assert (letter.entry, letter.reason) == (written[1], "413 too large")
    assert delivery.status.dead_letters == 1


async def test_a_far_side_found_empty_while_idle_is_refilled_with_what_it_keeps(journal: Journal) -> None:
    await journal.append([event(n) for n in range(1, 8)])
    far_side = ForgetfulFarSide()
    assert isinstance(far_side, Rechecked)
    went_back, note = refill()
    async with delivering(journal, far_side, note) as delivery:
        assert await delivery.drain(60)
        far_side.received.clear()
        await went_back.wait()
        assert await delivery.drain(60)
    assert far_side.received == [4, 5, 6, 7]


async def test_a_loss_noticed_on_publishing_goes_back_to_what_is_held(journal: Journal) -> None:
    def lost_once(entries: Sequence[JournalEntry]) -> None:
        if entries[0].sequence == 4 and not delivery.status.refills:
            del far_side.received[1:]
            raise DeliveryLost("gone", held_until=1, keeps=None)

    await journal.append([event(n) for n in range(1, 6)])
    far_side = FarSide(lost_once)
    went_back, note = refill()
    async with delivering(journal, far_side, note) as delivery:
        await went_back.wait()
        assert await delivery.drain(60)
    assert far_side.received == [1, 2, 3, 4, 5]


async def test_nothing_asks_a_far_side_that_cannot_be_asked(journal: Journal) -> None:
    assert not isinstance(FarSide(), Rechecked)
    async with delivering(journal, FarSide()) as delivery:
        await asyncio.sleep(0.12)  # past two rechecks
        await journal.append([event(1)])
        assert await delivery.drain(60)


# --- some events only ---------------------------------------------------------


class EveryTenth(FarSide):
    """Carries the events whose onset is a multiple of ten."""

    def carries(self, event: Event) -> bool:
        return isinstance(event, PresenceEvent) and event.onset_sample % 10 == 0


async def test_what_is_not_carried_is_passed_over_without_asking(journal: Journal) -> None:
    far_side = EveryTenth()
    assert isinstance(far_side, Selective)
    await journal.append([event(n) for n in range(1, 1006)])
    async with delivering(journal, far_side) as delivery:
        assert await delivery.drain(60)
        assert far_side.received == list(range(10, 1006, 10))
        assert delivery.status.waiting == 0
        await journal.append([event(1006)])
        assert await delivery.drain(60)
    assert await journal.cursor("far") == 1006
    assert delivery.status.acknowledged == 34  # a hundred events, three to a batch


async def test_events_passed_over_do_not_wait_with_the_one_behind_them(journal: Journal) -> None:
    def never(_: Sequence[JournalEntry]) -> None:
        raise DeliveryRetryable("down")

    await journal.append([event(n) for n in range(1, 15)])
    async with delivering(journal, EveryTenth(never)) as delivery:
        while delivery.status.failures == 0:
            await asyncio.sleep(0.005)
        assert (delivery.status.delivered, delivery.status.waiting) == (9, 5)
    assert await journal.cursor("far") == 0


# --- circuit, patience, giving up ---------------------------------------------


async def test_a_far_side_that_keeps_failing_is_only_probed_until_it_answers(journal: Journal) -> None:
    down = True

    def unwell(_: Sequence[JournalEntry]) -> None:
        if down:
            raise DeliveryRetryable("down")

    seen: list[DeliveryStatus] = []
    await journal.append([event(1)])
    policy = QUICK.model_copy(update={"opens_after": 2})
    async with delivering(journal, FarSide(unwell), seen.append, policy=policy) as delivery:
        while delivery.status.failures < 4:
            await asyncio.sleep(0.005)
        down = False
        assert await delivery.drain(60)
    assert delivery.status.circuit == "closed"
    states = [status.circuit for status in seen]
    changes = [state for state, before in zip(states, [None, *states], strict=False) if state != before]
    assert changes[:5] == ["closed", "open", "half_open", "open", "half_open"]
    assert changes[-2:] == ["half_open", "closed"]
    opened = next(status for status in seen if status.circuit == "open")
    assert opened.failures == 2
    assert delivery.status.acknowledged == 1


async def test_retry_after_is_waited_for(journal: Journal) -> None:
    tried_s: list[float] = []

    def busy_once(_: Sequence[JournalEntry]) -> None:
        tried_s.append(asyncio.get_running_loop().time())
        if len(tried_s) == 1:
            raise DeliveryRetryable("429", after_s=0.3)

    await journal.append([event(1)])
    async with delivering(journal, FarSide(busy_once)) as delivery:
        assert await delivery.drain(60)
    assert tried_s[1] - tried_s[0] >= 0.3


async def test_an_event_that_keeps_failing_is_given_up_with_the_reason_and_the_next_has_its_turn(
    journal: Journal,
) -> None:
    def poisoned(entries: Sequence[JournalEntry]) -> None:
        if entries[0].sequence == 1:
            raise DeliveryRetryable("500 Internal Server Error")

    policy = QUICK.model_copy(update={"give_up_s": 0.2, "batch": 1})
    await journal.append([event(1), event(2)])
    far_side = FarSide(poisoned)
    async with delivering(journal, far_side, policy=policy, now_s=lambda: 1e9) as delivery:
        assert await delivery.drain(60)
    assert far_side.received == [2]
    [letter] = await journal.dead_letters("far")
    assert letter.reason == "given up after 0.2 s: 500 Internal Server Error"
    assert delivery.status.dead_letters == 1
    assert delivery.status.failures > 2


async def test_a_clock_set_forward_gives_nothing_up(journal: Journal) -> None:
    failures = 5

    def unwell(_: Sequence[JournalEntry]) -> None:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise DeliveryRetryable("down")

    policy = QUICK.model_copy(update={"give_up_s": 86_400.0})
    await journal.append([event(1)])
    async with delivering(journal, far_side := FarSide(unwell), policy=policy, now_s=lambda: 1e9) as delivery:
        assert await delivery.drain(60)
    assert far_side.received == [1]
    assert await journal.dead_letters() == []


async def test_a_backlog_that_is_given_up_is_not_hurried_through(journal: Journal) -> None:
    """Each old event is one probe, with a wait before it."""
    tried_s: list[float] = []

    def down(_: Sequence[JournalEntry]) -> None:
        tried_s.append(asyncio.get_running_loop().time())
        raise DeliveryRetryable("down")

    policy = QUICK.model_copy(
        update={"give_up_s": 0.001, "batch": 1, "opens_after": 1, "first_wait_s": 0.1, "longest_wait_s": 0.1}
    )
    await journal.append([event(n) for n in range(1, 5)])
    async with delivering(journal, FarSide(down), policy=policy, now_s=lambda: 1e9) as delivery:
        assert await delivery.drain(60)
    assert len(tried_s) >= 4
    assert min(after - before for before, after in pairwise(tried_s)) >= 0.05
    assert len(await journal.dead_letters()) == 4


# --- dead letters that are tried again ----------------------------------------


def mark(path: Path, *sequences: int) -> None:
    with JournalStore.open_to_mark(path) as store:
        assert store.mark_for_retry("far", sequences) == len(sequences)


async def test_dead_letters_are_tried_again_while_the_station_runs(journal: Journal, tmp_path: Path) -> None:
    refuse = True

    def picky(entries: Sequence[JournalEntry]) -> None:
        if refuse and any(entry.sequence in (2, 3) for entry in entries):
            raise DeliveryRejected("400 Bad Request")

    await journal.append([event(n) for n in range(1, 5)])
    async with delivering(journal, far_side := FarSide(picky)) as delivery:
        assert await delivery.drain(60)
        assert far_side.received == [1, 4]
        refuse = False
        mark(tmp_path / "journal.db", 2, 3)
        while await journal.dead_letters():
            await asyncio.sleep(0.01)
        await journal.append([event(5)])
        assert await delivery.drain(60)
    assert far_side.received == [1, 4, 2, 3, 5]
    assert await journal.cursor("far") == 5


@pytest.mark.parametrize(
    ("failure", "tried"), [(DeliveryRejected("410 Gone"), {2, 3}), (DeliveryRetryable("503 Unavailable"), {2})]
)
async def test_what_fails_again_is_put_aside_again_and_holds_nothing_up(
    journal: Journal, tmp_path: Path, failure: DeliveryError, tried: set[int]
) -> None:
    attempts: list[int] = []
    first_round = True

    def picky(entries: Sequence[JournalEntry]) -> None:
        attempts.extend(entry.sequence for entry in entries)
        if any(entry.sequence in (2, 3) for entry in entries):
            raise DeliveryRejected("400 Bad Request") if first_round else failure

    await journal.append([event(n) for n in range(1, 4)])
    async with delivering(journal, far_side := FarSide(picky)) as delivery:
        assert await delivery.drain(60)
        first_round = False
        attempts.clear()
        mark(tmp_path / "journal.db", 2, 3)
        while (await journal.dead_letters())[0].retry:
            await asyncio.sleep(0.005)
        assert set(attempts) <= tried
        await journal.append([event(4)])
        assert await delivery.drain(60)
        while any(letter.retry for letter in await journal.dead_letters()):
            await asyncio.sleep(0.01)
    assert far_side.received == [1, 4]
    assert [letter.reason for letter in await journal.dead_letters()] == [str(failure)] * 2
    assert [attempts.count(n) for n in (2, 3)] == [1, 1]


# --- the journal's own disk fails --------------------------------------------


@contextmanager
def unwritable(path: Path, table: str) -> Iterator[None]:
    """Meanwhile nothing can be written to a table, as on a full disk."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(f"CREATE TRIGGER full BEFORE INSERT ON {table} BEGIN SELECT RAISE(FAIL, 'disk is full'); END")
        yield
        other.execute("DROP TRIGGER full")


@contextmanager
def unreadable(path: Path, table: str) -> Iterator[None]:
    """Meanwhile a table cannot be read."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(f"ALTER TABLE {table} RENAME TO away")
        yield
        other.execute(f"ALTER TABLE away RENAME TO {table}")


def troubled() -> tuple[asyncio.Event, Callable[[DeliveryStatus], None]]:
    """An event that is set once the journal has failed twice, and what sets it."""
    failed = asyncio.Event()
    return failed, lambda status: failed.set() if status.journal_failures >= 2 else None


async def test_a_cursor_that_cannot_be_written_is_tried_on_and_nothing_is_sent_again(
    journal: Journal, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    failed, note = troubled()
    await journal.append([event(1), event(2)])
    async with delivering(journal, far_side := FarSide(), note) as delivery:
        with unwritable(tmp_path / "journal.db", "cursors"):
            await failed.wait()
        assert await delivery.drain(60)
        await journal.append([event(3)])
        assert await delivery.drain(60)
    assert far_side.received == [1, 2, 3]
    assert await journal.cursor("far") == 3
    assert [r.levelname for r in caplog.records if "disk is full" in r.message] == ["ERROR"]


async def test_a_dead_letter_that_cannot_be_written_is_tried_on(journal: Journal, tmp_path: Path) -> None:
    def picky(entries: Sequence[JournalEntry]) -> None:
        if entries[0].sequence == 1:
            raise DeliveryRejected("413 too large")

    failed, note = troubled()
    [first, _] = await journal.append([event(1), event(2)])
    async with delivering(journal, far_side := FarSide(picky), note) as delivery:
        with unwritable(tmp_path / "journal.db", "dead_letters"):
            await failed.wait()
        assert await delivery.drain(60)
    assert far_side.received == [2]
    [letter] = await journal.dead_letters("far")
    assert (letter.entry, letter.reason) == (first, "413 too large")
    assert delivery.status.dead_letters == 1


@pytest.mark.parametrize("table", ["cursors", "events"])
async def test_a_journal_that_cannot_be_read_is_tried_on(journal: Journal, tmp_path: Path, table: str) -> None:
    failed, note = troubled()
    await journal.append([event(1), event(2)])
    async with delivering(journal, far_side := FarSide(), note) as delivery:
        with unreadable(tmp_path / "journal.db", table):
            await failed.wait()
        assert await delivery.drain(60)
    assert far_side.received == [1, 2]


async def test_a_refill_whose_cursor_cannot_be_written_is_tried_on(journal: Journal, tmp_path: Path) -> None:
    failed, note = troubled()
    await journal.append([event(1), event(2)])
    async with delivering(journal, far_side := ForgetfulFarSide(), note) as delivery:
        assert await delivery.drain(60)
        with unwritable(tmp_path / "journal.db", "cursors"):
            far_side.received.clear()
            await failed.wait()
        while delivery.status.refills == 0:
            await asyncio.sleep(0.01)
        assert await delivery.drain(60)
    assert far_side.received == [1, 2]


async def test_draining_from_a_journal_that_cannot_be_read_takes_no_longer_than_allowed(
    journal: Journal, tmp_path: Path
) -> None:
    await journal.append([event(1)])
    with unreadable(tmp_path / "journal.db", "cursors"):
        async with delivering(journal, FarSide()) as delivery:
            assert not await delivery.drain(0.1)


@pytest.mark.parametrize("field", ["timeout_s", "first_wait_s", "longest_wait_s", "recheck_s"])
def test_a_wait_without_end_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        DeliveryPolicy.model_validate({field: float("inf")})
