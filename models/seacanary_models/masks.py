"""Masks over the image: where calls are, and how near each pixel is to one.

Masks are bool [256, 256] (row, column) and True where a call is.
"""

import math
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

# exp(-5.5² / 2) is 3e-7: beyond this many sigma a soft mask is zero to fp32.
REACH_SIGMA: Final = 5.5
_PX: Final = 256


def soft_mask(mask: NDArray[np.bool_], sigma_px: float) -> NDArray[np.float32]:
    """Weight pixels by nearness to the mask: S = exp(-d²/2σ²).

    Args:
        mask: bool [row, column], True where a call is.
        sigma_px: fade width in image pixels, > 0.

    Returns:
        float32 [row, column] in [0, 1]; all zero if the mask is empty.

    Raises:
        ValueError: sigma_px is not positive.

    Source: d is the exact Euclidean distance transform, Felzenszwalb and
    Huttenlocher (2012), Distance Transforms of Sampled Functions.
    """
    if sigma_px <= 0:
        raise ValueError(f"sigma_px must be positive, got {sigma_px}")
    if not mask.any():
        return np.zeros(mask.shape, np.float32)
    distance_px: NDArray[np.float64] = ndimage.distance_transform_edt(~mask)
    return np.exp(-0.5 * (distance_px / sigma_px) ** 2).astype(np.float32)


class SoftMask(nn.Module):
    """`soft_mask` inside the graph, equal to it within 1e-6, for a batch of 256 x 256 masks.

    The squared distance separates. Along a row, distances are whole pixels, so one matrix
    product finds them: with weights 4^-|k| the nearest call pixel outweighs all farther ones
    together, and its distance is the rounded-up base-4 logarithm of the sum. Down a column,
    d² = min over j of (row distance at row + j)² + j², one shift per j up to 5.5 sigma.

    Args:
        sigma_px: fade width in image pixels, > 0 and at most 10.

    Raises:
        ValueError: sigma_px is out of range (4^-55 is the last weight that fp32 holds).
    """

    row_weights: Tensor

    def __init__(self, sigma_px: float) -> None:
        super().__init__()
        if not 0 < sigma_px <= 10:
            raise ValueError(f"sigma_px must be over 0 and at most 10, got {sigma_px}")
        self.sigma_px = sigma_px
        self.reach_px = math.ceil(REACH_SIGMA * sigma_px)
        apart = np.abs(np.subtract.outer(np.arange(_PX), np.arange(_PX)))
        weights = np.where(apart <= self.reach_px, 4.0 ** -apart.astype(np.float64), 0.0)
        self.register_buffer("row_weights", torch.from_numpy(weights.astype(np.float32)), persistent=False)

    def forward(self, mask: Tensor) -> Tensor:
        """Soft masks.

        Args:
            mask: float32 [B, 256, 256], 1 where a call is, else 0.

        Returns:
            float32 [B, 256, 256] in [0, 1]; all zero where a mask is empty.
        """
        with torch.autocast(mask.device.type, enabled=False):  # half precision cannot hold the sums
            return torch.exp(self._nearness(mask.float()) * (0.5 / self.sigma_px**2))

    def _nearness(self, mask: Tensor) -> Tensor:
        """Minus the squared distance, px²; -3600 or less out of reach."""
        weight = mask @ self.row_weights + 2.0**-120
        distance = torch.ceil(torch.log(weight) * (-1 / math.log(4)) - 0.01)
        nearest = -distance * distance
        padded = nn.functional.pad(nearest, (0, 0, self.reach_px, self.reach_px), value=-1e4)
        for shift in range(1, self.reach_px + 1):
            above = padded[:, self.reach_px - shift : self.reach_px - shift + _PX]
            below = padded[:, self.reach_px + shift : self.reach_px + shift + _PX]
            nearest = torch.maximum(nearest, torch.maximum(above, below) - shift**2)
        return nearest


def ideal_mask(
    call_db: NDArray[np.float32],
    background_db: NDArray[np.float32],
    *,
    margin_db: float = 3.0,
    floor_db: float,
) -> NDArray[np.bool_]:
    """Pixels where the clean call stands over everything else.

    Args:
        call_db: log power [row, column] of the call stem alone.
        background_db: log power [row, column] of all the rest.
        margin_db: how far the call must exceed the rest.
        floor_db: call power below this is never marked.

    Returns:
        bool [row, column].

    Source: ideal binary mask, Wang (2005), On Ideal Binary Mask as the Computational Goal.
    """
    return (call_db > background_db + margin_db) & (call_db > floor_db)
