"""Band levels: sums, known levels, the flat spectrum, calibration arithmetic."""

import time
from math import log10

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seacanary.quality.band_levels import (
    LOWEST_BAND,
    CalibrationSection,
    band_levels,
    band_powers,
    decidecades,
    edge_hz,
    level_db,
    nominal_hz,
    power_spectrum,
    reference_of,
)

RATES_HZ = (8000, 44_100, 48_000, 96_000, 250_000, 384_000, 576_000)


def sine(hz: float, *, rms: float, rate_hz: int, count: int | None = None) -> NDArray[np.float32]:
    time_s = np.arange(count or rate_hz) / rate_hz
    return (rms * np.sqrt(2) * np.sin(2 * np.pi * hz * time_s + 0.3)).astype(np.float32)


def noise(seed: int, count: int, *, rms: float = 0.1) -> NDArray[np.float32]:
    return (rms * np.random.default_rng(seed).standard_normal(count)).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), rate_hz=st.sampled_from(RATES_HZ), share=st.floats(0.5, 1.0))
def test_the_spectrum_sums_to_the_mean_square_whatever_the_length(seed: int, rate_hz: int, share: float) -> None:
    samples = noise(seed, round(share * rate_hz))
    spectrum = power_spectrum(samples, rate_hz)
    mean_square = np.mean(np.square(samples - samples.mean(), dtype=np.float64))
    # The window weighs the middle: over n samples of noise the two differ by some 1.4 / sqrt(n).
    assert float(spectrum.power.sum(dtype=np.float64)) == pytest.approx(mean_square, rel=7 / np.sqrt(samples.size))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), rate_hz=st.sampled_from(RATES_HZ), share=st.floats(0.5, 1.0))
def test_adjacent_bands_share_out_the_power_between_their_outer_edges_without_loss(
    seed: int, rate_hz: int, share: float
) -> None:
    spectrum = power_spectrum(noise(seed, round(share * rate_hz)), rate_hz)
    bands = decidecades(rate_hz)
    edges = np.array([edge_hz(bands.start), edge_hz(bands.stop)]) / spectrum.step_hz
    centres = np.arange(spectrum.power.size)
    inside = np.clip(np.minimum(centres + 0.5, edges[1]) - np.maximum(centres - 0.5, edges[0]), 0, 1)
    assert band_powers(spectrum, bands).sum() == pytest.approx(float((inside * spectrum.power).sum()), rel=1e-4)


@settings(max_examples=40, deadline=None)
@given(band=st.integers(13, 50), place=st.floats(-0.3, 0.3), level=st.floats(-100, -10))
def test_a_sine_has_its_level_in_its_own_band_within_a_tenth_of_a_decibel(
    band: int, place: float, level: float
) -> None:
    rate_hz = 384_000
    samples = sine(10 ** ((band + place) / 10), rms=10 ** (level / 20), rate_hz=rate_hz)
    levels = band_levels(power_spectrum(samples, rate_hz), rate_hz, None)
    assert levels[nominal_hz(band)] == pytest.approx(level, abs=0.1)
    others = {hz: other for hz, other in levels.items() if hz != nominal_hz(band)}
    assert max(others.values()) < level - 20


def test_white_noise_rises_by_one_decibel_a_band() -> None:
    rate_hz, seconds = 384_000, 12
    powers = np.mean(
        [band_powers(power_spectrum(noise(n, rate_hz), rate_hz), decidecades(rate_hz)) for n in range(seconds)], axis=0
    )
    levels = 10 * np.log10(powers)[10:]  # from 100 Hz on, where 12 s are enough to say
    steps = np.diff(levels)
    assert steps.mean() == pytest.approx(1.0, abs=0.05)
    density = levels - 10 * np.log10([edge_hz(b + 1) - edge_hz(b) for b in list(decidecades(rate_hz))[10:]])
    assert density == pytest.approx(10 * log10(0.1**2 / (rate_hz / 2)), abs=1.0)
    assert density[20:] == pytest.approx(10 * log10(0.1**2 / (rate_hz / 2)), abs=0.1)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_bands_reach_up_to_the_nyquist_frequency_and_no_further(rate_hz: int) -> None:
    bands = decidecades(rate_hz)
    assert bands.start == LOWEST_BAND
    assert edge_hz(bands.stop) <= rate_hz / 2 < edge_hz(bands.stop + 1)


def test_bands_are_called_by_their_nominal_frequencies() -> None:
    names = [nominal_hz(band) for band in range(10, 53)]
    assert names[:12] == [10, 12.5, 16, 20, 25, 31.5, 40, 50, 63, 80, 100, 125]
    assert names[-3:] == [100_000, 125_000, 160_000]
    exact = [10 ** (band / 10) for band in range(10, 53)]
    assert names == pytest.approx(exact, rel=0.02)


def test_calibration_turns_full_scale_into_sound_pressure() -> None:
    # 1 V peak at full scale, 20 dB of gain, -165 dB re 1 V/µPa: full scale is 145 dB re 1 µPa.
    calibration = CalibrationSection(sensitivity_db=-165, gain_db=20, full_scale_v=1)
    assert level_db(1.0, calibration) == pytest.approx(145)
    # A sine of 100 dB re 1 µPa RMS at this hydrophone: 1e5 µPa x 10^(-165/20) V/µPa x 10 = 5.62 mV RMS.
    volts = 1e5 * 10 ** (-165 / 20) * 10
    assert level_db(volts**2, calibration) == pytest.approx(100)
    assert level_db(0.25, CalibrationSection(sensitivity_db=-165, full_scale_v=2)) == pytest.approx(165)
    assert level_db(0.25, None) == pytest.approx(-6.02, abs=0.01)
    assert (reference_of(calibration), reference_of(None)) == ("1 µPa", "full scale")


@settings(deadline=None)
@given(shift=st.floats(-40, 40))
def test_gain_and_level_make_up_for_each_other(shift: float) -> None:
    plain, raised = (CalibrationSection(sensitivity_db=-170, gain_db=gain) for gain in (0.0, shift))
    assert level_db(10 ** (shift / 10), raised) == pytest.approx(level_db(1.0, plain))


def test_digital_silence_has_a_level_far_below_everything_not_minus_infinity() -> None:
    levels = band_levels(power_spectrum(np.zeros(48_000, np.float32), 48_000), 48_000, None)
    assert set(levels.values()) == {-200.0}


def test_a_second_at_384_khz_costs_well_under_ten_milliseconds() -> None:
    samples = noise(1, 384_000)
    band_levels(power_spectrum(samples, 384_000), 384_000, None)
    took_s = []
    for _ in range(5):
        began = time.thread_time()
        band_levels(power_spectrum(samples, 384_000), 384_000, None)
        took_s.append(time.thread_time() - began)
    assert min(took_s) < 0.01
