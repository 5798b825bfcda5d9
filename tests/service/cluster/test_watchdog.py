"""The watchdog's thread: it ends what stands still, also when the loop hangs, and leaves alone what it cannot judge."""

import asyncio
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import pytest

from seacanary.cluster.broker_look import NoAnswer
from seacanary.cluster.guarding import BROKEN
from seacanary.cluster.watchdog import FILE, Watchdog
from seacanary.cluster.watchdog_judgement import Answer, Place, Progress, Standing, StuckJudge
from seacanary.metrics import Metrics

# What ends a process ends the watchdog's thread here.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")

ME = "worker-me"
LIMIT_S, LOOK_S = 1.5, 0.1
IMAGES, DETECTIONS = Place("infer", 0), Place("track", 2)
WELL = Answer({IMAGES: Standing(0, 5, 5, ME), DETECTIONS: Standing(0, 7, 3, ME)}, frozenset({ME}))


class Brokers:
    """Say what a test wants them to."""

    def __init__(self, answer: Callable[[], Answer]) -> None:
        self.say, self.asked, self.closed = answer, 0, False

    async def answer(self) -> Answer:
        self.asked += 1
        return self.say()

    async def oldest_ms(self, standings: Mapping[Place, Standing]) -> dict[Place, int]:
        return {place: round((time.time() - 90) * 1000) for place, s in standings.items() if s.waiting}

    async def aclose(self) -> None:
        self.closed = True


class Guarded:
    """A watchdog that does not really end the process."""

    def __init__(self, folder: Path, answer: Callable[[], Answer]) -> None:
        self.metrics, self.brokers, self.ended = Metrics(), Brokers(answer), threading.Event()
        self.taken = 0
        self.watchdog = Watchdog(
            StuckJudge(ME, limit_s=LIMIT_S, longest_step_s=2 * LOOK_S),
            self.brokers,
            progress=self._progress,
            metrics=self.metrics,
            folder=folder,
            look_s=LOOK_S,
            end=self._end,
        )

    def shown(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"seacanary_{name}", labels)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                await asyncio.sleep(0.02)

    def _progress(self) -> Progress:
        return Progress(taken={DETECTIONS: self.taken})

    def _end(self) -> NoReturn:
        self.ended.set()
        raise SystemExit


def silent() -> Answer:
    raise NoAnswer("nobody there")


def faulty() -> Answer:
    raise ValueError("a fault of our own")


async def test_what_stands_still_is_ended_with_a_message_and_counted_for_the_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guarded = Guarded(tmp_path, lambda: WELL)
    async with guarded.watchdog.guarding():
        await guarded.until(guarded.ended.is_set)
    (said,) = [record.getMessage() for record in caplog.records if record.levelno == logging.CRITICAL]
    assert "the worker is stuck since about 20" in said
    assert "4 records wait in track[2]" in said
    again = Guarded(tmp_path, lambda: WELL)
    async with again.watchdog.guarding():
        pass
    assert again.shown("watchdog_ends_total", reason="standstill") == 1
    assert again.shown("watchdog_ends_total", reason="loop") == 0
    assert "has ended a worker here before" in caplog.text
    assert "4 records wait in track[2]" in json.loads((tmp_path / FILE).read_text(encoding="utf-8"))["latest"]


async def test_who_goes_on_is_let_alone_and_its_lag_is_shown(tmp_path: Path) -> None:
    guarded = Guarded(tmp_path, lambda: WELL)
    async with guarded.watchdog.guarding():
        until_s = time.monotonic() + 2 * LIMIT_S
        while time.monotonic() < until_s:
            guarded.taken += 1
            await asyncio.sleep(0.05)
        assert guarded.shown("cluster_lag_records", stage="track", partition="2") == 4
        assert guarded.shown("cluster_lag_records", stage="infer", partition="0") == 0
        assert guarded.shown("cluster_lag_seconds", stage="track") == pytest.approx(90, abs=5)
        assert guarded.shown("cluster_lag_seconds", stage="infer") == 0
        assert guarded.shown("brokers_reached_state") == 1
        guarded.brokers.say = lambda: Answer({IMAGES: Standing(0, 6, 5, ME)}, frozenset({ME}))
        await guarded.until(lambda: guarded.shown("cluster_lag_records", stage="track", partition="2") is None)
    assert not guarded.ended.is_set()
    assert guarded.brokers.closed


