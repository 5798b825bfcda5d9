"""StreamResampler: nothing shifted, nothing lost, nothing that depends on the block sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seacanary.resampling import StreamResampler

MODEL_HZ = 384_000
RATES_HZ = [8_000, 44_100, 48_000, 96_000, 250_000, 256_000, 384_000, 500_000, 512_000, 576_000, 1_000_000]
Pcm = NDArray[np.float32]


def resampled(audio: Pcm, from_hz: int, sizes: list[int] | None = None, to_hz: int = MODEL_HZ) -> Pcm:
    resampler = StreamResampler(from_hz, to_hz)
    blocks = np.split(audio, np.cumsum(sizes)) if sizes else [audio]
    return np.concatenate([*(resampler.push(block) for block in blocks), resampler.flush()])


def noise(count: int) -> Pcm:
    return (0.1 * np.random.default_rng(1).standard_normal(count)).astype(np.float32)


@pytest.mark.parametrize("from_hz", RATES_HZ)
@settings(max_examples=15, deadline=None)
@given(sizes=st.lists(st.integers(1, 3_000), min_size=1, max_size=8))
def test_the_result_is_bit_identical_for_any_block_sizes(from_hz: int, sizes: list[int]) -> None:
    audio = noise(sum(sizes))
    np.testing.assert_array_equal(resampled(audio, from_hz, sizes), resampled(audio, from_hz))


@settings(deadline=None)
@given(from_hz=st.sampled_from([*RATES_HZ, 11_025, 22_050, 16_001, 383_999]), count=st.integers(1, 3_000))
def test_the_output_has_every_sample_before_the_runs_end(from_hz: int, count: int) -> None:
    expected = -(-count * MODEL_HZ // from_hz)
    assert resampled(noise(count), from_hz).size == expected


@pytest.mark.parametrize("from_hz", RATES_HZ)
def test_an_impulse_stays_where_it_was(from_hz: int) -> None:
    at = 2_000
    impulse = np.zeros(2 * at, np.float32)
    impulse[at] = 1.0
    energy = resampled(impulse, from_hz).astype(np.float64) ** 2
    centre_s = float(np.sum(energy * np.arange(energy.size)) / np.sum(energy)) / MODEL_HZ
    assert abs(centre_s * from_hz - at) < 0.01


def chirp(rate_hz: int, count: int, top_hz: float) -> NDArray[np.float64]:
    """A Hann-weighted sweep from 0.05 to 0.8 of `top_hz` over count samples at rate_hz."""
    t = np.arange(count) / rate_hz
    length_s = count / rate_hz
    phase = 2 * np.pi * top_hz * (0.05 * t + 0.375 * t**2 / length_s)
    swept: NDArray[np.float64] = np.sin(phase) * np.sin(np.pi * t / length_s) ** 2
    return swept


@pytest.mark.parametrize("from_hz", [rate for rate in RATES_HZ if rate != MODEL_HZ])
def test_a_chirp_comes_out_as_if_sampled_at_the_new_rate(from_hz: int) -> None:
    length_s = 0.25
    top_hz = min(from_hz, MODEL_HZ) / 2
    came = resampled(chirp(from_hz, round(length_s * from_hz), top_hz).astype(np.float32), from_hz)
    true = chirp(MODEL_HZ, round(length_s * MODEL_HZ), top_hz)
    error = came - true
    assert np.sqrt(np.mean(error**2) / np.mean(true**2)) < 1e-4
    # A shift by d samples would show as -d times the derivative.
    slope = np.gradient(true)
    shift = abs(float(np.sum(error * slope) / np.sum(slope**2)))
    assert shift * from_hz / MODEL_HZ < 0.01


@pytest.mark.parametrize("from_hz", [11_025, 44_100, 48_000])
def test_positions_hold_after_minutes(from_hz: int) -> None:
    minute = np.zeros(60 * from_hz, np.float32)
    resampler = StreamResampler(from_hz, 48_000)
    before = sum(resampler.push(minute).size for _ in range(3))
    click = np.zeros(from_hz, np.float32)
    click[from_hz // 2] = 1.0
    tail = np.concatenate([resampler.push(click), resampler.flush()]).astype(np.float64) ** 2
    centre = before + float(np.sum(tail * np.arange(tail.size)) / np.sum(tail))
    true = (180 * from_hz + from_hz // 2) * 48_000 / from_hz
    assert abs(centre - true) < 0.01


def test_equal_rates_copy_nothing() -> None:
    audio = noise(100)
    resampler = StreamResampler(MODEL_HZ, MODEL_HZ)
    assert resampler.push(audio) is audio
    assert resampler.flush().size == 0


@pytest.mark.parametrize(("from_hz", "to_hz"), [(0, 1), (1, 0), (-1, 1)])
def test_rates_that_are_no_rates_are_refused(from_hz: int, to_hz: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        StreamResampler(from_hz, to_hz)
