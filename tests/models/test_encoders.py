"""Encoders keep their shapes, know their row and keep a one-column click."""

import pytest
import torch

from seacanary_models.encoders import MaskEncoder, PatchStem, Residual, SpectrogramEncoder

pytestmark = pytest.mark.torch


def test_the_spectrogram_encoder_gives_a_16_by_16_grid() -> None:
    assert SpectrogramEncoder((8, 16, 24))(torch.rand(2, 1, 256, 256)).shape == (2, 24, 16, 16)


def test_the_mask_encoder_gives_the_same_grid() -> None:
    assert MaskEncoder(4, 24)(torch.rand(2, 1, 256, 256)).shape == (2, 24, 16, 16)


def test_a_stem_tells_equal_content_in_different_rows_apart() -> None:
    torch.manual_seed(0)
    stem = PatchStem(8).eval()
    features = stem(torch.full((1, 1, 256, 256), 0.5))
    assert (features[0, :, 10, 32] - features[0, :, 50, 32]).abs().max() > 1e-3
    torch.testing.assert_close(features[0, :, 10, 20], features[0, :, 10, 40])


def test_a_stem_tells_neighbouring_columns_apart() -> None:
    torch.manual_seed(0)
    stem = PatchStem(8).eval()
    left, right = torch.zeros(1, 1, 256, 256), torch.zeros(1, 1, 256, 256)
    left[..., 101], right[..., 102] = 1.0, 1.0
    assert (stem(left) - stem(right)).abs().max() > 1e-2


def test_a_residual_block_begins_near_its_shortcut() -> None:
    torch.manual_seed(0)
    block = Residual(8).eval()
    features = torch.rand(1, 8, 16, 16)
    block.second[0].weight.data.zero_()
    torch.testing.assert_close(block(features), features)
