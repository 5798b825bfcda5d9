"""What the model sees and says of a whole clip: the windows' images laid side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import soxr
from numpy.typing import NDArray

from seacanary.detection import Detector
from seacanary.resampling import QUALITY

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Excerpt:
    """Audio of one hydrophone to be shown.

    Attributes:
        samples: float32 [n] at the hydrophone's own rate, full scale ±1; anything where missing.
        sample_rate_hz: of the samples.
        start: UTC of samples[0].
        missing: stretches [first, end) of samples that were never heard, in order, not touching.
    """

    samples: Floats
    sample_rate_hz: int
    start: datetime
    missing: tuple[tuple[int, int], ...] = ()

    @property
    def length_s(self) -> float:
        """From the first sample to the end of the last, seconds."""
        return self.samples.size / self.sample_rate_hz

    def between(self, first: int, end: int) -> "Excerpt":
        """The part [first, end), in samples."""
        cut = [(max(a, first) - first, min(b, end) - first) for a, b in self.missing if a < end and b > first]
        start = self.start + timedelta(seconds=first / self.sample_rate_hz)
        return Excerpt(self.samples[first:end], self.sample_rate_hz, start, tuple(cut))

    def heard(self) -> Iterator[tuple[int, int]]:
        """Stretches [first, end) of samples without one missing."""
        edges = [0, *(edge for stretch in self.missing for edge in stretch), self.samples.size]
        yield from ((a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a)


@dataclass(frozen=True, slots=True)
class Judged:
    """One window of the clip, wholly heard.

    Attributes:
        first_s, end_s: where it lies, seconds after the clip's first sample.
        probability: of each observed call type, calibrated.
    """

    first_s: float
    end_s: float
    probability: dict[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Composite:
    """The clip as the model sees it.

    Attributes:
        image: float32 [rows, columns], T's values; NaN in columns of which a sample is missing.
        mask_probability: float32 [rows, columns], 0 to 1; 0 where the image is NaN.
        column_s: length of a column, seconds; column 0 begins with the clip.
        judged: the windows that were wholly heard, in order; each overlaps its neighbours.
    """

    image: Floats
    mask_probability: Floats
    column_s: float
    judged: tuple[Judged, ...]


class _Canvas:
    """Images of overlapping windows averaged, each counting most in its middle, so that no seam shows.

    T takes the noise floor of each window off it, so neighbours differ a little where they overlap.
    """

    def __init__(self, rows: int, columns: int, window_columns: int) -> None:
        self._sums = np.zeros((2, rows, columns), np.float32)
        self._weights = np.zeros(columns, np.float32)
        across = np.arange(window_columns, dtype=np.float32)
        self._weight = np.minimum(across + 1, window_columns - across)

    def lay(self, first: int, image: Floats, mask_probability: Floats) -> None:
        """Add a window, or the first columns of one, at this column."""
        count = image.shape[1]
        here, weight = slice(first, first + count), self._weight[:count]
        for total, layer in zip(self._sums, (image, mask_probability), strict=True):
            total[:, here] += layer * weight
        self._weights[here] += weight

    def averaged(self, seen: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Image and mask; NaN and 0 in columns that are not seen."""
        image, mask_probability = self._sums / np.maximum(self._weights, 1)
        image[:, ~seen], mask_probability[:, ~seen] = np.nan, 0.0
        return image, mask_probability


def look_at(excerpt: Excerpt, detector: Detector) -> Composite:
    """Show a clip to the model, window by window at its own hop; never across missing samples.

    A stretch shorter than a window is continued by its own mirror image, so that T finds its
    noise floor; the mirrored part is not shown and such a window gives no probability.
    """
    contract = detector.contract
    column_samples = contract.transform.column_samples
    columns = max(1, excerpt.samples.size * contract.sample_rate_hz // (excerpt.sample_rate_hz * column_samples))
    rows = sum(r.count for r in contract.transform.rows)
    canvas, seen = _Canvas(rows, columns, contract.transform.columns), np.zeros(columns, np.bool_)
    judged: list[Judged] = []
    for first, end in excerpt.heard():
        pcm, at_column = _at_model_rate(excerpt, first, end, detector)
        pcm = pcm[: max(0, columns - at_column) * column_samples]  # rounding may give it one more than the clip has
        seen[at_column : at_column + pcm.size // column_samples] = True
        judged += _lay_stretch(canvas, pcm, at_column, detector, excerpt.sample_rate_hz)
    image, mask_probability = canvas.averaged(seen)
    return Composite(image, mask_probability, column_samples / contract.sample_rate_hz, tuple(judged))


def _at_model_rate(excerpt: Excerpt, first: int, end: int, detector: Detector) -> tuple[Floats, int]:
    """A stretch resampled, cut to the clip's whole columns that lie in it; and the first of them."""
    contract, rate_hz = detector.contract, excerpt.sample_rate_hz
    column_samples = contract.transform.column_samples
    pcm: Floats = soxr.resample(excerpt.samples[first:end], rate_hz, contract.sample_rate_hz, QUALITY)
    position = round(first * contract.sample_rate_hz / rate_hz)
    column = -(-position // column_samples)
    aligned = pcm[column * column_samples - position :]
    return aligned[: aligned.size // column_samples * column_samples], column


def _lay_stretch(
    canvas: _Canvas, pcm: Floats, at_column: int, detector: Detector, sample_rate_hz: int
) -> Iterator[Judged]:
    contract = detector.contract
    whole, column_samples = contract.window_samples, contract.transform.column_samples
    unobserved = contract.unobservable(sample_rate_hz)
    for first in _window_firsts(pcm.size, whole, contract.hop_samples // column_samples * column_samples):
        window = pcm[first : first + whole]
        images, masks, probabilities = detector.look(_filled(window, whole)[np.newaxis])
        columns = window.size // column_samples
        canvas.lay(at_column + first // column_samples, images[0, :, :columns], masks[0, :, :columns])
        if window.size == whole:
            begins_s = (at_column * column_samples + first) / contract.sample_rate_hz
            named = zip(contract.call_type_names, probabilities[0], strict=True)
            observed = {name: float(p) for name, p in named if name not in unobserved}
            yield Judged(begins_s, begins_s + contract.window_s, observed)


def _window_firsts(samples: int, window: int, hop: int) -> Sequence[int]:
    """First samples of windows that cover all: one hop apart, the last where the stretch ends."""
    last = max(0, samples - window)
    return [*range(0, last, hop), last] if samples else []


def _filled(pcm: Floats, size: int) -> Floats:
    """Continued by its mirror image to `size` samples."""
    return np.pad(pcm, (0, max(0, size - pcm.size)), mode="symmetric")
