"""The watch over signal quality: what it costs, counts and tells."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest
from numpy.typing import NDArray

from fakes import EPOCH, blocks_of
from seacanary.audio import AudioBlock
from seacanary.conditions import ConditionLog
from seacanary.events import ConditionEvent, Event
from seacanary.metrics import Metrics
from seacanary.quality.band_levels import CalibrationSection
from seacanary.quality.state import QualityRules
from seacanary.quality.watch import QualitySection, QualityWatch

RATE_HZ = 8000
RULES = QualityRules(short_s=2, long_s=100, hold_s=3)


class Post:
    """A watch with what it tells."""

    def __init__(self, section: QualitySection | None = None) -> None:
        self.metrics, self.events = Metrics(), list[ConditionEvent]()
        self.conditions = ConditionLog("station", metrics=self.metrics, tell=self.tell)
        section = section or QualitySection(rules=RULES)
        self.watch = QualityWatch(section, metrics=self.metrics, conditions=self.conditions)

    async def tell(self, events: Sequence[Event]) -> None:
        self.events += [event for event in events if isinstance(event, ConditionEvent)]

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"seacanary_{name}", {"hydrophone": "h1", **labels})

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Post"]:
        task = asyncio.create_task(self.watch.run())
        try:
            yield self
        finally:
            await self.watch.aclose()
            await asyncio.sleep(0.05)
            task.cancel()

    async def hear(self, blocks: Sequence[AudioBlock]) -> None:
        for number, block in enumerate(blocks):
            self.watch.hear(block)
            if number % 8 == 7:  # slower than it is measured, faster than it would come
                await asyncio.sleep(0.01)


def noise(seconds: float, *, rms: float = 0.01) -> NDArray[np.float32]:
    return (rms * np.random.default_rng(1).standard_normal(round(seconds * RATE_HZ))).astype(np.float32)


def quarter_seconds(samples: NDArray[np.float32]) -> list[AudioBlock]:
    return blocks_of(samples, [RATE_HZ // 4] * (samples.size // (RATE_HZ // 4)), sample_rate_hz=RATE_HZ)


async def test_levels_and_faults_are_shown_and_a_fault_is_told_with_what_would_help() -> None:
    samples = noise(45)
    samples[10 * RATE_HZ : 20 * RATE_HZ : 4] = 1.0
    async with Post().running() as post:
        await post.hear(quarter_seconds(samples))
    clipping = [(e.change, (e.at - EPOCH).total_seconds()) for e in post.events if e.condition == "clipping"]
    assert [change for change, _ in clipping] == ["begun", "ended"]
    assert 10 <= clipping[0][1] <= 12
    assert clipping[1][1] > 22
    assert "lower the gain" in next(e.detail for e in post.events if e.condition == "clipping")
    assert post.value("rms_level_decibels") == pytest.approx(-40, abs=0.3)
    assert post.value("clipped_ratio") == 0
    assert post.value("quality_state", condition="clipping") == 0
    assert post.value("condition_state", condition="clipping") == 0
    assert post.value("level_reference_info", reference="full scale") == 1
    bands = {
        sample.labels["band_hz"]: sample.value
        for metric in post.metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "seacanary_band_level_decibels"
    }
    assert len(bands) == 26  # 10 Hz to 3.15 kHz
    assert bands["3150"] == pytest.approx(-40 + 10 * np.log10(0.23077 * 3162 / 4000), abs=0.6)


async def test_a_calibrated_hydrophone_is_told_in_micropascals() -> None:
    section = QualitySection(calibration={"h1": CalibrationSection(sensitivity_db=-165, gain_db=20)})
    async with Post(section).running() as post:
        await post.hear(quarter_seconds(noise(3)))
    assert post.value("rms_level_decibels") == pytest.approx(105, abs=0.3)
    assert post.value("level_reference_info", reference="1 µPa") == 1


async def test_hearing_takes_microseconds() -> None:
    samples = np.zeros(96_000, np.float32)
    blocks = [AudioBlock("h1", samples, n * 96_000, 384_000, EPOCH) for n in range(30)]
    async with Post().running() as post:
        took_s = []
        for block in blocks:
            began = time.perf_counter()
            post.watch.hear(block)
            took_s.append(time.perf_counter() - began)
    assert np.median(took_s) < 200e-6


async def test_what_there_is_no_time_for_is_shed_and_counted_and_measuring_goes_on() -> None:
    rate_hz = 384_000
    samples = np.random.default_rng(0).standard_normal(rate_hz).astype(np.float32) * np.float32(0.01)
    async with Post().running() as post:
        for second in range(60):
            post.watch.hear(AudioBlock("h1", samples, second * rate_hz, rate_hz, EPOCH))
        shed = post.value("quality_shed_samples_total")
        assert shed
        assert shed % rate_hz == 0
        await asyncio.sleep(1.0)
        before = post.value("quality_shed_samples_total")
        post.watch.hear(AudioBlock("h1", samples, 100 * rate_hz, rate_hz, EPOCH))
        assert post.value("quality_shed_samples_total") == before
    assert post.value("rms_level_decibels") == pytest.approx(-40, abs=0.1)


async def test_a_fault_that_lasts_over_a_restart_is_told_once() -> None:
    async with Post().running() as first:
        await first.hear(quarter_seconds(np.zeros(8 * RATE_HZ, np.float32)))
    states = first.watch.states() | first.conditions.states()
    second = Post()
    second.conditions.restore(states)
    second.watch.restore(states)
    async with second.running():
        await second.hear(quarter_seconds(np.zeros(8 * RATE_HZ, np.float32)))
    assert [(e.condition, e.change) for e in first.events] == [("silent", "begun")]
    assert second.events == []
    assert second.value("condition_state", condition="silent") == 1


async def test_a_condition_left_open_without_a_memory_of_why_ends_when_the_signal_is_good() -> None:
    post = Post()
    await post.conditions.note("hum", "h1", holds=True, at=EPOCH)
    async with post.running():
        await post.hear(quarter_seconds(noise(2)))
    assert [(e.condition, e.change) for e in post.events] == [("hum", "begun"), ("hum", "ended")]
