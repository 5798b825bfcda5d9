"""The persistent-source guard: machines are known by their sameness, callers never are."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from seacanary.guard import GuardMemory, GuardSection, PersistentSourceGuard
from seacanary.observations import CallSpan, Detection

# Windows of 8 s, so that hours take moments.
RATE_HZ, WINDOW, HOP = 1000, 8192, 4096
EPOCH = datetime(2026, 5, 1, tzinfo=UTC)
HOUR = 3600 * RATE_HZ // HOP  # windows
SECTION = GuardSection()

Scene = Callable[[int], list[tuple[str, float, float, float, float]]]
"""Of a window: (call type, first and last share of the window, low and high Hz)."""


def detection(index: int, scene: Scene) -> Detection:
    first = index * HOP
    spans = tuple(
        CallSpan(call_type, first + round(a * WINDOW), first + round(b * WINDOW), (low, high))
        for call_type, a, b, low, high in scene(index)
    )
    return Detection(
        hydrophone="north",
        epoch=EPOCH,
        first_sample=first,
        end_sample=first + WINDOW,
        sample_rate_hz=RATE_HZ,
        start=EPOCH + timedelta(seconds=first / RATE_HZ),
        probability={"whistle": 0.8, "beluga_click": 0.8, "porpoise_click": 0.8},
        unobserved=frozenset(),
        spans=spans,
        mask=None,
        model_id="m1",
        source_file=None,
    )


def watch(
    guard: PersistentSourceGuard, scene: Scene, *, start: int = 0, windows: int
) -> Iterator[tuple[Detection, frozenset[CallSpan]]]:
    for index in range(start, start + windows):
        seen = detection(index, scene)
        yield seen, guard.watch(seen)


def run(guard: PersistentSourceGuard, scene: Scene, *, start: int = 0, windows: int) -> int:
    """Windows with a span held back."""
    return sum(bool(held) for _, held in watch(guard, scene, start=start, windows=windows))


def pump(_index: int) -> list[tuple[str, float, float, float, float]]:
    return [("whistle", 0.0, 1.0, 1000.0, 1200.0)]


def echosounder(hz: float) -> Scene:
    """One ping a window, now and then two; a row to either side now and then."""

    def scene(index: int) -> list[tuple[str, float, float, float, float]]:
        chance = random.Random(index)
        edge = chance.choice([0.0, 1000.0])
        times = (0.05, 0.95) if index % 20 == 0 else (chance.uniform(0.1, 0.8),)
        return [("beluga_click", t, t + 0.008, hz - 2000 - edge, hz + 2000 + edge) for t in times]

    return scene


def whistles(index: int) -> list[tuple[str, float, float, float, float]]:
    """A colony that never stops calling: some whistles narrow, no two alike."""
    chance = random.Random(index)
    found = []
    for _ in range(chance.choice([1, 1, 2])):
        start, low = chance.uniform(0.0, 0.7), chance.uniform(800.0, 9000.0)
        width = chance.choice([200.0, 800.0, 3000.0])
        found.append(("whistle", start, start + chance.uniform(0.05, 0.3), low, low + width))
    return found


def porpoise(index: int) -> list[tuple[str, float, float, float, float]]:
    """Feeding for hours: always the same narrow band, but trains of every length."""
    fill = random.Random(index).choice([0.004, 0.01, 0.03, 0.2, 0.9])
    return [("porpoise_click", 0.0, fill, 122e3, 138e3)]


@pytest.mark.parametrize(
    ("scene", "call_type", "centre_hz"),
    [
        (pump, "whistle", 1100.0),
        (echosounder(50e3), "beluga_click", 50e3),
        (echosounder(120e3), "beluga_click", 120e3),
    ],
)
def test_a_machine_is_flagged_after_two_hours_and_no_sooner(scene: Scene, call_type: str, centre_hz: float) -> None:
    guard = PersistentSourceGuard(SECTION)
    assert run(guard, scene, windows=2 * HOUR - 10) == 0
    assert run(guard, scene, start=2 * HOUR - 10, windows=200) >= 180
    [source] = guard.flagged
    assert source.call_type == call_type
    assert (source.band_hz.low + source.band_hz.high) / 2 == pytest.approx(centre_hz, rel=0.05)
    assert source.since == EPOCH


@pytest.mark.parametrize("scene", [whistles, porpoise])
def test_callers_are_not_flagged_in_six_hours(scene: Scene) -> None:
    guard = PersistentSourceGuard(SECTION)
    assert run(guard, scene, windows=6 * HOUR) == 0
    assert guard.flagged == ()


def test_a_machine_is_found_among_callers() -> None:
    def both(index: int) -> list[tuple[str, float, float, float, float]]:
        return pump(index) if index % 5 else whistles(index)

    guard = PersistentSourceGuard(SECTION)
    run(guard, both, windows=3 * HOUR)
    [source] = guard.flagged
    assert (source.band_hz.low, source.band_hz.high) == pytest.approx((1000, 1200), abs=10)


def test_a_beluga_beside_a_flagged_pump_is_not_held_back() -> None:
    guard = PersistentSourceGuard(SECTION)
    run(guard, pump, windows=2 * HOUR + 10)

    def beluga_too(index: int) -> list[tuple[str, float, float, float, float]]:
        return [*pump(index), ("whistle", 0.2, 0.5, 4000.0, 9000.0), ("beluga_click", 0.1, 0.9, 30e3, 90e3)]

    def beluga_over_it(_index: int) -> list[tuple[str, float, float, float, float]]:
        return [("whistle", 0.0, 1.0, 1000.0, 9000.0)]

    for seen, held in watch(guard, beluga_too, start=2 * HOUR + 10, windows=20):
        assert held == {seen.spans[0]}
    # The mask joins both into one wide span, where they sound at once.
    assert run(guard, beluga_over_it, start=2 * HOUR + 30, windows=20) == 0
    assert run(guard, pump, start=2 * HOUR + 50, windows=20) == 20


def test_a_source_that_stops_is_forgotten_and_one_that_pauses_is_not() -> None:
    guard = PersistentSourceGuard(SECTION)
    pause = HOUR // 12  # 5 min
    run(guard, pump, windows=2 * HOUR + 10)
    run(guard, lambda _: [], start=2 * HOUR + 10, windows=pause)
    assert len(guard.flagged) == 1
    run(guard, pump, start=2 * HOUR + 10 + pause, windows=1)
    run(guard, lambda _: [], start=2 * HOUR + 11 + pause, windows=2 * pause + 10)
    assert guard.flagged == ()


def test_a_gap_is_not_silence() -> None:
    guard = PersistentSourceGuard(SECTION)
    run(guard, pump, windows=2 * HOUR + 10)
    assert run(guard, pump, start=12 * HOUR, windows=1) == 1


def test_memory_is_bounded_in_a_varied_sea() -> None:
    guard = PersistentSourceGuard(SECTION)
    for index in range(HOUR):
        guard.watch(detection(index, whistles))
        assert len(guard.snapshot().sources) <= 4


def test_a_restart_and_a_replay_change_nothing() -> None:
    short = GuardSection(after_s=480, stop_s=160)
    scene = echosounder(120e3)
    unbroken, broken = PersistentSourceGuard(short), PersistentSourceGuard(short)
    expected = [held for _, held in watch(unbroken, scene, windows=300)]
    got = [held for _, held in watch(broken, scene, windows=150)]
    again = PersistentSourceGuard(short)
    again.restore(GuardMemory.model_validate_json(broken.snapshot().model_dump_json()))
    run(again, scene, start=100, windows=50)  # seen before
    got += [held for _, held in watch(again, scene, start=150, windows=150)]
    assert got == expected
    assert again.snapshot() == unbroken.snapshot()


@pytest.mark.parametrize("field", sorted(GuardSection.model_fields))
def test_a_guard_that_would_wait_for_ever_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        GuardSection.model_validate({field: float("inf")})
