"""The energy-ratio classifier on tones and clicks."""

import numpy as np
import pytest
from numpy.typing import NDArray

from seacanary.simulation import porpoise_click
from seacanary_models.click_trials import CLIP_SAMPLES
from seacanary_models.energy_ratio import REFUSED_DB, energy_ratio_db

pytestmark = pytest.mark.torch


def burst(frequency_hz: float, amplitude: float = 1.0) -> NDArray[np.float32]:
    time_s = np.arange(CLIP_SAMPLES) / 384_000
    return (amplitude * np.hanning(CLIP_SAMPLES) * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


@pytest.mark.parametrize("under_db", [3.0, 10.0, 25.0])
def test_the_score_is_the_ratio_of_the_bands_energies(under_db: float) -> None:
    clip = burst(125e3) + burst(65e3, 10 ** (-under_db / 20))
    assert energy_ratio_db(clip[None])[0] == pytest.approx(under_db, abs=0.05)


@pytest.mark.parametrize("frequency_hz", [30e3, 65e3, 95e3, 155e3])
def test_a_peak_outside_the_test_band_is_refused(frequency_hz: float) -> None:
    clip = burst(frequency_hz) + burst(125e3, 0.5)
    assert energy_ratio_db(clip[None])[0] == REFUSED_DB


def test_a_porpoise_click_passes_the_usual_six_decibels() -> None:
    click = porpoise_click(np.random.default_rng(1), sample_rate_hz=384_000)
    assert energy_ratio_db(np.pad(click, (96, 0))[None])[0] > 6


def test_silence_is_refused() -> None:
    assert energy_ratio_db(np.zeros((1, CLIP_SAMPLES), np.float32))[0] == REFUSED_DB
