"""Endless noise of a given spectrum, and steady tones, in segments that join without a seam."""

from collections.abc import Sequence

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from seacanary.simulation.sounds import FloatArray


class ShapedNoise:
    """Stationary noise, one aligned segment after the other.

    Each segment is made in the frequency domain from a seed of its own
    (uniform random real and imaginary parts: the sum of so many is Gaussian
    in time) and cross-faded with its predecessor at constant power.

    Args:
        seed: numbers that name this noise.
        sample_rate_hz: rate of the result.
        segment_samples: length of every segment.
    """

    def __init__(self, seed: Sequence[int], *, sample_rate_hz: int, segment_samples: int) -> None:
        self._seed = tuple(seed)
        self._segment_samples = segment_samples
        self._size = scipy.fft.next_fast_len(segment_samples + segment_samples // 6, real=True)
        self._index = 0
        angle = np.linspace(0, np.pi / 2, self._size - segment_samples, dtype=np.float32)
        self._fade_in, self._fade_out = np.sin(angle), np.cos(angle)
        self._tail: FloatArray | None = None
        self.frequency_hz: NDArray[np.float64] = scipy.fft.rfftfreq(self._size, 1 / sample_rate_hz)
        # int16 parts have variance 2^32/12; this makes them give the wished density
        self._scale = np.float32(np.sqrt(sample_rate_hz * self._size) / 2 / np.sqrt(2**32 / 12))

    def segment(self, amplitude: FloatArray | None) -> FloatArray:
        """The next segment, float32 [segment_samples].

        Args:
            amplitude: root of the one-sided power density, per root hertz, at
                frequency_hz; None: silence (a stretch too quiet to be worth making).
        """
        made = None if amplitude is None else self._made(amplitude)
        out = np.zeros(self._segment_samples, np.float32) if made is None else made[: self._segment_samples]
        overlap = self._fade_in.size
        if self._index > 0:
            out[:overlap] *= self._fade_in
        if self._tail is not None:
            out[:overlap] += self._tail
        self._tail = None if made is None else made[self._segment_samples :] * self._fade_out
        self._index += 1
        return out

    def _made(self, amplitude: FloatArray) -> FloatArray:
        raw = np.random.default_rng((*self._seed, self._index)).bytes(4 * amplitude.size)
        parts = np.frombuffer(raw, "<i2").astype(np.float32).view(np.complex64)
        parts *= amplitude * self._scale
        return scipy.fft.irfft(parts, self._size, overwrite_x=True)


class Tones:
    """Steady sinusoids, as one small matrix product per stretch.

    Args:
        tones: (hertz, amplitude, phase in radians) of each.
        sample_rate_hz: rate of the result; tones at or above its half are left out.
    """

    _BLOCK = 512

    def __init__(self, tones: Sequence[tuple[float, float, float]], *, sample_rate_hz: int) -> None:
        kept = [tone for tone in tones if tone[0] < 0.5 * sample_rate_hz]
        frequency, amplitude, phase = np.array(kept, np.float64).reshape(-1, 3).T
        self._step, self._phase, self._amplitude = 2 * np.pi * frequency / sample_rate_hz, phase, amplitude
        within = np.outer(self._step, np.arange(self._BLOCK))
        self._within = np.concatenate([np.cos(within), np.sin(within)]).astype(np.float32)

    def stretch(self, first: int, count: int) -> FloatArray | None:
        """Samples [first, first + count), float32, or None where there is no tone."""
        if not self._step.size:
            return None
        starts = first + np.arange(0, count, self._BLOCK)
        angle = np.mod(np.outer(starts, self._step), 2 * np.pi) + self._phase
        start = np.concatenate([np.sin(angle), np.cos(angle)], axis=1) * np.tile(self._amplitude, 2)
        return (start.astype(np.float32) @ self._within).reshape(-1)[:count]
