"""Detection and Unobserved: what is known of one window, between detector and presence."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

UnobservedReason = Literal["lost", "shed", "skipped", "too_short", "inference_failed"]


class Placed(Protocol):
    """A window's place in its stream, as in Window; whatever else it holds."""

    @property
    def hydrophone(self) -> str: ...  # noqa: D102
    @property
    def epoch(self) -> datetime: ...  # noqa: D102
    @property
    def first_sample(self) -> int: ...  # noqa: D102
    @property
    def end_sample(self) -> int: ...  # noqa: D102
    @property
    def sample_rate_hz(self) -> int: ...  # noqa: D102
    @property
    def start(self) -> datetime: ...  # noqa: D102
    @property
    def source_file(self) -> str | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class CallSpan:
    """One stretch of a call type inside a window, read from mask columns (4 ms).

    Attributes:
        call_type: name from the model contract.
        onset_sample: stream index of the first column's first sample.
        offset_sample: stream index after the last column: [onset, offset).
        band_hz: (low, high) hertz covered by the mask.
    """

    call_type: str
    onset_sample: int
    offset_sample: int
    band_hz: tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """What the model said of one analysed window. The audio itself is not kept.

    Attributes:
        hydrophone: name of the hydrophone.
        epoch: UTC that names the stream epoch in which the indices count.
        first_sample: stream index of the window's first sample.
        end_sample: stream index after its last sample: [first, end).
        sample_rate_hz: the stream's own rate.
        start: UTC of the window's first sample.
        probability: calibrated probability, 0 to 1, of each observed call type.
        unobserved: call types the stream's rate cannot carry; none of them is
            in `probability`.
        spans: where in the window the mask shows calls, by onset.
        mask: uint8 [256, 256] (rows of rising frequency, columns of 4 ms), read-only;
            None where it is not kept.
        model_id: name and version of the model that said it.
        source_file: the file the samples were read from, if any.
        abstained: observed call types on which the model does not know: their
            probability lies in the contract's abstain band. Analysed and listened
            to, but evidence neither of a call nor of its absence.
    """

    hydrophone: str
    epoch: datetime
    first_sample: int
    end_sample: int
    sample_rate_hz: int
    start: datetime
    probability: dict[str, float]
    unobserved: frozenset[str]
    spans: tuple[CallSpan, ...]
    mask: NDArray[np.uint8] | None
    model_id: str
    source_file: str | None
    abstained: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Imaged:
    """T's image of a window, to be judged elsewhere: on its way, the audio is as good as analysed.

    Attributes:
        hydrophone, epoch, first_sample, end_sample, sample_rate_hz, start, source_file: as in Window.
        missing_fraction, clipped_fraction: as in Window.
        image: uint8 [rows, columns], read-only, 0 to 255 for 0 to 1.
        unobserved: call types the stream's rate cannot carry.
    """

    hydrophone: str
    epoch: datetime
    first_sample: int
    end_sample: int
    sample_rate_hz: int
    start: datetime
    source_file: str | None
    missing_fraction: float
    clipped_fraction: float
    image: NDArray[np.uint8]
    unobserved: frozenset[str]


@dataclass(frozen=True, slots=True)
class Unobserved:
    """A stretch of stream that no model has looked at: never absence, always less coverage.

    Attributes:
        hydrophone: name of the hydrophone.
        epoch: UTC that names the stream epoch in which the indices count.
        first_sample: stream index of the stretch's first sample.
        end_sample: stream index after its last sample: [first, end).
        sample_rate_hz: the stream's own rate.
        start: UTC of the stretch's first sample.
        reason: lost (never arrived), shed (inference was behind), skipped (the same, and most
            of it lies in the windows beside it), too_short
            (a run shorter than one window), inference_failed.
    """

    hydrophone: str
    epoch: datetime
    first_sample: int
    end_sample: int
    sample_rate_hz: int
    start: datetime
    reason: UnobservedReason
