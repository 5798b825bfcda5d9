"""Echolocation clicks of porpoise and beluga, and the trains they come in."""

from collections.abc import Callable

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from seacanary.simulation.sounds import FloatArray, Piece, Sound

Envelope = Callable[[NDArray[np.float64], float], NDArray[np.float64]]

_SYNTHESIS_RATE_HZ = 1_500_000  # clicks are made at least at this rate, then cut at Nyquist without aliasing


def porpoise_click(
    rng: np.random.Generator, *, sample_rate_hz: int, centre_hz: float | None = None, duration_s: float | None = None
) -> FloatArray:
    """One narrow-band high-frequency click of a harbour porpoise, peak 1 before the cut at Nyquist.

    Centre 120-145 kHz, 60-150 µs, -3 dB bandwidth about 10-16 kHz, no energy
    below 100 kHz (Au et al. 1999; Villadsgaard et al. 2007; Møhl and Andersen 1973).

    Args:
        rng: draws envelope shape, phase, and what is not given.
        sample_rate_hz: rate of the result; what lies above its half is left out.
        centre_hz: centre frequency, hertz.
        duration_s: time between the -10 dB points of the envelope, seconds.

    Returns:
        float32 [n], n about three durations.
    """
    centre_hz = _drawn_centre_hz(rng) if centre_hz is None else centre_hz
    duration_s = float(rng.uniform(60e-6, 150e-6)) if duration_s is None else duration_s
    envelope = gaussian_envelope if rng.random() < 0.5 else gammatone_envelope
    return _tone_burst(rng, centre_hz, duration_s, envelope=envelope, sample_rate_hz=sample_rate_hz)


def _drawn_centre_hz(rng: np.random.Generator) -> float:
    return float(np.clip(rng.normal(130e3, 5e3), 119e3, 146e3))


def beluga_click(rng: np.random.Generator, *, sample_rate_hz: int, off_axis: float | None = None) -> FloatArray:
    """One broadband click of a beluga, peak near 1 before the cut at Nyquist.

    On axis bimodal, 40-60 kHz and 100-120 kHz, 1-7 cycles, about 50-80 µs (Au et al. 1985;
    Au et al. 1987; Castellote et al. 2013: 10-110 kHz); off axis lower, longer and
    multi-pulsed (Lammers and Castellote 2009: two pulses off axis).

    Args:
        rng: draws the click.
        sample_rate_hz: rate of the result; what lies above its half is left out.
        off_axis: 0 (on axis) to 1 (far off axis); None: drawn.
    """
    off_axis = float(rng.beta(1, 1.5)) if off_axis is None else off_axis
    low_hz = rng.uniform(38e3, 65e3) * (1 - 0.6 * off_axis * rng.random())
    high_hz = rng.uniform(90e3, 122e3) * (1 - 0.4 * off_axis)
    low_s = rng.uniform(1.2, 4.0) / low_hz * (1 + off_axis)
    high_share = rng.uniform(0, 1.5) * (1 - off_axis)
    low = _tone_burst(rng, low_hz, low_s, envelope=gammatone_envelope, sample_rate_hz=sample_rate_hz)
    high = _tone_burst(
        rng, high_hz, rng.uniform(2, 7) / high_hz, envelope=gaussian_envelope, sample_rate_hz=sample_rate_hz
    )
    parts = [(0.0, low, 1.0), (rng.uniform(0, 2e-5), high, high_share)]
    if rng.random() < 0.25 + 0.6 * off_axis:
        parts.append((rng.uniform(3e-5, 2.5e-4), low, float(rng.uniform(-0.8, 0.8))))
    return mixed_at(parts, sample_rate_hz=sample_rate_hz)


def mixed_at(parts: list[tuple[float, FloatArray, float]], *, sample_rate_hz: int) -> FloatArray:
    """Sum of (delay in seconds, samples, gain), float32 [n], long enough for all."""
    placed = [(round(delay * sample_rate_hz), samples, gain) for delay, samples, gain in parts]
    out = np.zeros(max(start + samples.size for start, samples, _ in placed), np.float32)
    for start, samples, gain in placed:
        out[start : start + samples.size] += np.float32(gain) * samples
    return out


