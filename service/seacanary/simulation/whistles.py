"""Tonal and pulsed social calls of the beluga."""

from typing import Literal

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from seacanary.simulation.sounds import FloatArray, Sound

Shape = Literal[
    "flat", "upsweep", "downsweep", "u", "inverted_u", "sinusoid", "trill", "stepped", "wandering", "hooked"
]
SHAPES: tuple[Shape, ...] = (
    "flat", "upsweep", "downsweep", "u", "inverted_u", "sinusoid", "trill", "stepped", "wandering", "hooked",
)  # fmt: skip

HIGHEST_HZ = 30_000.0  # harmonics above are left out: the calls can be made at 64 kHz and lifted


def contour_hz(
    rng: np.random.Generator, u: NDArray[np.float64], *, shape: Shape, low_hz: float, high_hz: float, duration_s: float
) -> NDArray[np.float64]:
    """Fundamental frequency over u (0 to 1), hertz [n], between low_hz and high_hz give or take a warble."""
    course = _course(rng, u, shape=shape, duration_s=duration_s)
    bend = float(np.exp(rng.normal(0, 0.3)))
    contour = low_hz * (high_hz / low_hz) ** (np.clip(course, 0, 1) ** bend)
    if rng.random() < 0.3:
        contour = contour * (1 + rng.uniform(0.002, 0.03) * np.sin(2 * np.pi * rng.uniform(8, 60) * u * duration_s))
    return contour


def _course(
    rng: np.random.Generator, u: NDArray[np.float64], *, shape: Shape, duration_s: float
) -> NDArray[np.float64]:
    """The contour's form, 0 (lowest) to 1 (highest) over u."""
    if shape in ("trill", "sinusoid"):
        rate_hz = rng.uniform(8, 40) if shape == "trill" else rng.uniform(1, 8)
        return 0.5 + 0.5 * np.sin(2 * np.pi * (rate_hz * duration_s * u + rng.random()))
    if shape == "stepped":
        steps = int(rng.integers(2, 7))
        levels = np.sort(rng.random(steps)) if rng.random() < 0.5 else rng.random(steps)
        smooth = np.interp(u * steps, np.arange(steps) + 0.5, levels)
        return np.where(rng.random() < 0.5, levels[np.minimum((u * steps).astype(int), steps - 1)], smooth)
    if shape == "wandering":
        knots = rng.random(int(rng.integers(4, 8)))
        return np.interp(u, np.linspace(0, 1, knots.size), knots)
    if shape == "hooked":
        turn = rng.uniform(0.6, 0.9)
        return np.where(u < turn, u / turn, 1 - rng.uniform(0.3, 1) * (u - turn) / (1 - turn))
    simple = {
        "flat": 0.5 + rng.normal(0, 0.05) * (u - 0.5),
        "upsweep": u,
        "downsweep": 1 - u,
        "u": (2 * u - 1) ** 2,
        "inverted_u": 1 - (2 * u - 1) ** 2,
    }
    return simple[shape]


def beluga_whistle(
    rng: np.random.Generator,
    *,
    sample_rate_hz: int,
    shape: Shape | None = None,
    duration_s: float | None = None,
    band_hz: tuple[float, float] | None = None,
) -> Sound:
    """One whistle: 0.3-20 kHz, 0.1-3 s, with 0-4 harmonics.

    Contour classes, durations and frequencies after Sjare and Smith (1986),
    Belikov and Bel'kovich (2006, 2007) and Garland et al. (2015).

    Args:
        rng: draws what is not given.
        sample_rate_hz: rate of the result; partials above 45 % of it are left out.
        shape: form of the contour.
        duration_s: seconds.
        band_hz: lowest and highest fundamental, hertz.

    Returns:
        A Sound, peak about 1, measured by RMS.
    """
    chosen = SHAPES[int(rng.integers(len(SHAPES)))] if shape is None else shape
    duration_s = float(np.exp(rng.uniform(np.log(0.1), np.log(3.0)))) if duration_s is None else duration_s
    low_hz, high_hz = _drawn_band(rng, shape=chosen) if band_hz is None else band_hz
    u = np.arange(round(duration_s * sample_rate_hz)) / (duration_s * sample_rate_hz)
    contour = contour_hz(rng, u, shape=chosen, low_hz=low_hz, high_hz=high_hz, duration_s=duration_s)
    tone = partials(rng, contour, sample_rate_hz=sample_rate_hz)
    return Sound.whole(tone * envelope(rng, u, duration_s=duration_s), sample_rate_hz=sample_rate_hz)


def _drawn_band(rng: np.random.Generator, *, shape: Shape) -> tuple[float, float]:
    centre_hz = float(np.clip(np.exp(rng.normal(np.log(4000), 0.65)), 400, 18_000))
    octaves = rng.uniform(0.01, 0.2) if shape == "flat" else np.abs(rng.normal(0, 0.8)) + 0.08
    return max(300.0, centre_hz * 2 ** (-octaves / 2)), min(20_000.0, centre_hz * 2 ** (octaves / 2))


