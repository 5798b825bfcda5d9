"""Transforms that are not T: the same rows and columns made by other STFTs, to vary and to shift images.

The model is trained and served with T. A window seen through another transform shows the same call with
other blur, other leakage and another noise floor: in training that is an augmentation, in evaluation a shift.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seacanary_models.transforms import SAMPLE_RATE_HZ, TRANSFORM, taper

_LOW, _HIGH = TRANSFORM.rows


@dataclass(frozen=True, slots=True)
class AlternativeTransform:
    """Another composite spectrogram over T's rows and columns.

    Attributes:
        long_samples: frame of rows 0-127, samples at 384 kHz.
        short_samples: frame of rows 128-255.
        tapered_share: of both Tukey windows; 1 is Hann.
        floor: how a row's noise floor is found: T's clipped mean, or the median.
    """

    long_samples: int
    short_samples: int
    tapered_share: float
    floor: Literal["clipped_mean", "median"]


# Met in training, one drawn per window.
VARIED: Final = (
    AlternativeTransform(1024, 256, 1.0, "clipped_mean"),
    AlternativeTransform(1536, 320, 0.5, "clipped_mean"),
    AlternativeTransform(3072, 512, 0.75, "clipped_mean"),
)
# Its frame lengths, twice T's, and its median floor are never met in training; its taper, Hann, is.
SHIFTED: Final = AlternativeTransform(4096, 768, 1.0, "median")


@torch.inference_mode()
def alternative_image(pcm: NDArray[np.float32], transform: AlternativeTransform) -> NDArray[np.uint8]:
    """One window's image through another transform.

    Args:
        pcm: float32 [393216] at 384 kHz.
        transform: which one.

    Returns:
        uint8 [256, 256] (row, column), 255 = the top of T's range.
    """
    audio = torch.from_numpy(pcm)
    low = _row_power(audio, transform.long_samples, _LOW.hop_samples, transform.tapered_share, low_rows=True)
    high = _row_power(audio, transform.short_samples, _HIGH.hop_samples, transform.tapered_share, low_rows=False)
    power = torch.cat([low.mean(-1), high.amax(-1)])
    decibel = 10 * torch.log10(power + 10 ** (TRANSFORM.floor_db / 10))
    bottom_db, top_db = TRANSFORM.range_db
    scaled = (decibel - _floor(decibel, transform.floor) - bottom_db) / (top_db - bottom_db)
    return np.asarray(np.round(scaled.clamp(0, 1).numpy() * 255), np.uint8)


def _row_power(audio: Tensor, frame: int, hop: int, share: float, *, low_rows: bool) -> Tensor:
    """Power per row, column and frame of a column: float32 [128, 256, frames per column]."""
    rows = _LOW if low_rows else _HIGH
    window = torch.from_numpy(taper(frame, share).astype(np.float32))
    before = frame // 2 - hop // 2  # frame k is centred on the middle of hop k
    padded = torch.nn.functional.pad(audio, (before, frame))
    spectrum = torch.stft(
        padded, frame, hop, window=window, center=False, onesided=True, return_complex=True, normalized=False
    )
    count = TRANSFORM.columns * (TRANSFORM.column_samples // hop)
    power = (spectrum.abs() * (2 / window.sum())).square()[:, :count]
    row_hz = rows.low_hz + rows.step_hz * np.arange(rows.count).astype(np.float64)
    return (_onto_rows(row_hz, rows.step_hz, frame) @ power).reshape(rows.count, TRANSFORM.columns, -1)


def _onto_rows(row_hz: NDArray[np.float64], step_hz: float, frame: int) -> Tensor:
    """Weights [rows, bins]: the mean of the bins within a row's step, or the two nearest bins in proportion."""
    spacing_hz = SAMPLE_RATE_HZ / frame
    bin_hz = np.arange(frame // 2 + 1) * spacing_hz
    reach_hz = max(step_hz / 2, spacing_hz * 0.999)
    distance = np.abs(row_hz[:, None] - bin_hz[None])
    weights = np.where(distance <= reach_hz, 1 - distance / (reach_hz * 1.001), 0.0)
    return torch.from_numpy((weights / weights.sum(axis=1, keepdims=True)).astype(np.float32))


def _floor(decibel: Tensor, kind: str) -> Tensor:
    if kind == "median":
        return decibel.median(-1, keepdim=True).values
    mean = decibel.mean(-1, keepdim=True)
    return torch.minimum(decibel, mean).mean(-1, keepdim=True)
