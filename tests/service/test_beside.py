"""Parts beside listening: one that fails is begun again, ever more slowly, and says so."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
import pytest

from fakes import EPOCH
from seacanary import beside
from seacanary.audio import AudioBlock, read_only
from seacanary.beside import Beside, Part
from seacanary.conditions import ConditionLog
from seacanary.errors import JournalError
from seacanary.events import ConditionEvent, Event
from seacanary.metrics import Metrics

FIRST_S, LONGEST_S, LASTS_S = 0.01, 0.08, 0.05


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "FIRST_WAIT_S", FIRST_S)
    monkeypatch.setattr(beside, "LONGEST_WAIT_S", LONGEST_S)
    monkeypatch.setattr(beside, "LASTS_S", LASTS_S)


class Told:
    """What the parts' conditions say; refuses while `broken`."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, str]] = []
        self.broken = False
        self.conditions = ConditionLog("station", metrics=Metrics(), tell=self._tell)

    async def _tell(self, events: Sequence[Event]) -> None:
        if self.broken:
            raise JournalError("the disk is full")
        self.changes += [(event.condition, event.change) for event in events if isinstance(event, ConditionEvent)]


class Runs:
    """A part's run(): each begins, lasts so long and fails; when there are no more, it lasts."""

    def __init__(self, *lasting_s: float) -> None:
        self._lasting_s = iter(lasting_s)
        self.over = asyncio.Event()

    async def __call__(self) -> None:
        lasting_s = next(self._lasting_s, None)
        if lasting_s is None:
            self.over.set()
            await asyncio.Event().wait()
            return
        await asyncio.sleep(lasting_s)
        raise RuntimeError("broken")


async def until(told: Told, run: Callable[[], Awaitable[None]], holds: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(20):
        task = asyncio.create_task(Beside(told.conditions, [Part("frail", run)]).run())
        await holds()
        assert not task.done()
        task.cancel()
        await asyncio.wait({task})


def waits(caplog: pytest.LogCaptureFixture) -> list[float]:
    return [record.args[1] for record in caplog.records if isinstance(record.args, tuple)]


async def test_a_part_that_fails_at_once_is_begun_again_ever_more_slowly(caplog: pytest.LogCaptureFixture) -> None:
    run = Runs(*[0.0] * 7)
    with caplog.at_level(logging.ERROR, "seacanary.beside"):
        await until(Told(), run, run.over.wait)
    assert waits(caplog) == [0.01, 0.02, 0.04, 0.08, 0.08, 0.08, 0.08]


async def test_a_part_that_had_recovered_begins_again_soon(caplog: pytest.LogCaptureFixture) -> None:
    run = Runs(0.0, 0.0, 0.0, 3 * LASTS_S, 0.0)
    with caplog.at_level(logging.ERROR, "seacanary.beside"):
        await until(Told(), run, run.over.wait)
    assert waits(caplog) == [0.01, 0.02, 0.04, 0.01, 0.02]


async def test_a_failure_and_its_end_are_told_once_each() -> None:
    told, run = Told(), Runs(0.0, 0.0)

    async def recovered() -> None:
        while len(told.changes) < 2:
            await asyncio.sleep(0.01)

    await until(told, run, recovered)
    assert told.changes == [("part_failed_frail", "begun"), ("part_failed_frail", "ended")]


async def test_a_failure_that_cannot_be_told_ends_nothing() -> None:
    told, run = Told(), Runs(0.0, 0.0)
    told.broken = True
    await until(told, run, run.over.wait)


async def test_a_part_that_cannot_hear_does_not_keep_others_from_hearing() -> None:
    def cannot(_: AudioBlock) -> None:
        raise ValueError("deaf")

    heard: list[AudioBlock] = []
    block = AudioBlock("north", read_only(np.zeros(8, np.float32)), 0, 8000, EPOCH)
    parts = [Part("deaf", Runs(), hear=cannot), Part("other", Runs(), hear=heard.append)]
    several = Beside(Told().conditions, [*parts, Part("live", Runs(), hear=heard.append, only_live=True)])
    several.hear(block, live=False)
    assert heard == [block]
    several.hear(block, live=True)
    assert heard == [block] * 3


async def test_a_part_that_a_library_cancels_is_begun_again() -> None:
    told, begun = Told(), asyncio.Event()
    runs = iter(range(2))

    async def run() -> None:
        if next(runs):
            begun.set()
            await asyncio.Event().wait()
        stray = asyncio.create_task(asyncio.sleep(60))
        stray.cancel()
        await stray

    await until(told, run, begun.wait)
    assert told.changes == [("part_failed_frail", "begun")]
