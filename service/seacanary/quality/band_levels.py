"""Decidecade band levels of a stretch of audio, re 1 µPa with the hydrophone's calibration, re full scale without.

Terms after ISO 18405:2017 (decidecade: one tenth of a decade) and IEC 61260-1:2014 (exact
mid-band frequencies, base 10). Own code, for want of a library that is fast enough: filter banks
take 0.4 s for one second at 384 kHz, this a hundredth of it. Plain computation, apart from the
core only because numpy's transform of a whole second takes three times as long as scipy's.

The periodogram here measures the soundscape. It is no second definition of the model's image:
that is T, and nothing made here goes to the model.
"""

from functools import lru_cache
from math import log10

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from seacanary.quality.signal import PowerSpectrum, Samples

LOWEST_BAND = 10  # 10^(10/10) Hz = 10 Hz
# Shorter stretches cannot tell the lowest bands apart.
SHORTEST_S = 0.5
# Digital silence has no level; this is far below what 24 bits can hold.
LEAST_POWER = 1e-20
_NOMINAL = (1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0)


class CalibrationSection(BaseModel):
    """What turns a hydrophone's samples into sound pressure."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    sensitivity_db: float = Field(
        ge=-260, le=-80, description="of the hydrophone, dB re 1 V/µPa, such as -165; with its own preamplifier"
    )
    gain_db: float = Field(0.0, ge=-60, le=120, description="between hydrophone and converter, dB")
    full_scale_v: float = Field(1.0, gt=0, le=1000, description="peak voltage at the converter's full scale, volts")

    @property
    def full_scale_db(self) -> float:
        """Level of a mean square of 1 (full scale squared), dB re 1 µPa."""
        return 20 * log10(self.full_scale_v) - self.sensitivity_db - self.gain_db


def reference_of(calibration: CalibrationSection | None) -> str:
    """What levels are relative to."""
    return "full scale" if calibration is None else "1 µPa"


def level_db(mean_square: float, calibration: CalibrationSection | None) -> float:
    """Level of a mean square, dB re 1 µPa; without calibration re full scale.

    0 dB re full scale is a mean square of 1: a sine that just fills the
    range has -3.01 dB.
    """
    offset_db = 0.0 if calibration is None else calibration.full_scale_db
    return 10 * log10(max(mean_square, LEAST_POWER)) + offset_db


def power_spectrum(samples: Samples, sample_rate_hz: int) -> PowerSpectrum:
    """One-sided power spectrum of samples without their mean, Hann window.

    One window over the whole stretch, as usual for one-second levels of soundscapes
    (Merchant et al. 2015, Measuring acoustic habitats): sounds near its ends count for
    less, those in the middle for up to 4.3 dB more; steady sound is exact.

    Args:
        samples: float32 [n].
        sample_rate_hz: their rate; a whole second has bins of 1 Hz.
    """
    window, mean_square = _hann(samples.size)
    tapered = (samples - samples.mean(dtype=np.float64).astype(np.float32)) * window
    size = scipy.fft.next_fast_len(samples.size, real=True)
    bins = scipy.fft.rfft(tapered, size, overwrite_x=True)
    power = bins.real**2 + bins.imag**2
    power *= np.float32(2.0 / (float(samples.size) * size * mean_square))
    power[0] /= 2
    if size % 2 == 0:
        power[-1] /= 2
    return PowerSpectrum(power, sample_rate_hz / size)


def nominal_hz(band: int) -> float:
    """Nominal mid-band frequency by which a band is called; 10^(band/10) Hz exactly."""
    decade, step = divmod(band, 10)
    return round(_NOMINAL[step] * 10.0**decade, 6)


def decidecades(sample_rate_hz: int) -> range:
    """Numbers of the bands that lie wholly between 8.9 Hz and the Nyquist frequency."""
    highest = LOWEST_BAND
    while edge_hz(highest + 1) <= sample_rate_hz / 2:
        highest += 1
    return range(LOWEST_BAND, highest)


def edge_hz(band: int) -> float:
    """Lower edge of a band, hertz; the next band's is its upper edge."""
    return float(10 ** ((band - 0.5) / 10))


def band_powers(spectrum: PowerSpectrum, bands: range) -> NDArray[np.float64]:
    """Mean square in each of adjacent bands, float64 [bands]; a bin that an edge cuts is shared by its width."""
    position = np.array([edge_hz(band) for band in range(bands.start, bands.stop + 1)]) / spectrum.step_hz + 0.5
    whole = position.astype(np.intp)
    below_edge = (position - whole) * spectrum.power[np.minimum(whole, spectrum.power.size - 1)]
    # float64: the top band may lie 140 dB below the bottom one
    sums = np.add.reduceat(spectrum.power[: whole[-1]], whole[:-1], dtype=np.float64)
    powers: NDArray[np.float64] = sums + np.diff(below_edge)
    return powers


def band_levels(
    spectrum: PowerSpectrum, sample_rate_hz: int, calibration: CalibrationSection | None
) -> dict[float, float]:
    """Level in each decidecade band by its nominal frequency in hertz, dB (see level_db)."""
    bands = decidecades(sample_rate_hz)
    powers = band_powers(spectrum, bands)
    return {nominal_hz(band): level_db(float(power), calibration) for band, power in zip(bands, powers, strict=True)}


@lru_cache(maxsize=4)
def _hann(size: int) -> tuple[Samples, float]:
    """Periodic Hann window, float32 [size], and its mean square."""
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)
    window.setflags(write=False)
    return window, float(np.mean(np.square(window, dtype=np.float64)))
