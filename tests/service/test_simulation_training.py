"""Training windows: exactly the wished calls, wide variety, repeatable."""

from itertools import combinations

import numpy as np
import pytest

from seacanary.simulation import CALL_TYPES, random_scene, training_window

WISHES = [set(wish) for size in range(4) for wish in combinations(CALL_TYPES, size)]


@pytest.mark.parametrize("wish", WISHES, ids="+".join)
def test_window_holds_exactly_the_wished_call_types(wish: set[str]) -> None:
    for seed in range(3):
        window = training_window(seed, call_types=wish)
        assert window.samples.shape == (393_216,)
        assert set(window.stems) == wish
        assert {call.call_type for call in window.calls} == wish
        assert all(stem.shape == window.samples.shape and stem.any() for stem in window.stems.values())
        assert all(call.offset_sample > 0 and call.onset_sample < 393_216 for call in window.calls)


def test_snr_stays_in_the_promised_ranges() -> None:
    for seed in range(6):
        for call in training_window(seed, call_types=CALL_TYPES).calls:
            low, high = (0, 25) if call.call_type == "whistle" else (8, 35)
            assert low <= call.snr_db <= high


def test_same_seed_same_window_other_part_other_window() -> None:
    first, again = training_window(3), training_window(3)
    assert np.array_equal(first.samples, again.samples)
    assert first.calls == again.calls
    assert not np.array_equal(first.samples, training_window(3, part="test").samples)


def test_drawn_windows_are_mixed() -> None:
    windows = [training_window(seed) for seed in range(40)]
    empty = sum(not window.stems for window in windows)
    negative = sum(bool(window.negatives) for window in windows)
    assert 5 <= empty <= 20
    assert 6 <= negative <= 25
    assert {name for window in windows for name in window.stems} == set(CALL_TYPES)


def test_unknown_call_type_is_refused() -> None:
    with pytest.raises(ValueError, match="known are whistle"):
        training_window(1, call_types=["kraken"])


def test_a_rate_that_cannot_carry_the_call_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be heard at 48000 Hz"):
        training_window(1, call_types=["porpoise_click"], sample_rate_hz=48_000, samples=24_000)


def test_parts_have_other_recorders_and_ships() -> None:
    rng = np.random.default_rng(1)
    train = [random_scene(rng, part="train") for _ in range(40)]
    test = [random_scene(rng, part="test") for _ in range(40)]
    assert not {s.recorder.bits for s in train} & {s.recorder.bits for s in test}
    assert min(ship.blades for s in train for ship in s.ships) >= 3
    assert max(ship.blades for s in test for ship in s.ships) <= 3
    assert not {s.seed for s in train} & {s.seed for s in test}


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_windows_are_neither_saturated_nor_silent(part: str) -> None:
    for seed in range(100, 115):
        window = training_window(seed, part=part, call_types=())
        if {"clipping", "dropout"} & set(window.negatives):
            continue
        assert np.mean(np.abs(window.samples) > 0.59) < 0.01
        assert np.unique(window.samples[:10_000]).size > 2
