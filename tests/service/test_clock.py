"""StreamClock: time from the index alone, at a rate learned from arrivals that are only ever late."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seacanary.audio import Arrival
from seacanary.clock import MAX_SLEW, StreamClock
from seacanary.clock_fit import MAX_DRIFT

EPOCH = datetime(2026, 7, 1, 12, tzinfo=UTC)
RATE_HZ = 384_000
BLOCK = RATE_HZ // 10


@dataclass(frozen=True)
class Device:
    """A sound card with a crystal of its own, heard through a late and unsteady driver.

    Attributes:
        drift_ppm: how much faster than nominal it runs.
        latency_s: constant delay.
        jitter_s: largest delay beyond it.
        step_at_s: when the system clock steps, seconds of true time.
        step_s: by how much.
    """

    drift_ppm: float = 0.0
    latency_s: float = 0.02
    jitter_s: float = 0.01
    step_at_s: float = 1e9
    step_s: float = 0.0

    def true_s(self, sample: int) -> float:
        return sample / (RATE_HZ * (1 + self.drift_ppm * 1e-6))

    def arrivals(self, length_s: float, *, seed: int = 1) -> Iterator[tuple[int, Arrival]]:
        random = Random(seed)
        for end in range(BLOCK, round(length_s * RATE_HZ), BLOCK):
            late_s = self.latency_s + self.jitter_s * random.random() ** 2
            now_s = self.true_s(end) + late_s
            step_s = self.step_s if now_s >= self.step_at_s else 0.0
            yield end, Arrival(EPOCH.timestamp() + now_s + step_s, 5_000.0 + now_s)


def off_s(clock: StreamClock, sample: int, device: Device) -> float:
    """How far the clock is ahead of the truth at a sample."""
    return (clock.utc(sample) - EPOCH).total_seconds() - device.true_s(sample)


@settings(deadline=None)
@given(
    rate_hz=st.sampled_from([8_000, 44_100, 250_000, 384_000, 576_000]),
    samples=st.lists(st.integers(0, 10**13), min_size=1, max_size=9),
)
def test_recorded_audio_has_exactly_the_nominal_time(rate_hz: int, samples: list[int]) -> None:
    clock = StreamClock(EPOCH, rate_hz)
    for sample in samples:
        off_us = (clock.utc(sample) - EPOCH) / timedelta(microseconds=1) - sample / rate_hz * 1e6
        assert abs(off_us) <= 0.5 + 1e-3 * (sample > 10**11)
    assert clock.utc(0) == EPOCH
    assert clock.utc(rate_hz * 86_400) == EPOCH + timedelta(days=1)
    assert clock.drift_ppm is None
    assert clock.error_bound_s() is None


def test_the_nominal_rate_holds_for_the_first_minute() -> None:
    clock = StreamClock(EPOCH, RATE_HZ)
    for end, arrival in Device(drift_ppm=80).arrivals(59):
        clock.observe(end, arrival)
        assert clock.utc(end) == EPOCH + timedelta(microseconds=round(end * 1e6 / RATE_HZ))
    assert clock.drift_ppm is None


@pytest.mark.parametrize("drift_ppm", [-180.0, -20.0, 0.0, 5.0, 150.0])
def test_the_true_rate_is_found_and_time_follows_it(drift_ppm: float) -> None:
    clock, device = StreamClock(EPOCH, RATE_HZ), Device(drift_ppm=drift_ppm)
    end = 0
    for end, arrival in device.arrivals(1_500):
        clock.observe(end, arrival)
    assert clock.drift_ppm == pytest.approx(drift_ppm, abs=1.0)
    bound_s = clock.error_bound_s()
    assert bound_s is not None
    assert abs(off_s(clock, end, device)) < min(bound_s, 0.001)


def test_a_late_block_says_nothing_about_the_rate() -> None:
    calm, stalled = StreamClock(EPOCH, RATE_HZ), StreamClock(EPOCH, RATE_HZ)
    for index, (end, arrival) in enumerate(Device(drift_ppm=30).arrivals(300)):
        calm.observe(end, arrival)
        late_s = 2.0 if index % 97 < 15 else 0.0
        stalled.observe(end, Arrival(arrival.system_s + late_s, arrival.monotonic_s + late_s))
    assert stalled.drift_ppm == pytest.approx(calm.drift_ppm, abs=1.0)


@settings(deadline=None, max_examples=40)
@given(
    drift_ppm=st.floats(-300, 300),
    jitter_s=st.floats(0, 0.2),
    step_at_s=st.floats(1, 240),
    step_s=st.floats(-5, 5),
    asked=st.lists(st.integers(-60 * RATE_HZ, 45 * RATE_HZ), min_size=1, max_size=4),
)
def test_time_given_out_never_changes_and_never_runs_back(
    drift_ppm: float, jitter_s: float, step_at_s: float, step_s: float, asked: list[int]
) -> None:
    device = Device(drift_ppm, jitter_s=jitter_s, step_at_s=step_at_s, step_s=step_s)
    clock = StreamClock(EPOCH, RATE_HZ)
    given_out: dict[int, datetime] = {}
    for index, (end, arrival) in enumerate(device.arrivals(260)):
        clock.observe(end, arrival)
        if index % 50 == 0:
            given_out |= {sample: clock.utc(sample) for sample in (max(0, end + ask) for ask in asked)}
    assert {sample: clock.utc(sample) for sample in given_out} == given_out
    for before, after in pairwise(sorted(given_out)):
        assert given_out[before] < given_out[after]


def test_updates_of_the_fit_only_bend_time() -> None:
    clock = StreamClock(EPOCH, RATE_HZ)
    steepest = MAX_SLEW + MAX_DRIFT
    last = clock.utc(0)
    for end, arrival in Device(drift_ppm=200, jitter_s=0.1).arrivals(600):
        clock.observe(end, arrival)
        now = clock.utc(end)
        assert now - clock.utc(end - 1) <= timedelta(microseconds=4)  # a sample and its rounding
        assert abs((now - last).total_seconds() * RATE_HZ / BLOCK - 1) < steepest + 2e-5
        last = now


def test_an_epoch_stamped_late_is_put_right() -> None:
    clock = StreamClock(EPOCH + timedelta(seconds=0.1), RATE_HZ)
    device = Device(latency_s=0.001, jitter_s=0.001)
    end = 0
    for end, arrival in device.arrivals(1_200):
        clock.observe(end, arrival)
    assert abs(off_s(clock, end, device)) < 0.005


@pytest.mark.parametrize("step_at_s", [20.0, 200.0])
def test_a_forward_step_is_counted_and_followed_by_new_time_only(step_at_s: float) -> None:
    clock, device = StreamClock(EPOCH, RATE_HZ), Device(step_at_s=step_at_s, step_s=3.0)
    before = round((step_at_s - 1) * RATE_HZ)
    end = 0
    for end, arrival in device.arrivals(400):
        clock.observe(end, arrival)
    (step,) = clock.steps
    assert step.size_s == pytest.approx(3.0, abs=1e-3)
    assert step.applied == "jumped"
    assert clock.step_count == 1
    assert off_s(clock, before, device) == pytest.approx(0, abs=0.01)
    assert off_s(clock, step.sample - 1, device) == pytest.approx(0, abs=0.01)
    assert off_s(clock, step.sample, device) == pytest.approx(3, abs=0.01)
    assert off_s(clock, end, device) == pytest.approx(3, abs=0.01)
    assert clock.drift_ppm == pytest.approx(0, abs=1)


def test_a_backward_step_is_slewed_and_the_rest_is_in_the_error_bound() -> None:
    clock, device = StreamClock(EPOCH, RATE_HZ), Device(step_at_s=100, step_s=-0.2)
    bounds_s = []
    end = 0
    for end, arrival in device.arrivals(1_500):
        clock.observe(end, arrival)
        bounds_s.append(clock.error_bound_s() or 0.0)
    (step,) = clock.steps
    assert step.size_s == pytest.approx(-0.2, abs=1e-3)
    assert step.applied == "slewed"
    assert max(bounds_s) > 0.19
    assert bounds_s[-1] < 0.02
    assert off_s(clock, end, device) == pytest.approx(-0.2, abs=0.01)


def test_one_late_reading_of_a_clock_is_no_step() -> None:
    clock = StreamClock(EPOCH, RATE_HZ)
    for index, (end, arrival) in enumerate(Device().arrivals(30)):
        held_up_s = 0.3 if index == 100 else 0.0
        clock.observe(end, Arrival(arrival.system_s + held_up_s, arrival.monotonic_s))
    assert clock.step_count == 0


def test_a_step_too_small_to_follow_and_the_ntp_error_are_in_the_error_bound() -> None:
    steady, crept = StreamClock(EPOCH, RATE_HZ), StreamClock(EPOCH, RATE_HZ)
    for end, arrival in Device().arrivals(100):
        steady.observe(end, arrival)
        crept.observe(end, Arrival(arrival.system_s + (0.04 if end > BLOCK else 0), arrival.monotonic_s))
    bound_s = steady.error_bound_s()
    assert bound_s is not None
    assert crept.step_count == 0
    assert crept.error_bound_s() == pytest.approx(bound_s + 0.04, abs=1e-6)
    assert steady.error_bound_s(0.25) == pytest.approx(bound_s + 0.25)


def test_the_error_bound_grows_with_what_jitter_leaves_open() -> None:
    bounds_s = []
    for jitter_s in (0.001, 0.1):
        clock = StreamClock(EPOCH, RATE_HZ)
        for end, arrival in Device(jitter_s=jitter_s).arrivals(1_200):
            clock.observe(end, arrival)
        bounds_s.append(clock.error_bound_s() or 0.0)
    # The earliest of ten arrivals a second scatters by some per cent of the jitter.
    assert 0 < 10 * bounds_s[0] < bounds_s[1] < 0.02


def test_counts_gone_wrong_are_not_taken_for_the_crystal() -> None:
    clock = StreamClock(EPOCH, RATE_HZ)
    for end, arrival in Device(drift_ppm=20_000).arrivals(120):
        clock.observe(end, arrival)
    assert clock.drift_ppm == pytest.approx(1_000, rel=0.01)
    assert (clock.error_bound_s() or 0.0) > 0.5


def test_an_observation_that_does_not_ascend_is_refused() -> None:
    clock = StreamClock(EPOCH, RATE_HZ)
    clock.observe(10, Arrival(1.0, 1.0))
    with pytest.raises(ValueError, match="ascend"):
        clock.observe(10, Arrival(1.1, 1.1))
