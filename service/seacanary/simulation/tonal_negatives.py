"""Hard negatives that sing: sonar, seals, sirens, moans, orca-like calls."""

import numpy as np
from numpy.typing import NDArray

from seacanary.simulation.sounds import FloatArray, Piece, Sound
from seacanary.simulation.whistles import envelope, partials, pulsed_call


def _time(duration_s: float, sample_rate_hz: int) -> NDArray[np.float64]:
    return np.arange(round(duration_s * sample_rate_hz)) / sample_rate_hz


def _sung(rng: np.random.Generator, contour: NDArray[np.float64], *, sample_rate_hz: int) -> FloatArray:
    u = np.arange(contour.size) / contour.size
    return partials(rng, contour, sample_rate_hz=sample_rate_hz) * envelope(
        rng, u, duration_s=contour.size / sample_rate_hz
    )


def sonar_ping(rng: np.random.Generator, *, sample_rate_hz: int) -> Sound:
    """Mid-frequency sonar: 3-8 kHz, constant or swept, 0.05-2 s, one to four pings with fixed edges and level."""
    time_s = _time(float(rng.uniform(0.05, 2.0)), sample_rate_hz)
    low_hz = rng.uniform(2500, 8000)
    sweep_hz = rng.choice([0.0, 1.0, -1.0]) * rng.uniform(100, 1500)
    phase = 2 * np.pi * (low_hz * time_s + 0.5 * sweep_hz * time_s**2 / time_s[-1])
    edge = np.minimum(1, np.minimum(time_s, time_s[-1] - time_s) / 0.003)
    ping = (np.sin(phase) * edge).astype(np.float32)
    period = round((time_s[-1] + rng.uniform(0.05, 2)) * sample_rate_hz)
    pieces = tuple(Piece(n * period, 0, 1.0) for n in range(int(rng.integers(1, 5))))
    return Sound(sample_rate_hz, (ping,), pieces, 0, ping.size, "rms")


def seal_trill(rng: np.random.Generator, *, sample_rate_hz: int) -> Sound:
    """A long seal trill: 1-6 kHz falling with a slow warble, or level at 2-4 kHz in pulses.

    The falling one as bearded seals make (Risch et al. 2007), 2-8 s; the level one as
    leopard seals make (Rogers et al. 1996), beaten 5-25 times a second.
    """
    time_s = _time(float(rng.uniform(2, 8)), sample_rate_hz)
    u = time_s / time_s[-1]
    if rng.random() < 0.4:
        contour = rng.uniform(1500, 4500) * (1 + rng.uniform(0, 0.03) * np.sin(2 * np.pi * u))
        beat = np.square(np.sin(np.pi * rng.uniform(5, 25) * time_s)).astype(np.float32)
        return Sound.whole(beat * _sung(rng, contour, sample_rate_hz=sample_rate_hz), sample_rate_hz=sample_rate_hz)
    high_hz, low_hz = rng.uniform(1500, 6000), rng.uniform(250, 1000)
    warble = rng.uniform(0.02, 0.12) * np.sin(2 * np.pi * np.cumsum(rng.uniform(3, 9) * (1 - 0.5 * u)) / sample_rate_hz)
    contour = high_hz * (low_hz / high_hz) ** u * (1 + warble)
    return Sound.whole(_sung(rng, contour, sample_rate_hz=sample_rate_hz), sample_rate_hz=sample_rate_hz)


def siren(rng: np.random.Generator, *, sample_rate_hz: int) -> Sound:
    """A slow machine-like or seal-like siren: 0.5-6 kHz up and down over 1-6 s, without pause."""
    time_s = _time(float(rng.uniform(3, 8)), sample_rate_hz)
    low_hz = rng.uniform(400, 2500)
    period_s = rng.uniform(1, 6)
    swing = 0.5 - 0.5 * np.cos(2 * np.pi * time_s / period_s)
    contour = low_hz * rng.uniform(1.3, 3) ** swing
    return Sound.whole(_sung(rng, contour, sample_rate_hz=sample_rate_hz), sample_rate_hz=sample_rate_hz)


def moan(rng: np.random.Generator, *, sample_rate_hz: int) -> Sound:
    """A low moan like a humpback's (Payne and McVay 1971): 80-1200 Hz, 0.5-4 s, harmonics."""
    time_s = _time(float(rng.uniform(0.5, 4)), sample_rate_hz)
    u = time_s / time_s[-1]
    knots = rng.uniform(0.7, 1.4, 4)
    contour = np.exp(rng.uniform(np.log(80), np.log(800))) * np.interp(u, np.linspace(0, 1, 4), knots)
    return Sound.whole(_sung(rng, contour, sample_rate_hz=sample_rate_hz), sample_rate_hz=sample_rate_hz)


def orca_call(rng: np.random.Generator, *, sample_rate_hz: int) -> Sound:
    """A pulsed call like an orca's (Ford 1989): 500-1500 pulses/s, so with strong harmonics 0.5-8 kHz."""
    return pulsed_call(
        rng,
        sample_rate_hz=sample_rate_hz,
        duration_s=float(rng.uniform(0.5, 1.8)),
        rate_hz=float(rng.uniform(500, 1500)),
    )
