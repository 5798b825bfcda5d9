"""Measures single clicks the way the published click classifiers do.

Source: Cosentino et al. (2019), Porpoise click classifier (PorCC); Madsen and Wahlberg (2007), Recording and
quantification of ultrasonic echolocation clicks from free-ranging toothed whales.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import scipy.fft
import soundfile
import soxr
from numpy.typing import NDArray
from scipy import signal

from seacanary.simulation import porpoise_click
from seacanary_models.transforms import SAMPLE_RATE_HZ

FFT_SAMPLES: Final = 512
FEATURES: Final = (
    "duration_us",
    "centroid_khz",
    "peak_khz",
    "rms_bandwidth_khz",
    "half_power_bandwidth_khz",
    "q",
    "peak_to_centroid",
    "template_correlation",
)
FREQUENCY_HZ: Final = np.fft.rfftfreq(FFT_SAMPLES, 1 / SAMPLE_RATE_HZ)
_ENERGY_SHARE: Final = (0.1, 0.9)
_FINER: Final = 4  # the -3 dB points are looked up on a spectrum this much finer: 188 Hz
_TAIL_SAMPLES: Final = 32  # kept after the reference click, so that resampling does not cut it

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class StandardClick:
    """What a typical porpoise click looks like.

    Attributes:
        samples: float32 [n] at 384 kHz, unit energy.
        source: where it is from.
    """

    samples: Floats
    source: str


def reference_click(path: Path) -> StandardClick:
    """A recorded reference click, brought to 384 kHz.

    Args:
        path: an audio file that holds one click and silence.
    """
    samples, rate_hz = soundfile.read(path, dtype="float32")
    cut = samples[: np.flatnonzero(samples)[-1] + _TAIL_SAMPLES]
    return StandardClick(_unit_energy(soxr.resample(cut, rate_hz, SAMPLE_RATE_HZ)), f"recorded: {path.name}")


def simulated_click() -> StandardClick:
    """A simulated porpoise click of 130 kHz and 100 µs."""
    rng = np.random.default_rng(0)
    samples = porpoise_click(rng, sample_rate_hz=SAMPLE_RATE_HZ, centre_hz=130e3, duration_s=1e-4)
    return StandardClick(_unit_energy(samples), "simulated")


def click_power(clips: Floats) -> NDArray[np.float64]:
    """Power spectrum of each clip: [clips, n] to [clips, FFT_SAMPLES // 2 + 1], at FREQUENCY_HZ."""
    return np.asarray(np.abs(scipy.fft.rfft(clips.astype(np.float64), FFT_SAMPLES, axis=1)) ** 2)


def click_features(clips: Floats, standard: StandardClick) -> NDArray[np.float64]:
    """The features of PorCC.

    Centroid and RMS bandwidth weigh each frequency by the square of its power, as PorCC does, which
    keeps broadband noise from drawing them off the click. The correlation with the standard click is
    divided by both norms, so it does not depend on the recorder's gain.

    Args:
        clips: float32 [n, samples], band-passed, not silent.
        standard: the typical click.

    Returns:
        float64 [n, 8], columns as FEATURES.
    """
    power = click_power(clips)
    weight = power**2 / (power**2).sum(axis=1, keepdims=True)
    centroid_hz = weight @ FREQUENCY_HZ
    spread_hz = np.sqrt((weight * (FREQUENCY_HZ - centroid_hz[:, None]) ** 2).sum(axis=1))
    peak_hz = FREQUENCY_HZ[power.argmax(axis=1)]
    columns = (
        _duration_us(clips),
        centroid_hz / 1e3,
        peak_hz / 1e3,
        spread_hz / 1e3,
        _half_power_hz(clips) / 1e3,
        centroid_hz / np.maximum(spread_hz, FREQUENCY_HZ[1] / 10),
        peak_hz / centroid_hz,
        _correlation(clips, standard),
    )
    return np.stack(columns, axis=1)


def _unit_energy(samples: Floats) -> Floats:
    return np.asarray(samples / np.linalg.norm(samples), np.float32)


def _duration_us(clips: Floats) -> NDArray[np.float64]:
    """Time that holds the middle 80 % of each clip's energy, microseconds [clips]."""
    energy = np.cumsum(clips.astype(np.float64) ** 2, axis=1)
    low, high = (np.argmax(energy >= share * energy[:, -1:], axis=1) for share in _ENERGY_SHARE)
    return np.asarray((high - low) / SAMPLE_RATE_HZ * 1e6)


def _half_power_hz(clips: Floats) -> NDArray[np.float64]:
    """Width around the spectral peak within which power stays over half of it, hertz [clips]."""
    size = FFT_SAMPLES * _FINER
    power = np.abs(scipy.fft.rfft(clips.astype(np.float64), size, axis=1)) ** 2
    peak = power.argmax(axis=1)[:, None]
    below = power < 0.5 * np.take_along_axis(power, peak, axis=1)
    bins = np.arange(power.shape[1])
    left = np.where(below & (bins < peak), bins, -1).max(axis=1)
    right = np.where(below & (bins > peak), bins, bins.size).min(axis=1)
    return np.asarray((right - left - 1) * SAMPLE_RATE_HZ / size, np.float64)


def _correlation(clips: Floats, standard: StandardClick) -> NDArray[np.float64]:
    """Highest correlation of each clip with the standard click at any lag, 0 to 1 [clips]."""
    matched = signal.fftconvolve(clips, standard.samples[None, ::-1], axes=1)
    return np.asarray(np.abs(matched).max(axis=1) / np.linalg.norm(clips, axis=1), np.float64)
