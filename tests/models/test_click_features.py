"""Measures of single clicks, against clicks whose measures are known."""

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from seacanary.simulation import porpoise_click
from seacanary_models.click_features import FEATURES, click_features, reference_click, simulated_click
from seacanary_models.click_trials import CLIP_SAMPLES

pytestmark = pytest.mark.torch
AUDIO = Path(os.environ.get("SEACANARY_AUDIO", Path(__file__).parents[2] / "../shared/data/audio"))
REFERENCE = AUDIO / "porpoise-click_pyporcc_standard_click.wav"
RATE_HZ = 384_000


def gaussian_burst(centre_hz: float, sigma_s: float) -> NDArray[np.float32]:
    time_s = (np.arange(CLIP_SAMPLES) - 150) / RATE_HZ
    burst = np.exp(-0.5 * (time_s / sigma_s) ** 2) * np.cos(2 * np.pi * centre_hz * time_s)
    return burst.astype(np.float32)[None]


def measured(clips: NDArray[np.float32]) -> dict[str, float]:
    return dict(zip(FEATURES, click_features(clips, simulated_click())[0], strict=True))


@pytest.mark.parametrize(("centre_hz", "sigma_s"), [(130e3, 30e-6), (60e3, 25e-6)])
def test_a_gaussian_burst_measures_as_theory_says(centre_hz: float, sigma_s: float) -> None:
    """Its spectrum is a Gaussian too: power falls to half at ±√ln2 / 2πσ, and power² has σ_f = 1 / 4πσ."""
    features = measured(gaussian_burst(centre_hz, sigma_s))
    assert features["centroid_khz"] == pytest.approx(centre_hz / 1e3, abs=0.2)
    assert features["peak_khz"] == pytest.approx(centre_hz / 1e3, abs=0.4)
    assert features["peak_to_centroid"] == pytest.approx(1, abs=0.01)
    assert features["rms_bandwidth_khz"] == pytest.approx(1e-3 / (4 * np.pi * sigma_s), rel=0.03)
    width_khz = 1e-3 * np.sqrt(np.log(2)) / (np.pi * sigma_s)
    assert features["half_power_bandwidth_khz"] == pytest.approx(width_khz, abs=0.4)
    assert features["q"] == pytest.approx(features["centroid_khz"] / features["rms_bandwidth_khz"])
    # the energy envelope has a sigma of σ/√2, and the middle 80 % of a normal are ±1.2816 of its sigmas
    assert features["duration_us"] == pytest.approx(2 * 1.2816 * sigma_s / np.sqrt(2) * 1e6, abs=4)


def test_features_do_not_depend_on_gain() -> None:
    clips = gaussian_burst(125e3, 40e-6)
    standard = simulated_click()
    np.testing.assert_allclose(
        click_features(clips * np.float32(1e-4), standard), click_features(clips, standard), rtol=1e-4
    )


def test_the_standard_click_correlates_fully_with_itself_and_little_with_a_low_click() -> None:
    standard = simulated_click()
    clip = np.zeros((1, CLIP_SAMPLES), np.float32)
    clip[0, 50 : 50 + standard.samples.size] = -standard.samples
    correlation = FEATURES.index("template_correlation")
    assert click_features(clip, standard)[0, correlation] == pytest.approx(1, abs=1e-5)
    assert click_features(gaussian_burst(50e3, 20e-6), standard)[0, correlation] < 0.1


def test_the_recorded_reference_click_is_a_porpoises() -> None:
    if not REFERENCE.is_file():
        pytest.skip("the shared recordings are not here")
    standard = reference_click(REFERENCE)
    clip = np.zeros((1, CLIP_SAMPLES), np.float32)
    clip[0, 90 : 90 + standard.samples.size] = standard.samples
    features = measured(clip)
    assert np.linalg.norm(standard.samples) == pytest.approx(1, abs=1e-5)
    assert features["peak_khz"] == pytest.approx(135, abs=2)
    assert features["half_power_bandwidth_khz"] == pytest.approx(11, abs=1.5)
    assert features["template_correlation"] > 0.6


def test_simulated_porpoise_clicks_have_the_published_measures() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        click = porpoise_click(rng, sample_rate_hz=RATE_HZ)
        features = measured(np.pad(click, (96, CLIP_SAMPLES))[None, :CLIP_SAMPLES])
        assert 115 < features["centroid_khz"] < 150
        assert features["q"] > 4
