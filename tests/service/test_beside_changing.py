"""Parts that come and go while others run."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from seacanary import beside
from seacanary.beside import Beside, Part
from seacanary.conditions import ConditionLog
from seacanary.events import ConditionEvent, Event
from seacanary.metrics import Metrics


class Worker:
    """Runs until it may leave; fails first, if told to."""

    def __init__(self, *, fails: bool = False) -> None:
        self.running, self.may_leave, self.left = asyncio.Event(), asyncio.Event(), False
        self._fails = fails

    async def run(self) -> None:
        self.running.set()
        if self._fails:
            raise RuntimeError("broken")
        await self.may_leave.wait()
        self.left = True


@asynccontextmanager
async def running(*parts: Part) -> AsyncIterator[tuple[Beside, list[tuple[str, str]]]]:
    told: list[tuple[str, str]] = []

    async def tell(events: Sequence[Event]) -> None:
        told.extend((event.condition, event.change) for event in events if isinstance(event, ConditionEvent))

    several = Beside(ConditionLog("station", metrics=Metrics(), tell=tell), list(parts))
    task = asyncio.create_task(several.run())
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(20):
            yield several, told
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_a_part_may_come_later_and_leaves_when_it_is_ready() -> None:
    async with running() as (several, told):
        worker = Worker()
        several.add(Part("late", worker.run, leave=worker.may_leave.set))
        await worker.running.wait()
        assert await several.remove("late", within_s=10)
        assert (worker.left, several.parts, told) == (True, [], [])


async def test_a_part_that_does_not_leave_in_time_is_cut_off_and_others_go_on() -> None:
    stubborn, other = Worker(), Worker()
    async with running(Part("stubborn", stubborn.run, leave=lambda: None), Part("other", other.run)) as (several, _):
        await stubborn.running.wait()
        assert not await several.remove("stubborn", within_s=0.05)
        assert [part.name for part in several.parts] == ["other"]
        assert other.running.is_set()


async def test_a_part_that_failed_goes_at_once_and_its_condition_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "FIRST_WAIT_S", 600.0)
    frail = Worker(fails=True)
    async with running(Part("frail", frail.run, leave=frail.may_leave.set)) as (several, told):
        while not told:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)
        assert await several.remove("frail", within_s=600)
        assert told == [("part_failed_frail", "begun"), ("part_failed_frail", "ended")]


async def test_another_of_the_same_name_may_follow() -> None:
    first, second = Worker(), Worker()
    async with running(Part("one", first.run, leave=first.may_leave.set)) as (several, _):
        await first.running.wait()
        await several.remove("one", within_s=10)
        several.add(Part("one", second.run, leave=second.may_leave.set))
        await second.running.wait()
        assert await several.remove("one", within_s=10)
        assert (first.left, second.left) == (True, True)
