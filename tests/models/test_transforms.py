"""T against a float64 STFT of the same frames at the full rate."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import fft

from seacanary_models.transforms import (
    SAMPLE_RATE_HZ,
    SHORT_TAPER,
    TRANSFORM,
    WINDOW_SAMPLES,
    CompositeSpectrogram,
    decimation_filter,
    filter_gain,
    taper,
)

pytestmark = pytest.mark.torch

GOLDEN = Path(__file__).parent / "golden" / "transform.npz"
TIME_S = np.arange(WINDOW_SAMPLES) / SAMPLE_RATE_HZ


def sea(seed: int) -> NDArray[np.float32]:
    """Noise, a rising whistle, a tone and clicks: something energetic in every row."""
    rng = np.random.RandomState(seed)  # whose streams never change, unlike a Generator's
    pcm = 1e-3 * rng.standard_normal(WINDOW_SAMPLES)
    pcm += 0.1 * np.sin(2 * np.pi * (2000 + 9000 * TIME_S) * TIME_S)
    pcm += 0.02 * np.sin(2 * np.pi * 60_300 * TIME_S)
    for first in rng.randint(0, WINDOW_SAMPLES - 40, 20):
        pcm[first : first + 38] += 0.3 * np.hanning(38) * np.sin(2 * np.pi * 130_000 * TIME_S[:38])
    return pcm.astype(np.float32)


def stft_power(pcm: NDArray[np.float32], window: NDArray[np.float64], hop: int) -> NDArray[np.float64]:
    """Power [frame, bin] in float64 of frames centred on their hop; a full-scale sine is 1."""
    lead = (window.size - hop) // 2
    padded = np.pad(pcm.astype(np.float64), lead)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window.size)[::hop]
    return np.abs(fft.rfft(frames * window) * 2 / window.sum()) ** 2


def reference_db(pcm: NDArray[np.float32]) -> NDArray[np.float64]:
    low = stft_power(pcm, taper(2048, 1.0), 768)[:, :128].reshape(256, 2, 128).mean(1)
    high = stft_power(pcm, taper(384, SHORT_TAPER), 192)[:, 24:152].reshape(256, 8, 128).max(1)
    return 10 * np.log10(np.concatenate([low, high], 1).T + 10 ** (TRANSFORM.floor_db / 10))


def log_power_db(pcm: NDArray[np.float32]) -> NDArray[np.float32]:
    return CompositeSpectrogram().log_power_db(torch.from_numpy(pcm[None]))[0].numpy()


@pytest.mark.parametrize("seed", [0, 1])
def test_power_matches_a_float64_stft_wherever_there_is_energy(seed: int) -> None:
    pcm = sea(seed)
    expected, found = reference_db(pcm), log_power_db(pcm)
    energetic = expected > -90
    assert energetic.mean() > 0.9
    error_db = np.abs(found - expected)
    # First and last columns see the decimation filter's edge; the rest is bounded by its -90 dB stopband.
    assert error_db[energetic].max() < 0.1
    assert error_db[energetic].mean() < 1e-3


def test_a_full_scale_sine_on_a_bin_has_zero_db() -> None:
    for row, frequency_hz in ((32, 6000.0), (127, 127 * 187.5), (128 + 76, 100_000.0)):
        pcm = np.sin(2 * np.pi * frequency_hz * TIME_S).astype(np.float32)
        assert log_power_db(pcm)[row, 5:-5] == pytest.approx(0.0, abs=0.01)


def test_a_loud_sound_above_the_low_rows_does_not_alias_into_them() -> None:
    frequencies_hz = np.concatenate([np.linspace(73e3, 119e3, 7), np.linspace(169e3, 191e3, 4)])
    for frequency_hz in frequencies_hz:
        pcm = np.sin(2 * np.pi * frequency_hz * TIME_S).astype(np.float32)
        assert log_power_db(pcm)[:128, 5:-5].max() < -90


def test_the_decimation_filter_is_flat_to_24_khz_and_stops_what_would_fold() -> None:
    passband = filter_gain(np.linspace(0, 24e3, 500))
    folding = filter_gain(np.concatenate([np.linspace(72e3, 120e3, 500), np.linspace(168e3, 192e3, 500)]))
    assert np.abs(20 * np.log10(passband)).max() < 0.1
    assert 20 * np.log10(folding.max()) < -90
    assert decimation_filter().sum() == pytest.approx(1.0)


def test_the_taper_is_a_hann_window_at_full_share_and_symmetric() -> None:
    np.testing.assert_allclose(taper(8, 1.0), np.sin(np.pi * (np.arange(8) + 0.5) / 8) ** 2)
    window = taper(384, SHORT_TAPER)
    np.testing.assert_allclose(window, window[::-1])
    assert (window[160:224] == 1).all()


def test_a_click_keeps_its_level_wherever_it_falls_in_a_column() -> None:
    click = (np.hanning(38) * np.sin(2 * np.pi * 130_000 * TIME_S[:38])).astype(np.float32)  # 100 µs
    levels = []
    for offset in range(0, 1536, 96):
        pcm = np.zeros(WINDOW_SAMPLES, np.float32)
        first = 100 * 1536 + offset
        pcm[first : first + click.size] = click
        levels.append(log_power_db(pcm)[128 + 106, 99:103].max())
    middle = (max(levels) + min(levels)) / 2
    assert np.abs(np.array(levels) - middle).max() <= 1.5


def test_a_click_fills_one_column() -> None:
    pcm = np.zeros(WINDOW_SAMPLES, np.float32)
    pcm[100 * 1536 + 768] = 1.0
    high = log_power_db(pcm)[128:]
    assert (high[:, 100] > -60).all()
    assert (np.delete(high, 100, axis=1) < -120).all()


def test_silence_is_a_flat_image() -> None:
    image = CompositeSpectrogram()(torch.zeros(1, WINDOW_SAMPLES))
    assert torch.isfinite(image).all()
    assert float(image.max() - image.min()) < 1e-5
    low_db, high_db = TRANSFORM.range_db
    assert float(image.max()) == pytest.approx(-low_db / (high_db - low_db), abs=1e-4)


def test_windows_of_a_batch_do_not_touch_each_other() -> None:
    pcm = torch.from_numpy(np.stack([sea(0), np.zeros(WINDOW_SAMPLES, np.float32), sea(1)]))
    transform = CompositeSpectrogram()
    together = transform(pcm)
    assert together.shape == (3, 1, 256, 256)
    for index in range(3):
        torch.testing.assert_close(together[index : index + 1], transform(pcm[index : index + 1]), atol=1e-4, rtol=0)


def test_louder_noise_gives_the_same_image() -> None:
    transform = CompositeSpectrogram()
    pcm = torch.from_numpy(sea(3)[None])
    torch.testing.assert_close(transform(pcm), transform(pcm * 3), atol=2e-3, rtol=0)


def golden_columns(seed: int) -> NDArray[np.uint16]:
    """Every fourth column of T's image in 1/65535, as `golden/transform.npz` holds them."""
    image = CompositeSpectrogram()(torch.from_numpy(sea(seed)[None]))[0, 0, :, ::4].numpy()
    return np.round(image * 65535).astype(np.uint16)


def test_images_equal_the_golden_vectors() -> None:
    golden = np.load(GOLDEN)
    for seed, expected in zip(golden["seeds"], golden["columns"], strict=True):
        difference = golden_columns(int(seed)).astype(np.int32) - expected
        assert np.abs(difference).max() < 66  # 0.05 dB
