"""Calls mixed into copies of audio: at the level asked for, over the noise that is usual."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seacanary.selftest_calls import UsualNoise, with_bout
from seacanary.simulation.sounds import CALL_TYPES, CallTypeName

RATE_HZ = 384_000


def noise(rms: float = 1e-3, *, seed: int = 0, rate_hz: int = RATE_HZ) -> NDArray[np.float32]:
    return (rms * np.random.default_rng(seed).standard_normal(2 * rate_hz)).astype(np.float32)


def usual(*levels: float, rate_hz: int = RATE_HZ) -> UsualNoise:
    found = UsualNoise(rate_hz)
    for seed, rms in enumerate(levels):
        found.note(noise(rms, seed=seed, rate_hz=rate_hz))
    return found


@settings(max_examples=20, deadline=None)
@given(low=st.floats(300, 150_000), width=st.floats(500, 20_000))
def test_the_noise_of_a_band_is_its_share_of_the_whole(low: float, width: float) -> None:
    expected = 1e-3 * np.sqrt(width / (RATE_HZ / 2))
    assert NOISE.rms((low, low + width)) == pytest.approx(expected, rel=0.1)


NOISE = usual(1e-3)


def test_what_is_usual_is_the_quiet_part_of_the_day_and_a_loud_copy_does_not_raise_it() -> None:
    assert usual(1e-3, 1e-3, 1e-1).rms((1000, 2000)) == pytest.approx(usual(1e-3, 1e-3).rms((1000, 2000)), rel=0.1)


def test_a_short_bang_does_not_raise_the_noise_of_a_copy() -> None:
    banged, found = noise(), UsualNoise(RATE_HZ)
    banged[1000:2000] += 0.5
    found.note(banged)
    assert found.rms((1000, 5000)) == pytest.approx(NOISE.rms((1000, 5000)), rel=0.1)


@pytest.mark.parametrize("call_type", CALL_TYPES)
@pytest.mark.parametrize("snr_db", [10.0, 30.0])
def test_calls_are_as_loud_as_asked_for(call_type: CallTypeName, snr_db: float) -> None:
    quiet = noise()
    calls = with_bout(quiet, noise=NOISE, call_type=call_type, snr_db=snr_db, rng=np.random.default_rng(7)) - quiet
    if call_type == "whistle":
        # In its own band, at least 500 Hz wide and mostly far less than the whole: between the two bounds.
        loudest = np.sqrt(np.mean(np.square(calls.reshape(-1, 3840)), axis=1)).max()
        assert NOISE.rms((5000, 5500)) * 10 ** (snr_db / 20) / 3 < loudest
        assert loudest < NOISE.rms((0, 30_000)) * 10 ** (snr_db / 20) * 4
    else:
        assert NOISE.rms((100_000, 110_000)) * 10 ** (snr_db / 20) < np.abs(calls).max()
        assert np.abs(calls).max() < NOISE.rms((0, 192_000)) * 10 ** (snr_db / 20) * 1.6


def test_ten_decibels_more_are_ten_decibels_more() -> None:
    quiet = noise()
    loud, louder = (
        with_bout(quiet, noise=NOISE, call_type="porpoise_click", snr_db=snr_db, rng=np.random.default_rng(7)) - quiet
        for snr_db in (20.0, 30.0)
    )
    assert np.abs(louder).max() / np.abs(loud).max() == pytest.approx(10**0.5, rel=0.01)


def test_the_same_seed_gives_the_same_bout_and_the_audio_itself_is_left_alone() -> None:
    quiet = noise()
    before = quiet.copy()
    first, again, other = (
        with_bout(quiet, noise=NOISE, call_type="whistle", snr_db=20, rng=np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(quiet, before)


def test_calls_louder_than_the_recorder_can_hold_are_limited_to_full_scale() -> None:
    loud = usual(0.2)
    mixed = with_bout(noise(0.2), noise=loud, call_type="beluga_click", snr_db=40, rng=np.random.default_rng(1))
    assert np.abs(mixed).max() == 1.0


def test_a_rate_that_carries_no_such_call_is_said_to() -> None:
    slow = usual(1e-3, rate_hz=48_000)
    with pytest.raises(ValueError, match="no porpoise_click can be heard at 48000 Hz"):
        with_bout(
            noise(rate_hz=48_000), noise=slow, call_type="porpoise_click", snr_db=20, rng=np.random.default_rng(1)
        )
