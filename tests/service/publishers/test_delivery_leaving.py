"""A delivery that leaves, and the next of its name: nothing is lost, nothing is sent twice."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from event_samples import event
from seacanary.errors import DeliveryRetryable
from seacanary.events import JournalEntry
from seacanary.journal import Journal
from seacanary.publishers.delivery import Delivery, DeliveryPolicy

# Long waits: who leaves must not sit them out.
POLICY = DeliveryPolicy(batch=2, timeout_s=60, first_wait_s=600, longest_wait_s=600, recheck_s=600)


class SlowFarSide:
    """Takes events, but answers only when it may; refuses while `unwell`."""

    def __init__(self) -> None:
        self.name, self.unwell = "far", False
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()
        self.received: list[int] = []

    async def publish(self, entries: Sequence[JournalEntry]) -> None:
        self.asked.set()
        await self.may_answer.wait()
        if self.unwell:
            raise DeliveryRetryable("unwell")
        self.received += [entry.sequence for entry in entries]

    async def aclose(self) -> None:
        return


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    async with await Journal.open(tmp_path / "journal.db") as opened:
        await opened.append([event(number) for number in range(5)])
        yield opened


def delivery_to(far_side: SlowFarSide, journal: Journal) -> Delivery:
    return Delivery(journal, far_side, policy=POLICY, on_change=lambda _: None)


async def delivered(journal: Journal, far_side: SlowFarSide) -> None:
    delivery = delivery_to(far_side, journal)
    running = asyncio.create_task(delivery.run())
    assert await delivery.drain(20)
    delivery.leave()
    await running


async def test_a_request_under_way_is_answered_and_the_next_goes_on_behind_it(journal: Journal) -> None:
    far_side = SlowFarSide()
    first = delivery_to(far_side, journal)
    running = asyncio.create_task(first.run())
    await far_side.asked.wait()
    first.leave()
    done, _ = await asyncio.wait({running}, timeout=0.1)
    assert not done
    far_side.may_answer.set()
    async with asyncio.timeout(20):
        await running
        assert await journal.cursor("far") == 2
        await delivered(journal, far_side)
    assert far_side.received == [1, 2, 3, 4, 5]


async def test_who_waits_for_a_far_side_that_is_unwell_leaves_at_once(journal: Journal) -> None:
    far_side = SlowFarSide()
    far_side.unwell = True
    far_side.may_answer.set()
    first = delivery_to(far_side, journal)
    running = asyncio.create_task(first.run())
    async with asyncio.timeout(20):
        while first.status.trouble is None:
            await asyncio.sleep(0.01)
        first.leave()
        await running
        assert await journal.cursor("far") == 0
        far_side.unwell = False
        await delivered(journal, far_side)
    assert far_side.received == [1, 2, 3, 4, 5]


async def test_who_has_nothing_to_do_leaves_at_once(journal: Journal) -> None:
    far_side = SlowFarSide()
    far_side.may_answer.set()
    async with asyncio.timeout(20):
        await delivered(journal, far_side)
