"""The self-test with a stand-in model: turns, outcomes, recall; and that nothing of it can leave."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fakes import EPOCH, tiny_contract, write_tiny_model
from seacanary import selftest
from seacanary.audio import AudioBlock
from seacanary.detection import Detector, DetectorSection
from seacanary.guard import GuardSection
from seacanary.metrics import Metrics
from seacanary.presence_rules import PresenceSection
from seacanary.selftest import SelfTest, SelfTestSection

RATE_HZ = 8000
QUIET = 0.02


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Detector]:
    """Takes a column for a call by its mean |pcm|: noise at QUIET is none, a whistle at 40 dB is one."""
    contract = tiny_contract()
    call_types = tuple(c.model_copy(update={"enter": 0.3, "leave": 0.1}) for c in contract.call_types)
    path = write_tiny_model(tmp_path_factory.mktemp("model"), tiny_contract(call_types=call_types))
    detector = Detector.load(DetectorSection(path=path, sessions=1))
    yield detector
    detector.close()


def made(
    detector: Detector, *, live_windows: Callable[[], int] = lambda: 0, snr_db: tuple[float, ...] = (40.0,)
) -> tuple[SelfTest, Metrics]:
    metrics = Metrics()
    section = SelfTestSection(copy_s=2, call_types=("whistle",), snr_db=snr_db, recall_over=4)
    test = SelfTest(
        section,
        detector=detector,
        presence=PresenceSection(),
        guard=GuardSection(),
        metrics=metrics,
        live_windows=live_windows,
    )
    return test, metrics


def noise(seconds: float, *, rms: float = QUIET) -> NDArray[np.float32]:
    return (rms * np.random.default_rng(3).standard_normal(round(seconds * RATE_HZ))).astype(np.float32)


class Live:
    """Feeds a self-test block by block."""

    def __init__(self, test: SelfTest, hydrophone: str = "h1", *, sample_rate_hz: int = RATE_HZ) -> None:
        self._test, self._hydrophone, self._rate = test, hydrophone, sample_rate_hz
        self.position = 0

    def hears(self, samples: NDArray[np.float32]) -> None:
        for first in range(0, samples.size, 700):
            part = samples[first : first + 700]
            self._test.hear(AudioBlock(self._hydrophone, part, self.position, self._rate, EPOCH))
            self.position += part.size


def counted(metrics: Metrics, outcome: str, *, snr_db: str = "40") -> float | None:
    labels = {"hydrophone": "h1", "call_type": "whistle", "snr_db": snr_db, "outcome": outcome}
    return metrics.registry.get_sample_value("seacanary_selftest_calls_total", labels)


def recall(metrics: Metrics, *, snr_db: str = "40") -> float | None:
    labels = {"hydrophone": "h1", "call_type": "whistle", "snr_db": snr_db}
    return metrics.registry.get_sample_value("seacanary_selftest_recall_ratio", labels)


async def test_a_loud_call_is_heard_a_faint_one_is_missed_and_levels_take_turns(detector: Detector) -> None:
    test, metrics = made(detector, snr_db=(-20.0, 40.0))
    live = Live(test)
    trials = []
    for _ in range(4):
        live.hears(noise(2))
        trials.append(await test.once())
    await test.aclose()
    assert [(t.snr_db, t.outcome) for t in trials if t] == [(-20, "missed"), (40, "heard")] * 2
    assert (counted(metrics, "heard"), counted(metrics, "missed", snr_db="-20")) == (2, 2)
    assert (recall(metrics), recall(metrics, snr_db="-20")) == (1, 0)


async def test_where_a_call_was_there_before_the_trial_is_void_and_says_nothing_of_recall(detector: Detector) -> None:
    test, metrics = made(detector)
    Live(test).hears(noise(2, rms=0.6))
    trial = await test.once()
    await test.aclose()
    assert trial is not None
    assert trial.outcome == "void"
    assert counted(metrics, "void") == 1
    assert recall(metrics) is None


async def test_the_live_audio_is_not_touched(detector: Detector) -> None:
    test, _ = made(detector)
    samples = noise(2)
    before = samples.copy()
    Live(test).hears(samples)
    trial = await test.once()
    await test.aclose()
    assert trial is not None
    assert trial.outcome == "heard"
    assert np.array_equal(samples, before)


async def test_recall_goes_by_the_latest_trials_and_void_ones_do_not_count(detector: Detector) -> None:
    test, metrics = made(detector)
    live = Live(test)
    for rms in [QUIET] * 4:
        live.hears(noise(2, rms=rms))
        await test.once()
    assert recall(metrics) == 1
    for rms in [0.6] * 2 + [QUIET] * 2:
        live.hears(noise(2, rms=rms))
        await test.once()
    await test.aclose()
    assert counted(metrics, "void") == 2
    assert recall(metrics) == 1  # of four, the void ones not counted


async def test_live_windows_go_first_and_a_station_without_time_is_not_tested(
    detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selftest, "PATIENCE_S", 0.1)
    waiting = [3]
    test, metrics = made(detector, live_windows=lambda: waiting[0])
    live = Live(test)
    live.hears(noise(2))
    first = await test.once()
    waiting[0] = 0
    live.hears(noise(2))
    second = await test.once()
    await test.aclose()
    assert first is not None
    assert second is not None
    assert (first.outcome, second.outcome) == ("skipped", "heard")
    assert counted(metrics, "skipped") == 1
    assert recall(metrics) == 1


async def test_one_window_at_a_time_goes_to_the_detector(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: Counter[int] = Counter()
    detect = detector.detect
    monkeypatch.setattr(detector, "detect", lambda windows: (sizes.update([len(windows)]), detect(windows))[1])
    test, _ = made(detector)
    Live(test).hears(noise(2))
    await test.once()
    await test.aclose()
    assert set(sizes) == {1}
    assert sizes[1] == 2 * ((2 * RATE_HZ - 1024) // 512 + 1)


async def test_a_model_that_fails_costs_the_trial_not_the_station(
    detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("the card fell off the bus")

    monkeypatch.setattr(detector, "detect", broken)
    test, metrics = made(detector)
    Live(test).hears(noise(2))
    trial = await test.once()
    await test.aclose()
    assert trial is not None
    assert trial.outcome == "skipped"
    assert counted(metrics, "skipped") == 1


async def test_a_silent_hydrophone_is_not_said_to_hear(detector: Detector) -> None:
    test, metrics = made(detector)
    Live(test).hears(np.zeros(2 * RATE_HZ, np.float32))
    trial = await test.once()
    await test.aclose()
    assert trial is not None
    assert trial.outcome == "skipped"
    assert recall(metrics) is None


async def test_hydrophones_take_turns_and_one_that_fell_silent_is_passed_over(detector: Detector) -> None:
    test, _ = made(detector)
    north, south = Live(test, "north"), Live(test, "south")
    tried = []
    for _ in range(4):
        north.hears(noise(2))
        south.hears(noise(2))
        tried.append(await test.once())
    north.hears(noise(2))
    tried.append(await test.once())
    nothing_new = await test.once()
    await test.aclose()
    assert [t.hydrophone for t in tried if t] == ["north", "south", "north", "south", "north"]
    assert nothing_new is None


async def test_audio_with_a_gap_or_too_short_is_not_used(detector: Detector) -> None:
    test, _ = made(detector)
    live = Live(test)
    live.hears(noise(1.9))
    too_short = await test.once()
    live.position += 100
    live.hears(noise(1.9))
    across_a_gap = await test.once()
    live.hears(noise(0.2))
    enough = await test.once()
    await test.aclose()
    assert (too_short, across_a_gap) == (None, None)
    assert enough is not None


async def test_a_rate_that_cannot_carry_the_call_is_not_tried(detector: Detector) -> None:
    test, _ = made(detector)
    Live(test, sample_rate_hz=1000).hears(noise(2))
    assert await test.once() is None
    await test.aclose()


def test_what_is_made_here_cannot_leave() -> None:
    """Nothing that stores or sends is even imported, and nothing is handed in through which an event could go."""
    seen = "import sys, seacanary.selftest; print(*(n for n in sys.modules if n.startswith('seacanary')))"
    answer = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
    imported = set(answer.stdout.split())
    assert "seacanary.hydrophone" in imported
    ways_out = ("journal", "publishers", "alert", "evidence", "webhook", "station.", "listening", "conditions", "web.")
    assert not [n for n in imported if n.removeprefix("seacanary.").startswith(ways_out)]
    source = Path(selftest.__file__).read_text()
    assert "journal" not in source.partition('"""')[2].partition('"""')[2].casefold()
