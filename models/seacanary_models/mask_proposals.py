"""Candidate regions of one image, without a model: edges and an adaptive threshold, cleaned and scored.

Images and masks are in T's orientation: row 0 is the lowest frequency, column 0 the earliest.
"""

# scikit-image ships a marker of types but annotates few of its functions.
# mypy: untyped-calls-exclude=skimage

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import ndimage
from skimage import feature, filters, measure, morphology

from seacanary_models.scenes import CALL_TYPES
from seacanary_models.transforms import SAMPLE_RATE_HZ, TRANSFORM

UNKNOWN: Final = "unknown"
LABELS: Final = (*CALL_TYPES, UNKNOWN)  # a region's label; its index is its bit in `marks_of`
COLUMN_S: Final = TRANSFORM.column_samples / SAMPLE_RATE_HZ
_RING_PX: Final = (1, 5)  # a region's surroundings lie between these distances


class ProposalRule(BaseModel):
    """When a region is worth showing to a person.

    The figures were set on simulated training windows, where what is missed costs a person more than
    what is shown in vain.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    smoothing_px: tuple[tuple[float, float], tuple[float, float]] = Field(
        ((0.5, 1.0), (1.5, 0.3)),
        description="Gaussian widths (rows, columns) of the low and the high rows: along whistles, along clicks",
    )
    neighbourhood_px: int = Field(31, gt=1, description="side of the square whose mean a pixel must exceed; odd")
    over_mean: float = Field(0.08, gt=0, description="by how much it must exceed it, image units")
    crowded: float = Field(0.25, gt=0, description="the mean counts no higher: else a buzz would hide itself")
    edge_thresholds: tuple[float, float] = Field((0.05, 0.15), description="Canny's low and high threshold")
    edge_reach_px: int = Field(2, ge=0, description="a pixel counts if an edge is this near")
    edge_columns: int = Field(
        1, ge=0, description="columns left out at either end: where a window is cut, all frequencies sound"
    )
    min_area_px: int = Field(6, gt=0, description="smaller regions are dropped")
    min_contrast: float = Field(0.08, ge=0, description="regions whose `contrast` is lower are dropped")


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """One candidate.

    Attributes:
        mask: bool [256, 256] (row, column).
        score: 0 to 1; orders candidates by how sure it is that a sound is there, not that it is a call.
        band_hz: half-open.
        onset_s: from the window's start.
        offset_s: from the window's start, exclusive.
        label: likely call type by band and shape, or 'unknown'.
    """

    mask: NDArray[np.bool_]
    score: float
    band_hz: tuple[float, float]
    onset_s: float
    offset_s: float
    label: str


def candidates(
    image: NDArray[np.float32], rule: ProposalRule | None = None, *, highest_hz: float | None = None
) -> list[Region]:
    """Regions that stand out, best first.

    A pixel belongs to one if it exceeds its neighbourhood's mean (adaptive threshold) and a Canny edge
    is near; small gaps are closed along the calls, and regions that are small or faint are dropped.

    Args:
        image: T's image, float32 [256, 256] in [0, 1].
        rule: thresholds; the default if None.
        highest_hz: what the recorder can hold, half its sample rate; nothing is proposed above it.
    """
    rule = rule or ProposalRule()
    edges = _edges(image, rule)
    outline = _bright(image, rule) & ndimage.binary_dilation(edges, iterations=rule.edge_reach_px)
    labels = measure.label(_closed(outline) & _trusted(rule, highest_hz), connectivity=2)
    found = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        mask = labels[box] == number
        if mask.sum() < rule.min_area_px:
            continue
        whole = np.zeros(image.shape, np.bool_)
        whole[box] = mask
        stands_out = contrast(image, whole)
        if stands_out >= rule.min_contrast:
            found.append(_region(whole, score_of(stands_out, whole, edges)))
    return sorted(found, key=lambda region: -region.score)


def propose(image: NDArray[np.float32], rule: ProposalRule | None = None) -> NDArray[np.bool_]:
    """All candidates in one mask, bool [256, 256]; `image` as for `candidates`."""
    return marks_of(candidates(image, rule)) > 0


def marks_of(regions: Iterable[Region]) -> NDArray[np.uint8]:
    """Regions as marks, uint8 [256, 256]: bit k is set where a region has the k-th of LABELS."""
    marks = np.zeros((_ROW_HZ.size - 1, TRANSFORM.columns), np.uint8)
    for region in regions:
        marks[region.mask] |= 1 << LABELS.index(region.label)
    return marks


def contrast(image: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    """How far the mask stands out: its mean less the mean of a four-pixel ring around it.

    Args:
        image: T's image, float32 [row, column] in [0, 1].
        mask: bool [row, column].

    Returns:
        -1 to 1; 0 if the mask is empty or leaves no ring.
    """
    if not mask.any():
        return 0.0
    box = _around(mask, _RING_PX[1])
    near, far = (ndimage.binary_dilation(mask[box], iterations=reach) for reach in _RING_PX)
    ring = far & ~near
    if not ring.any():
        return 0.0
    return float(image[mask].mean() - image[box][ring].mean())


def score_of(stands_out: float, mask: NDArray[np.bool_], edges: NDArray[np.bool_]) -> float:
    """Product of three shares: contrast, how much of the rim lies on edges, and size.

    Args:
        stands_out: the mask's `contrast`.
        mask: bool [row, column], not empty.
        edges: bool [row, column], Canny's.
    """
    rim = mask & ~ndimage.binary_erosion(mask)
    on_edge = float(ndimage.binary_dilation(edges)[rim].mean())
    area_px = float(mask.sum())
    return on_edge * area_px / (area_px + 12.0) * max(stands_out, 0.0) / (max(stands_out, 0.0) + 0.2)


def likely_label(band_hz: tuple[float, float], duration_s: float) -> str:
    """Call type that the band and the shape speak for.

    Whistles last and lie between 0.4 and 24 kHz; clicks are short and broad. A porpoise's click holds nothing
    under 90 kHz, a beluga's does. What is long and narrow above 24 kHz is a machine's.

    Source: bands after Au (1993), The Sonar of Dolphins, and Villadsgaard et al. (2007), Echolocation
    signals of wild harbour porpoises.
    """
    low_hz, high_hz = band_hz
    if high_hz <= 24_000:
        return "whistle" if duration_s >= 0.02 and high_hz > 400 else UNKNOWN
    tonal = high_hz - low_hz <= 3_000 and duration_s > 0.02
    if tonal or high_hz <= 30_000:
        return UNKNOWN
    return "porpoise_click" if low_hz >= 90_000 else "beluga_click"


def row_edges_hz() -> NDArray[np.float64]:
    """Lower edge of each image row and the upper edge of the last, hertz [257]."""
    edges = [rows.low_hz + rows.step_hz * np.arange(rows.count) for rows in TRANSFORM.rows]
    last = TRANSFORM.rows[-1]
    return np.append(np.concatenate(edges), last.low_hz + last.step_hz * last.count)


_ROW_HZ: Final = row_edges_hz()


def _region(mask: NDArray[np.bool_], score: float) -> Region:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    band_hz = float(_ROW_HZ[rows[0]]), float(_ROW_HZ[rows[-1] + 1])
    onset_s, offset_s = float(columns[0] * COLUMN_S), float((columns[-1] + 1) * COLUMN_S)
    return Region(mask, score, band_hz, onset_s, offset_s, likely_label(band_hz, offset_s - onset_s))


def _bright(image: NDArray[np.float32], rule: ProposalRule) -> NDArray[np.bool_]:
    """Pixels over their neighbourhood; the two runs of rows apart, for they differ in scale and grain."""
    bright = []
    for rows, sigma in zip(TRANSFORM.rows, rule.smoothing_px, strict=True):
        smooth = filters.gaussian(image[rows.first : rows.first + rows.count], sigma)
        mean = filters.threshold_local(smooth, rule.neighbourhood_px, method="mean")
        bright.append(smooth > np.minimum(mean, rule.crowded) + rule.over_mean)
    return np.concatenate(bright)


def _edges(image: NDArray[np.float32], rule: ProposalRule) -> NDArray[np.bool_]:
    low, high = rule.edge_thresholds
    return np.asarray(feature.canny(image, sigma=1.0, low_threshold=low, high_threshold=high), np.bool_)


def _closed(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Close gaps of a pixel: in any direction among the low rows, up and down among the high ones."""
    border = TRANSFORM.rows[1].first
    low = morphology.closing(mask[:border], morphology.disk(1))
    high = morphology.closing(mask[border:], np.ones((3, 1), np.bool_))
    return np.concatenate([low, high])


def _trusted(rule: ProposalRule, highest_hz: float | None) -> NDArray[np.bool_]:
    """Pixels where a sound can be, bool [256, 256]."""
    trusted = np.zeros((_ROW_HZ.size - 1, TRANSFORM.columns), np.bool_)
    rows = trusted.shape[0] if highest_hz is None else int(np.searchsorted(_ROW_HZ[1:], highest_hz, side="right"))
    trusted[:rows, rule.edge_columns : TRANSFORM.columns - rule.edge_columns] = True
    return trusted


def _around(mask: NDArray[np.bool_], margin_px: int) -> tuple[slice, slice]:
    """The mask's bounding box, wider by a margin."""
    (box,) = ndimage.find_objects(mask.astype(np.int8))
    rows, columns = (slice(max(0, side.start - margin_px), side.stop + margin_px) for side in box)
    return rows, columns