def partials(rng: np.random.Generator, contour: NDArray[np.float64], *, sample_rate_hz: int) -> FloatArray:
    """Fundamental and 0-4 harmonics along a contour (hertz [n]), float32 [n]."""
    phase = np.mod(np.cumsum(contour) * (2 * np.pi / sample_rate_hz), 2 * np.pi).astype(np.float32)
    turning = np.exp(np.complex64(1j) * phase)
    highest_hz = min(HIGHEST_HZ, 0.45 * sample_rate_hz)
    falling_db = rng.uniform(6, 20)
    out = np.zeros(contour.size, np.float32)
    partial = np.ones(contour.size, np.complex64)
    for number in range(1, 2 + int(rng.integers(0, 5))):
        partial *= turning  # the n-th power of exp(i phase) is the n-th partial
        gain = 10 ** (-(falling_db * (number - 1) + rng.normal(0, 3) * (number > 1)) / 20)
        if number * contour.max() < highest_hz:
            out += np.float32(gain) * partial.imag
    return out


def envelope(rng: np.random.Generator, u: NDArray[np.float64], *, duration_s: float) -> FloatArray:
    """Rise, slow swell, now and then a flutter, fall; float32 [n], 0 to 1."""
    rise = min(0.4, rng.uniform(0.005, 0.1) / duration_s)
    fall = min(0.5, rng.uniform(0.01, 0.2) / duration_s)
    ramp = np.minimum(np.minimum(u / rise, (1 - u) / fall), 1)
    knots = rng.uniform(0.35, 1, int(rng.integers(2, 7)))
    swell = np.interp(u, np.linspace(0, 1, knots.size), knots)
    if rng.random() < 0.2:
        swell = swell * (1 - rng.uniform(0.2, 0.9) * np.square(np.sin(np.pi * rng.uniform(5, 60) * u * duration_s)))
    return (np.square(np.sin(ramp * np.pi / 2)) * swell).astype(np.float32)


def pulsed_call(
    rng: np.random.Generator, *, sample_rate_hz: int, duration_s: float | None = None, rate_hz: float | None = None
) -> Sound:
    """One pulsed call: 20-500 pulses/s, broadband to 12 kHz and more, sidebands at the pulse rate.

    Pulse rates and spectra after Sjare and Smith (1986), Belikov and
    Bel'kovich (2008) and Vergara and Barrett-Lennard (2008).

    Args:
        rng: draws what is not given.
        sample_rate_hz: rate of the result.
        duration_s: seconds.
        rate_hz: mean pulse repetition rate, pulses per second.
    """
    duration_s = float(np.exp(rng.uniform(np.log(0.1), np.log(2.0)))) if duration_s is None else duration_s
    rate_hz = float(np.exp(rng.uniform(np.log(20), np.log(500)))) if rate_hz is None else rate_hz
    u = np.arange(round(duration_s * sample_rate_hz)) / (duration_s * sample_rate_hz)
    shape = SHAPES[int(rng.integers(len(SHAPES)))]
    octaves = rng.uniform(0, 0.7)
    rates = contour_hz(
        rng, u, shape=shape, low_hz=rate_hz * 2**-octaves, high_hz=rate_hz * 2**octaves, duration_s=duration_s
    )
    excitation = np.diff(np.floor(np.cumsum(rates) / sample_rate_hz), prepend=0).astype(np.float32)
    excitation *= (1 + rng.uniform(0, 0.3) * rng.standard_normal(u.size)).astype(np.float32)
    call = formant_filtered(rng, excitation, sample_rate_hz=sample_rate_hz) * envelope(rng, u, duration_s=duration_s)
    return Sound.whole(call / np.float32(max(float(np.abs(call).max()), 1e-9)), sample_rate_hz=sample_rate_hz)


def formant_filtered(rng: np.random.Generator, excitation: FloatArray, *, sample_rate_hz: int) -> FloatArray:
    """Shape a pulse sequence by one to three broad resonances, 0.6-16 kHz; float32 [n]."""
    size = scipy.fft.next_fast_len(excitation.size, real=True)
    frequency = scipy.fft.rfftfreq(size, 1 / sample_rate_hz).astype(np.float32)
    octave = np.log2(np.maximum(frequency, 50))
    gain = (rng.uniform(0, 0.03) / (1 + np.square(frequency / 6000))).astype(np.float32)
    for _ in range(int(rng.integers(1, 4))):
        centre = np.log2(np.clip(np.exp(rng.normal(np.log(4500), 0.7)), 600, 0.4 * sample_rate_hz))
        gain += rng.uniform(0.2, 1) * np.exp(-0.5 * ((octave - centre) / rng.uniform(0.15, 0.7)) ** 2)
    gain *= 1 / (1 + (frequency / HIGHEST_HZ) ** 8)
    return scipy.fft.irfft(scipy.fft.rfft(excitation, size) * gain, size)[: excitation.size]


def mixed_call(rng: np.random.Generator, *, sample_rate_hz: int) -> Sound:
    """A whistle and a pulsed call at once, as belugas make (Garland et al. 2015); one call."""
    duration_s = float(rng.uniform(0.2, 1.5))
    tonal = beluga_whistle(rng, sample_rate_hz=sample_rate_hz, duration_s=duration_s).waveform()
    pulsed = pulsed_call(rng, sample_rate_hz=sample_rate_hz, duration_s=duration_s).waveform()
    return Sound.whole(tonal + np.float32(rng.uniform(0.3, 2)) * pulsed, sample_rate_hz=sample_rate_hz)


def social_call(rng: np.random.Generator, *, sample_rate_hz: int) -> Sound:
    """Any call of the whistle class: 65 % whistles, 22 % pulsed, 13 % mixed."""
    kind = rng.random()
    if kind < 0.65:
        return beluga_whistle(rng, sample_rate_hz=sample_rate_hz)
    return (pulsed_call if kind < 0.87 else mixed_call)(rng, sample_rate_hz=sample_rate_hz)
