"""What M says of a single click: its outputs, and T's image, read at the click's column.

M judges windows and pixels, not clicks. Its read-out is a small regression, fitted on the same trials as the
logistic click classifier, over M's own outputs where the click is and the levels of T's image there, which owe
M nothing: IMAGE_FEATURES picks them out, to see what they can do alone. A click train elsewhere in the window
speaks through the window's logits only.
"""

import itertools
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from seacanary_models.classifier import MaskGuidedClassifier, mask_probability
from seacanary_models.click_trials import ClickTrials
from seacanary_models.datasets import row_low_hz
from seacanary_models.scenes import CALL_TYPES
from seacanary_models.transforms import TRANSFORM

# Below the porpoise's band in steps as wide as a beluga click's peaks; within it as narrow as a porpoise click.
BAND_EDGES_HZ: Final = (24e3, 60e3, 90e3, 110e3, 120e3, 130e3, 140e3, 152e3)
WINDOW_LOGITS: Final = ("beluga_click", "porpoise_click")
BANDS: Final = len(BAND_EDGES_HZ) - 1
IMAGE_FEATURES: Final = slice(len(WINDOW_LOGITS) + BANDS, None)  # of the read-out: T's levels, without M
_BATCH: Final = 16


@torch.inference_mode()
def model_readout(
    model: MaskGuidedClassifier, images: NDArray[np.uint8], trials: ClickTrials
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Run M over the trials' windows and read its outputs and its image at every click.

    Args:
        model: M, in eval mode.
        images: uint8 [windows, 256, 256], T's image of every window of the trials.
        trials: n clicks.

    Returns:
        float64 [n, 2 + 14]: the window's logits of WINDOW_LOGITS, then the mean mask probability and the mean
        level of the click's column in each band of BAND_EDGES_HZ; and the windows' logits, float64 [windows, K].
    """
    columns, logits = [], []
    for first in range(0, len(images), _BATCH):
        batch = torch.from_numpy(images[first : first + _BATCH][:, None].astype(np.float32) / 255)
        output = model(batch)
        chosen = (trials.window >= first) & (trials.window < first + len(batch))
        at = trials.window[chosen] - first, slice(None), trials.peak_sample[chosen] // TRANSFORM.column_samples
        mask = mask_probability(output.mask_logits.float()).numpy()
        columns.append(np.concatenate([_band_means(mask[at]), _band_means(batch[:, 0].numpy()[at])], axis=1))
        logits.append(output.call_logits.float().numpy())
    said = np.concatenate(logits).astype(np.float64)
    wanted = [CALL_TYPES.index(name) for name in WINDOW_LOGITS]
    return np.concatenate([said[trials.window][:, wanted], np.concatenate(columns)], axis=1), said


def _band_means(columns: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean of image columns [n, 256] within each band: float64 [n, bands]."""
    rows = np.searchsorted(row_low_hz()[TRANSFORM.rows[0].count :], BAND_EDGES_HZ) + TRANSFORM.rows[0].count
    return np.stack([columns[:, low:high].mean(axis=1) for low, high in itertools.pairwise(rows)], axis=1)
