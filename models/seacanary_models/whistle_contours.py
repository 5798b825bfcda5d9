"""Whistle contour tracker: the classical reference for whistles, on the long rows of T's image.

T has already taken each row's average level away. What is left follows PAMGuard's whistle and moan detector (a
median filter over frequency, smoothing, a fixed threshold in dB) and, as Roch's tracker does, keeps spectral
peaks only and links them from column to column.

Source: Gillespie et al. (2013), Automatic detection and classification of odontocete whistles; Roch et al. (2011),
Automated extraction of odontocete whistle contours.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from seacanary_models.transforms import SAMPLE_RATE_HZ, TRANSFORM

THRESHOLD_DB: Final = 8.0
MEDIAN_ROWS: Final = 61  # 11 kHz; wider than any whistle's ridge, narrower than the slope of a ship's spectrum
PEAK_ROWS: Final = 5  # a peak is the highest of this many rows: two contours are 560 Hz apart or more
LOWEST_ROW: Final = 2  # 375 Hz: below are hum and flow
LINK_COLUMNS: Final = 3  # peaks at most this many columns apart, so with two missing between, are one contour
LINK_ROWS: Final = 3  # and at most this many rows, odd: 141 kHz/s from one column to the next
LEAST_COLUMNS: Final = 8  # shorter links are chance; 32 ms

_ROWS: Final = TRANSFORM.rows[0].count
COLUMN_S: Final = TRANSFORM.column_samples / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class Contour:
    """One linked chain of spectral peaks.

    Attributes:
        first_column: column of its first peak.
        end_column: column after its last peak.
        low_hz: frequency of its lowest peak.
        high_hz: frequency of its highest peak.
    """

    first_column: int
    end_column: int
    low_hz: float
    high_hz: float

    @property
    def duration_s(self) -> float:
        """Time it lasts, seconds."""
        return (self.end_column - self.first_column) * COLUMN_S


def contours(image: NDArray[np.uint8]) -> list[Contour]:
    """Contours of LEAST_COLUMNS or more.

    Args:
        image: uint8 [256, 256], T's image, 255 = the top of its range.
    """
    labels, count = _linked(_peaks(_excess_db(image)))
    found = []
    for rows, columns in ndimage.find_objects(labels, count):
        if columns.stop - columns.start >= LEAST_COLUMNS:
            step_hz = TRANSFORM.rows[0].step_hz
            found.append(Contour(columns.start, columns.stop, rows.start * step_hz, (rows.stop - 1) * step_hz))
    return found


def longest_contour_s(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Score of each window: duration of its longest contour, seconds.

    Args:
        images: uint8 [n, 256, 256].

    Returns:
        float64 [n], 0 without a contour.
    """
    return np.array([max((c.duration_s for c in contours(image)), default=0.0) for image in images])


def _excess_db(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Level over the median of nearby rows, smoothed: float32 [128, 256] in dB."""
    low_db, high_db = TRANSFORM.range_db
    level_db = image[:_ROWS].astype(np.float32) * np.float32((high_db - low_db) / 255)
    flat_db = level_db - ndimage.median_filter(level_db, size=(MEDIAN_ROWS, 1), mode="reflect")
    return np.asarray(ndimage.gaussian_filter(flat_db, 0.7), np.float32)


def _peaks(excess_db: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where a column has a local maximum over the threshold: bool [128, 256]."""
    highest = ndimage.maximum_filter1d(excess_db, PEAK_ROWS, axis=0)
    peaks = (excess_db == highest) & (excess_db > THRESHOLD_DB)
    peaks[:LOWEST_ROW] = False
    return np.asarray(peaks)


def _linked(peaks: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Label peaks that follow each other: int32 [128, 256], 0 elsewhere, and the number of chains.

    Each peak grows forward in time to just before the reach and to half of it in frequency; what then touches
    is one chain.
    """
    forward = np.zeros((LINK_ROWS, 2 * LINK_COLUMNS - 1), np.bool_)
    forward[:, LINK_COLUMNS - 1 :] = True
    grown = ndimage.binary_dilation(peaks, forward)
    labels, count = ndimage.label(grown, np.ones((3, 3)))
    return np.where(peaks, labels, 0), int(count)
