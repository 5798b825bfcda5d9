"""RollingWindows: samples in, overlapping windows out, whatever the block sizes.

Positions here are model-rate samples since the run began (a run is a stretch without a gap);
who feeds the windows maps them to the stream.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seacanary.audio import read_only

# One 16-bit step below full scale is 0.99997; converters that limit in the analogue
# part flatten a little lower.
CLIPPED_LEVEL = 0.999


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """One window as cut from a run.

    Attributes:
        pcm: float32 [window_samples], read-only, its own memory.
        first_sample: position of pcm[0] in the run, model-rate samples.
        heard_samples: samples of the run in pcm; the rest, at the end, is zeros.
        clipped_fraction: share of the heard samples at full scale, 0 to 1.
    """

    pcm: NDArray[np.float32]
    first_sample: int
    heard_samples: int
    clipped_fraction: float

    @property
    def missing_fraction(self) -> float:
        """Share of pcm that no sample stands behind, 0 to 1."""
        return 1.0 - self.heard_samples / self.pcm.size


class RollingWindows:
    """Cuts a run every `hop_samples`, and once more at its end.

    The ring holds exactly one window, so a window is always "all that is in
    the ring": every hop while the run lasts, and at its end.
    """

    def __init__(self, window_samples: int, hop_samples: int) -> None:
        if not 0 < hop_samples <= window_samples:
            raise ValueError(f"hop_samples must be in 1..window_samples ({window_samples}), got {hop_samples}")
        self._hop = hop_samples
        self._ring = np.zeros(window_samples, np.float32)
        self._start_run()

    def _start_run(self) -> None:
        self._heard = 0
        self._next_end = self._ring.size
        self._last_end = 0

    @property
    def earliest_next(self) -> int:
        """No later window of this run begins before this position.

        It is one sample after the last window's first, not a hop: the window
        cut at the run's end may lie anywhere behind the last one.
        """
        return max(0, self._last_end - self._ring.size + 1)

    def push(self, samples: NDArray[np.float32]) -> list[Cut]:
        """Take the next samples of the run (float32 [n], any n); return what they complete."""
        cuts = []
        taken = 0
        while taken < samples.size:
            count = min(samples.size - taken, self._next_end - self._heard)
            self._write(samples[taken : taken + count])
            taken += count
            if self._heard == self._next_end:
                cuts.append(self._cut())
                self._next_end += self._hop
        return cuts

    def end_run(self, *, pad: bool) -> list[Cut]:
        """End the run and begin another at position 0.

        Args:
            pad: whether a run shorter than a window is filled up with zeros.

        Returns:
            At most one window, aligned to the run's end, if samples lie past
            the last window and the run is a window long or padded.
        """
        left_over = self._heard > self._last_end
        whole = self._heard >= self._ring.size
        cuts = [self._cut()] if left_over and (whole or pad) else []
        self._start_run()
        return cuts

    def _write(self, samples: NDArray[np.float32]) -> None:
        """Write at most one ring of samples, in at most two pieces."""
        at = self._heard % self._ring.size
        before_wrap = min(samples.size, self._ring.size - at)
        self._ring[at : at + before_wrap] = samples[:before_wrap]
        self._ring[: samples.size - before_wrap] = samples[before_wrap:]
        self._heard += samples.size

    def _cut(self) -> Cut:
        """Copy the ring out, oldest sample first; zeros stand behind a short run."""
        size = self._ring.size
        heard = min(self._heard, size)
        oldest = self._heard % size if self._heard >= size else 0
        pcm = np.empty(size, np.float32)
        pcm[: size - oldest] = self._ring[oldest:]
        pcm[size - oldest :] = self._ring[:oldest]
        pcm[heard:] = 0.0
        self._last_end = self._heard
        return Cut(read_only(pcm), self._heard - heard, heard, clipped_fraction(pcm[:heard]))


def clipped_fraction(samples: NDArray[np.float32]) -> float:
    """Share of float32 [n >= 1] samples at full scale, 0 to 1."""
    # Nearly all audio is not clipped, and the extremes are found 5 times faster than the count.
    if samples.min() > -CLIPPED_LEVEL and samples.max() < CLIPPED_LEVEL:
        return 0.0
    return np.count_nonzero(np.abs(samples) >= CLIPPED_LEVEL) / samples.size
