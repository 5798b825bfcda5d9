"""M's outputs are read where the click is."""

import numpy as np
import pytest
import torch
from torch import Tensor

from seacanary_models.classifier import ClassifierConfig, MaskGuidedClassifier, ModelOutput
from seacanary_models.click_trials import CLIP_SAMPLES, ClickTrials
from seacanary_models.model_clicks import BAND_EDGES_HZ, BANDS, IMAGE_FEATURES, model_readout

pytestmark = pytest.mark.torch


class Marker(MaskGuidedClassifier):
    """Says that a pixel is call where the image is over a half; its logits count those pixels."""

    def forward(self, image: Tensor) -> ModelOutput:
        call = (image[:, 0] > 0.5).float()
        counts = call.sum((1, 2))[:, None] * torch.tensor([0.0, 1.0, 2.0])
        return ModelOutput(torch.stack([-20 * call, 40 * call - 20], 1), counts)


def clicks_at(positions: list[int], windows: list[int]) -> ClickTrials:
    count = len(positions)
    return ClickTrials(
        clips=np.zeros((count, CLIP_SAMPLES), np.float32),
        peak_sample=np.array(positions, np.int64),
        excess_db=np.zeros(count, np.float32),
        origin=np.zeros(count, np.int64),
        window=np.array(windows, np.int64),
        windows=20,
        ambiguous=0,
        surplus=0,
    )


def test_a_click_is_read_in_its_own_window_column_and_band() -> None:
    images = np.zeros((20, 256, 256), np.uint8)
    images[17, 128 + 96 : 128 + 106, 100] = 255  # 120-130 kHz
    trials = clicks_at([100 * 1536, 100 * 1536 + 1535, 101 * 1536, 100 * 1536], [17, 17, 17, 16])
    readout, logits = model_readout(Marker(ClassifierConfig(preset="tiny")), images, trials)
    band = BAND_EDGES_HZ.index(120e3)
    expected = np.zeros((4, 2 + 2 * BANDS))
    expected[:3, :2] = 10, 20
    expected[:2, [2 + band, 2 + BANDS + band]] = 1
    np.testing.assert_allclose(readout, expected, atol=1e-6)
    assert readout[0, IMAGE_FEATURES].tolist() == [0.0] * band + [1.0] + [0.0] * (BANDS - band - 1)
    assert logits.shape == (20, 3)
    assert logits[17].tolist() == [0, 10, 20]


def test_windows_without_clicks_give_logits_alone() -> None:
    readout, logits = model_readout(
        MaskGuidedClassifier(ClassifierConfig(preset="tiny")).eval(),
        np.zeros((2, 256, 256), np.uint8),
        clicks_at([], []),
    )
    assert (readout.shape, logits.shape) == ((0, 2 + 2 * BANDS), (2, 3))
