"""DeepLabV3 as a segmenter: torchvision's, with one input channel and two classes."""

# mypy: untyped-calls-exclude=torchvision

from collections.abc import Mapping
from functools import partial
from typing import Literal

from torch import Tensor, nn
from torchvision import models  # type: ignore[import-untyped]  # it ships no types
from torchvision.models import WeightsEnum, segmentation  # type: ignore[import-untyped]  # it ships no types

from seacanary_models.pretrained import OneChannel, part_of

DeepLabKind = Literal["deeplabv3_resnet50", "deeplabv3_mobilenet_v3"]


class DeepLab(nn.Module):
    """Image [B, 1, 256, 256] to logits [B, 2, 256, 256]: class 0 is background, 1 is call.

    The logits are made on a grid of 32 x 32 (ResNet50) or 16 x 16 (MobileNetV3) and interpolated.

    Source: Chen et al. (2017), Rethinking Atrous Convolution for Semantic Image Segmentation.
    """

    def __init__(self, kind: DeepLabKind) -> None:
        super().__init__()
        weights: WeightsEnum
        if kind == "deeplabv3_resnet50":
            network = segmentation.deeplabv3_resnet50(weights_backbone=None, num_classes=2)
            weights, first, prefix = models.ResNet50_Weights.IMAGENET1K_V1, "conv1", ""
        else:
            network = segmentation.deeplabv3_mobilenet_v3_large(weights_backbone=None, num_classes=2)
            weights, first, prefix = models.MobileNet_V3_Large_Weights.IMAGENET1K_V1, "0.0", "features."
        rename = partial(_backbone_part, backbone=network.backbone, prefix=prefix)
        self.layers = OneChannel(_OutputOnly(network), f"network.backbone.{first}", weights=weights, rename=rename)

    def forward(self, image: Tensor) -> Tensor:
        """Logits per pixel."""
        logits: Tensor = self.layers(image)
        return logits


class _OutputOnly(nn.Module):
    """torchvision's segmenters answer with a dictionary; its "out" is the logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.network(image)["out"]
        return logits


def _backbone_part(published: Mapping[str, Tensor], *, backbone: nn.Module, prefix: str) -> dict[str, Tensor]:
    """What the backbone keeps of the classifier that it was cut from."""
    kept = part_of(published, prefix)
    return {f"network.backbone.{name}": kept[name] for name in backbone.state_dict()}
