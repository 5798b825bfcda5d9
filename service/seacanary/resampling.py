"""StreamResampler: one run of audio to the model's rate, positions kept exactly."""

import numpy as np
import soxr
from numpy.typing import NDArray

# soxr's HQ: linear phase, 20 bits (aliases and noise about 120 dB down, below any converter
# of these rates), flat to 91 % of the lower Nyquist frequency.
QUALITY = "HQ"


class StreamResampler:
    """Resamples one run; a gap needs a new resampler.

    Output sample m stands for input time m / to_hz, counted from the run's
    first sample: soxr's filters are linear-phase and it drops their group
    delay itself, so output comes late but never shifted (tested: by less than
    0.01 input samples). Rates without a small common ratio, such as 16001 Hz,
    slip inside soxr, by about half an output sample
    a day. The result is bit-identical however the run is cut into pushes. A
    run of n input samples gives ceil(n * to_hz / from_hz) output samples in
    all: those whose time lies before the run's end.

    Source: https://sourceforge.net/p/soxr (the SoX Resampler library).
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        if min(from_hz, to_hz) <= 0:
            raise ValueError(f"sample rates must be positive, got {from_hz} and {to_hz}")
        self._from_hz, self._to_hz = from_hz, to_hz
        self._soxr = None if from_hz == to_hz else soxr.ResampleStream(from_hz, to_hz, 1, "float32", QUALITY)
        self._taken = 0
        self._given = 0

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take float32 [n] input; return what is ready, float32 [any length].

        With equal rates the very same array is returned, not a copy.
        """
        if self._soxr is None:
            return samples
        self._taken += samples.size
        ready: NDArray[np.float32] = self._soxr.resample_chunk(samples)
        self._given += ready.size
        return ready

    def flush(self) -> NDArray[np.float32]:
        """End the run; return the rest of the output, float32 [any length]."""
        if self._soxr is None:
            return np.empty(0, np.float32)
        owed = -(-self._taken * self._to_hz // self._from_hz) - self._given
        # soxr rounds the total to the nearest; two output periods of silence, which is
        # what it assumes behind the end anyway, make it give the last one too.
        silence = np.zeros(2 * self._from_hz // self._to_hz + 2, np.float32)
        rest: NDArray[np.float32] = self._soxr.resample_chunk(silence, last=True)
        return rest[:owed]
