"""The segmenter gives two logits per pixel and can learn a thin line."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from seacanary_models.deeplab import DeepLab
from seacanary_models.segmenter import GlobalGate, Segmenter, build_segmenter

pytestmark = pytest.mark.torch


def test_logits_have_the_resolution_of_the_image() -> None:
    assert Segmenter((8, 8, 8))(torch.rand(2, 1, 256, 256)).shape == (2, 2, 256, 256)


def test_the_gate_only_scales_channels() -> None:
    features = torch.rand(2, 4, 8, 8) + 0.1
    ratio = GlobalGate(4)(features) / features
    torch.testing.assert_close(ratio, ratio[:, :, :1, :1].expand_as(ratio))
    assert ((ratio > 0) & (ratio < 1)).all()


def test_it_learns_lines_one_pixel_wide() -> None:
    torch.manual_seed(0)
    image = torch.rand(2, 1, 256, 256) * 0.2
    image[0, 0, 40, 30:200] = image[1, 0, 150:240, 101] = 0.9
    truth = (image[:, 0] > 0.5).long()
    segmenter = Segmenter((8, 8, 8))
    optimizer = torch.optim.Adam(segmenter.parameters(), 1e-2)
    for _ in range(45):
        optimizer.zero_grad()
        cross_entropy(segmenter(image), truth, weight=torch.tensor([1.0, 4.0])).backward()
        optimizer.step()
    found = segmenter(image).argmax(1)
    overlap = (found & truth).sum() / (found | truth).sum()
    assert overlap > 0.8


def test_each_kind_is_built() -> None:
    assert isinstance(build_segmenter("compact", widths=(8, 8, 8)), Segmenter)
    assert isinstance(build_segmenter("deeplabv3_mobilenet_v3", widths=(8, 8, 8)), DeepLab)
    assert build_segmenter("given", widths=(8, 8, 8)) is None
