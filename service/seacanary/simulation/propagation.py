"""What the way through the water does to a sound: absorption, surface echo, reverberation."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from seacanary.simulation.sounds import FloatArray

SOUND_SPEED_M_S = 1480.0


def absorption_db_per_km(
    frequency_hz: NDArray[np.float64], *, temperature_c: float = 6.0, salinity: float = 33.0, depth_m: float = 20.0
) -> NDArray[np.float64]:
    """Absorption of sea water after Ainslie and McColm (1998), pH 8, dB/km, same shape as frequency_hz.

    Args:
        frequency_hz: hertz, 100 Hz to 1 MHz.
        temperature_c: degrees Celsius, -6 to 35.
        salinity: parts per thousand, 5 to 50.
        depth_m: metres, 0 to 7000.
    """
    f2 = np.square(frequency_hz / 1e3)
    depth_km = depth_m / 1e3
    boron = 0.78 * np.sqrt(salinity / 35) * np.exp(temperature_c / 26)
    magnesium = 42 * np.exp(temperature_c / 17)
    of_boron = 0.106 * boron * f2 / (boron**2 + f2)
    of_magnesium = (
        0.52 * (1 + temperature_c / 43) * (salinity / 35) * magnesium * f2 / (magnesium**2 + f2) * np.exp(-depth_km / 6)
    )
    of_water = 0.00049 * f2 * np.exp(-(temperature_c / 27 + depth_km / 17))
    result: NDArray[np.float64] = of_boron + of_magnesium + of_water
    return result


def on_log_grid(
    curve: Callable[[NDArray[np.float64]], NDArray[np.float64]], frequency_hz: NDArray[np.float64]
) -> FloatArray:
    """A smooth curve of frequency, computed at 400 points from 1 Hz up and interpolated: cheap for many bins."""
    grid = np.geomspace(1.0, max(float(frequency_hz[-1]), 2.0), 400)
    return np.interp(frequency_hz, grid, curve(grid)).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """One way from an animal to the hydrophone.

    Attributes:
        range_m: distance, for the absorption (levels are set by SNR, not by range).
        echoes: (delay in seconds, linear gain) of each discrete echo; the surface
            reflects with a negative gain.
        reverb_s: time in which the diffuse tail falls by 60 dB; 0: no tail.
        reverb_db: level of the tail's energy relative to the direct sound, dB.
        tail_seed: makes the tail's noise repeatable.
    """

    range_m: float
    echoes: tuple[tuple[float, float], ...] = ()
    reverb_s: float = 0.0
    reverb_db: float = -60.0
    tail_seed: int = 0

    def impulse_response(self, sample_rate_hz: int) -> FloatArray:
        """Direct sound at index 0, then echoes and tail, float32 [m]."""
        longest = max([self.reverb_s, *(delay for delay, _ in self.echoes)])
        response = np.zeros(round(longest * sample_rate_hz) + 1, np.float32)
        if self.reverb_s > 0:
            response += self._tail(response.size, sample_rate_hz)
        response[0] = 1.0
        for delay_s, gain in self.echoes:
            response[round(delay_s * sample_rate_hz)] += gain
        return response

    def _tail(self, size: int, sample_rate_hz: int) -> FloatArray:
        time_s = np.arange(size) / sample_rate_hz
        noise = np.random.default_rng(self.tail_seed).standard_normal(size)
        tail = noise * np.exp(-6.91 * time_s / self.reverb_s)
        tail *= 10 ** (self.reverb_db / 20) / np.sqrt(np.sum(tail**2))
        return tail.astype(np.float32)

    def transfer(self, frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
        """Linear gain of the absorption, same shape as frequency_hz."""
        loss_db = absorption_db_per_km(frequency_hz) * self.range_m / 1e3
        result: NDArray[np.float64] = 10 ** (-loss_db / 20)
        return result

    def __call__(self, samples: FloatArray, sample_rate_hz: int) -> tuple[FloatArray, int]:
        """Samples as they arrive, longer by the tail; the lead is 0."""
        response = self.impulse_response(sample_rate_hz)
        size = scipy.fft.next_fast_len(samples.size + response.size - 1, real=True)
        frequency = scipy.fft.rfftfreq(size, 1 / sample_rate_hz)
        spectrum = scipy.fft.rfft(samples, size) * scipy.fft.rfft(response, size)
        spectrum *= on_log_grid(self.transfer, frequency)
        return scipy.fft.irfft(spectrum, size)[: samples.size + response.size - 1], 0


def random_path(rng: np.random.Generator, *, clicks: bool) -> Path:
    """Draw a path: whistles carry far and reverberate long, clicks are heard close by."""
    if clicks:
        range_m = float(rng.uniform(20, 500))
        echoes = [(float(rng.uniform(5e-5, 3e-4)), float(rng.uniform(-0.4, 0.4)))] if rng.random() < 0.3 else []
        surface = [(float(rng.uniform(3e-4, 6e-3)), float(-rng.uniform(0.05, 0.8)))] if rng.random() < 0.5 else []
        return Path(range_m, tuple(echoes + surface))
    echoes = [(float(rng.uniform(5e-4, 0.06)), float(-rng.uniform(0.1, 0.9))) for _ in range(rng.integers(0, 4))]
    return Path(
        float(rng.uniform(50, 5000)),
        tuple(echoes),
        reverb_s=float(rng.uniform(0.05, 0.9)) if rng.random() < 0.7 else 0.0,
        reverb_db=float(rng.uniform(-25, -4)),
        tail_seed=int(rng.integers(2**31)),
    )