def gaussian_envelope(time_s: NDArray[np.float64], duration_s: float) -> NDArray[np.float64]:
    """Gaussian with its -10 dB points `duration_s` apart, peak 1 at 1.2 durations."""
    sigma = duration_s / 3.035
    result: NDArray[np.float64] = np.exp(-0.5 * ((time_s - 1.2 * duration_s) / sigma) ** 2)
    return result


def gammatone_envelope(time_s: NDArray[np.float64], duration_s: float) -> NDArray[np.float64]:
    """Fourth-order gammatone with its -10 dB points `duration_s` apart, peak 1: steep front, slow tail."""
    x = time_s * 5.36 / duration_s
    result: NDArray[np.float64] = x**3 * np.exp(3 - x) / 27
    return result


def _tone_burst(
    rng: np.random.Generator, centre_hz: float, duration_s: float, *, envelope: Envelope, sample_rate_hz: int
) -> FloatArray:
    factor = -(-_SYNTHESIS_RATE_HZ // sample_rate_hz)
    count = max(8, round(3 * duration_s * sample_rate_hz)) * factor
    time_s = np.arange(count) / (sample_rate_hz * factor)
    off_centre = time_s - 0.8 * duration_s
    chirp = rng.normal(0, 0.01) / duration_s
    phase = 2 * np.pi * centre_hz * off_centre * (1 + chirp * off_centre) + rng.uniform(0, 2 * np.pi)
    return decimated(envelope(time_s, duration_s) * np.cos(phase), factor)


def decimated(samples: NDArray[np.float64], factor: int) -> FloatArray:
    """Every factor-th sample after an ideal cut at the new Nyquist, float32 [n / factor]."""
    if factor == 1:
        return samples.astype(np.float32)
    count = samples.size // factor
    spectrum = scipy.fft.rfft(samples)[: count // 2 + 1]
    return (scipy.fft.irfft(spectrum, count) / factor).astype(np.float32)


def click_intervals(
    rng: np.random.Generator, *, count: int, first_s: float, last_s: float, jitter: float
) -> NDArray[np.float64]:
    """Inter-click intervals that glide from first_s to last_s with slow wander and jitter, seconds [count]."""
    glide = np.linspace(np.log(first_s), np.log(last_s), count)
    wander = np.cumsum(rng.normal(0, jitter / 2, count))
    wander -= np.linspace(wander[0], wander[-1], count)
    return np.exp(glide + wander + rng.normal(0, jitter / 2, count))


def scan_gains(rng: np.random.Generator, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear gains of a sonar beam that sweeps over the hydrophone once or more, peak 1 [count].

    Level falls with the square of the angle off the beam's axis, down to the
    side lobes 15-35 dB below (Au et al. 1999: beam 16° wide).
    """
    span = max(float(times_s[-1] - times_s[0]), 1e-3)
    level_db = np.full(times_s.shape, -float(rng.uniform(15, 35)))
    for _ in range(rng.integers(1, 4)):
        centre = times_s[0] + rng.uniform(-0.1, 1.1) * span
        width = rng.uniform(0.15, 0.8) * span
        level_db = np.maximum(level_db, -12 * ((times_s - centre) / width) ** 2 - rng.uniform(0, 6))
    level_db += rng.normal(0, rng.uniform(0.3, 2), times_s.size)
    gains: NDArray[np.float64] = 10 ** ((level_db - level_db.max()) / 20)
    return gains


def click_train(
    rng: np.random.Generator,
    templates: tuple[FloatArray, ...],
    *,
    times_s: NDArray[np.float64],
    gains: NDArray[np.float64],
    sample_rate_hz: int,
) -> Sound:
    """Put clicks (each drawn from the templates) at given times; onset is the first one's start.

    Args:
        rng: draws which template each click uses.
        templates: click waveforms, float32 [n] each.
        times_s: start of each click in seconds, ascending [count]; times_s[0] becomes zero.
        gains: linear gain of each click [count].
        sample_rate_hz: rate of templates and result.
    """
    starts = np.round((times_s - times_s[0]) * sample_rate_hz).astype(np.int64)
    which = rng.integers(len(templates), size=starts.size)
    pieces = tuple(Piece(int(s), int(w), float(g)) for s, w, g in zip(starts, which, gains, strict=True))
    offset = pieces[-1].start + templates[pieces[-1].template].size
    return Sound(sample_rate_hz, templates, pieces, 0, offset, "peak")


def porpoise_train(
    rng: np.random.Generator,
    *,
    sample_rate_hz: int,
    times_s: NDArray[np.float64] | None = None,
    gains: NDArray[np.float64] | None = None,
    centre_hz: float | None = None,
) -> Sound:
    """A train of porpoise clicks: search and approach (ICI 20-200 ms) or buzz (down to 1.5 ms).

    Intervals after Villadsgaard et al. (2007) and Verfuß et al. (2009); given
    times (of an F-POD, say) rebuild a real train.

    Args:
        rng: draws what is not given.
        sample_rate_hz: rate of the result.
        times_s: click times, seconds, ascending [count]; None: drawn.
        gains: linear gain per click [count]; None: a beam scan.
        centre_hz: mean centre frequency; None: drawn.
    """
    centre_hz = _drawn_centre_hz(rng) if centre_hz is None else centre_hz
    duration_s = rng.uniform(60e-6, 150e-6)
    templates = tuple(
        porpoise_click(
            rng,
            sample_rate_hz=sample_rate_hz,
            centre_hz=centre_hz + rng.normal(0, 700),
            duration_s=duration_s * rng.uniform(0.85, 1.2),
        )
        for _ in range(4)
    )
    times_s = _drawn_times(rng, slow_s=(0.02, 0.2), fast_s=(0.0015, 0.01)) if times_s is None else times_s
    gains = scan_gains(rng, times_s) if gains is None else gains
    return click_train(rng, templates, times_s=times_s, gains=gains, sample_rate_hz=sample_rate_hz)


def beluga_train(
    rng: np.random.Generator,
    *,
    sample_rate_hz: int,
    times_s: NDArray[np.float64] | None = None,
    gains: NDArray[np.float64] | None = None,
    off_axis: float | None = None,
) -> Sound:
    """A train of beluga clicks: ICI 20-300 ms, or a buzz with 1-10 ms.

    Intervals after Au et al. (1987), Roy et al. (2010) and Castellote et al. (2013).
    Arguments as in porpoise_train; off_axis as in beluga_click.
    """
    off_axis = float(rng.beta(1, 1.5)) if off_axis is None else off_axis
    wobble = rng.uniform(0, 0.15)
    templates = tuple(
        beluga_click(
            rng, sample_rate_hz=sample_rate_hz, off_axis=float(np.clip(off_axis + rng.normal(0, wobble), 0, 1))
        )
        for _ in range(4)
    )
    times_s = _drawn_times(rng, slow_s=(0.02, 0.3), fast_s=(0.001, 0.01)) if times_s is None else times_s
    gains = scan_gains(rng, times_s) if gains is None else gains
    return click_train(rng, templates, times_s=times_s, gains=gains, sample_rate_hz=sample_rate_hz)


def _drawn_times(
    rng: np.random.Generator, *, slow_s: tuple[float, float], fast_s: tuple[float, float]
) -> NDArray[np.float64]:
    form = rng.choice(["steady", "approach", "buzz"], p=[0.55, 0.25, 0.2])
    slow = float(np.exp(rng.uniform(*np.log(slow_s))))
    fast = float(np.exp(rng.uniform(*np.log(fast_s))))
    first, last = {"steady": (slow, slow * rng.uniform(0.6, 1.6)), "approach": (slow, fast), "buzz": (fast * 2, fast)}[
        str(form)
    ]
    span_s = rng.uniform(0.1, 0.8) if form == "buzz" else rng.uniform(0.3, 2.5)
    count = int(np.clip(span_s / np.sqrt(first * last), 5, 250))
    intervals = click_intervals(rng, count=count, first_s=first, last_s=last, jitter=float(rng.uniform(0.01, 0.12)))
    return np.concatenate([[0.0], np.cumsum(intervals)])
