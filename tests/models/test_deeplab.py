"""DeepLabV3 as a segmenter."""

from typing import get_args

import pytest
import torch

from seacanary_models.deeplab import DeepLab, DeepLabKind

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("kind", get_args(DeepLabKind))
def test_logits_have_the_resolution_of_the_image(kind: DeepLabKind) -> None:
    with torch.no_grad():
        assert DeepLab(kind).eval()(torch.rand(1, 1, 256, 256)).shape == (1, 2, 256, 256)


def test_a_gradient_reaches_every_parameter() -> None:
    torch.manual_seed(0)
    segmenter = DeepLab("deeplabv3_mobilenet_v3")
    segmenter(torch.rand(2, 1, 256, 256)).square().sum().backward()
    assert [name for name, weight in segmenter.named_parameters() if weight.grad is None or not weight.grad.any()] == []