@pytest.mark.parametrize("answer", [silent, faulty])
async def test_who_cannot_be_judged_is_not_ended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, answer: Callable[[], Answer]
) -> None:
    guarded = Guarded(tmp_path, lambda: WELL)
    async with guarded.watchdog.guarding():
        await guarded.until(lambda: guarded.shown("cluster_lag_seconds", stage="track") is not None)
        guarded.brokers.say = answer
        await asyncio.sleep(2 * LIMIT_S)
        assert not guarded.ended.is_set()
        assert guarded.shown("brokers_reached_state") == 0
        assert guarded.shown("cluster_lag_seconds", stage="track") is None
        guarded.brokers.say = lambda: WELL
        await guarded.until(guarded.ended.is_set)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert sum("watchdog: brokers" in said for said in warnings) == 2  # once when they fall silent, once when not


@pytest.mark.parametrize("answer", [lambda: WELL, silent])
async def test_a_loop_that_hangs_is_ended_and_where_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, answer: Callable[[], Answer]
) -> None:
    guarded = Guarded(tmp_path, answer)
    async with guarded.watchdog.guarding():
        await guarded.until(lambda: guarded.brokers.asked > 2)
        guarded.ended.wait(20)  # hangs the loop
    assert guarded.ended.is_set()
    assert "its event loop does not come round" in caplog.text
    assert "test_a_loop_that_hangs_is_ended_and_where_is_said" in caplog.text


async def test_a_worker_that_cannot_be_asked_is_no_loop_that_hangs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    idle = Answer({IMAGES: Standing(0, 5, 5, ME)}, frozenset({ME}))
    guarded = Guarded(tmp_path, lambda: idle)
    del guarded.taken
    async with guarded.watchdog.guarding():
        await asyncio.sleep(2 * LIMIT_S)
    assert not guarded.ended.is_set()
    assert caplog.text.count("cannot be asked how far it is") == 1


async def test_a_look_that_fails_leaves_no_worker_unwatched(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_: Mapping[Place, Standing]) -> dict[Place, int]:
        raise ValueError("a fault of our own")

    guarded = Guarded(tmp_path, lambda: WELL)
    guarded.brokers.oldest_ms = broken  # type: ignore[method-assign]  # it fails from the first look on
    async with guarded.watchdog.guarding():
        await guarded.until(guarded.ended.is_set)
    assert caplog.text.count("a look has failed") == 1


HANGING_LOG = """
import asyncio, logging, pathlib, sys, threading
from seacanary.cluster.watchdog import Watchdog
from seacanary.cluster.watchdog_judgement import Answer, Place, Progress, Standing, StuckJudge
from seacanary.metrics import Metrics

class Hangs(logging.Handler):
    def emit(self, record):
        threading.Event().wait()

class Brokers:
    async def answer(self):
        return Answer({Place("infer", 0): Standing(0, 5, 0, "me")}, frozenset({"me"}))
    async def oldest_ms(self, standings):
        return {}
    async def aclose(self):
        pass

async def main():
    judge = StuckJudge("me", limit_s=0.5, longest_step_s=0.2)
    folder = pathlib.Path(sys.argv[1])
    dog = Watchdog(judge, Brokers(), progress=Progress, metrics=Metrics(), folder=folder, look_s=0.1)
    async with dog.guarding():
        logging.getLogger().addHandler(Hangs())
        await asyncio.sleep(60)

asyncio.run(main())
"""


def test_a_log_that_hangs_keeps_nobody_alive(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", HANGING_LOG, tmp_path], check=False, timeout=50)
    assert done.returncode == BROKEN
