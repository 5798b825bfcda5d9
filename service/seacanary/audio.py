"""AudioBlock and Window, the two forms of audio between stages; PCM decoding."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Arrival:
    """When the last sample of a block reached this machine, for the clock fit only.

    Attributes:
        system_s: system clock (UTC seconds since 1970) at arrival.
        monotonic_s: monotonic clock at the same instant; a step of the system
            clock shows as a change of their difference.
    """

    system_s: float
    monotonic_s: float


@dataclass(frozen=True, slots=True, eq=False)
class AudioBlock:
    """Consecutive samples of one hydrophone.

    Attributes:
        hydrophone: name of the hydrophone.
        samples: float32 [n], full scale ±1, read-only, n >= 1.
        first_sample: stream index of samples[0] since the epoch began; lost
            samples are counted, so a jump is a gap.
        sample_rate_hz: nominal rate of the stream.
        epoch: UTC of the epoch's sample 0; names the stream epoch.
        arrival: when the last sample arrived, or None for recorded audio,
            whose time follows from epoch and rate alone.
        source_file: the file the samples were read from, if any.
    """

    hydrophone: str
    samples: NDArray[np.float32]
    first_sample: int
    sample_rate_hz: int
    epoch: datetime
    arrival: Arrival | None = None
    source_file: str | None = None

    @property
    def end_sample(self) -> int:
        """Index after the last sample: blocks are [first, end)."""
        return self.first_sample + self.samples.size


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """One model input, cut from one hydrophone.

    Attributes:
        hydrophone: name of the hydrophone.
        pcm: float32 [window_samples] at the model's rate, full scale ±1, read-only.
        start: UTC of the window's first sample.
        epoch: UTC that names the stream epoch.
        first_sample: stream index (at the stream's own rate) of pcm[0].
        end_sample: stream index after the last sample heard; windows are
            [first_sample, end_sample).
        sample_rate_hz: the stream's own rate, in which the indices count.
        missing_fraction: share of pcm that no sample stands behind, 0 to 1
            (only at the end of a stream shorter than one window).
        clipped_fraction: share of samples at full scale, 0 to 1.
    """

    hydrophone: str
    pcm: NDArray[np.float32]
    start: datetime
    epoch: datetime
    first_sample: int
    end_sample: int
    sample_rate_hz: int
    missing_fraction: float = 0.0
    clipped_fraction: float = 0.0


def read_only(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the array marked read-only, as every array between stages is."""
    samples.setflags(write=False)
    return samples
