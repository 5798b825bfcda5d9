"""Segmenter: which pixels are call. A compact encoder-decoder with a global gate.

Source: skip connections after Ronneberger et al. (2015), U-Net; the pooled gate after
Howard et al. (2019), Searching for MobileNetV3 (LR-ASPP).
"""

from typing import Final, Literal

import torch
from torch import Tensor, nn

from seacanary_models.deeplab import DeepLab, DeepLabKind
from seacanary_models.encoders import PATCH_PX, ConvBlock, PatchStem, Residual

SegmenterKind = Literal["compact", DeepLabKind, "given"]

# A pixel's level spans 0 to 1 and a logit some ten units: a gain near 1 is then a useful one.
LEVEL_SCALE: Final = 10.0


class GlobalGate(nn.Module):
    """Scale each channel by what the whole image holds, so that steady noise can be turned down."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, width, 1), nn.Sigmoid())

    def forward(self, features: Tensor) -> Tensor:
        """Same shape in and out."""
        gated: Tensor = features * self.gate(features)
        return gated


class Segmenter(nn.Module):
    """Image [B, 1, 256, 256] to logits [B, 2, 256, 256]: class 0 is background, 1 is call.

    Each cell of the 64 x 64 grid predicts, for its own 4 x 4 pixels, two logits and a gain; the gain
    times the pixel's own level is added to the call logit. The network so sets a threshold that varies
    with place, and the level itself draws edges one pixel sharp.

    Args:
        widths: channels at 64 x 64, 32 x 32 and 16 x 16.
    """

    def __init__(self, widths: tuple[int, int, int]) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.stem = nn.Sequential(PatchStem(fine), ConvBlock(fine, fine))
        self.down = nn.Sequential(ConvBlock(fine, middle, stride=2), Residual(middle))
        self.bottom = nn.Sequential(ConvBlock(middle, coarse, stride=2), Residual(coarse), GlobalGate(coarse))
        self.coarse_to_middle = nn.Conv2d(coarse, middle, 1)
        self.middle = ConvBlock(middle, middle)
        self.middle_to_fine = nn.Conv2d(middle, fine, 1)
        self.fine = ConvBlock(fine, fine)
        self.head = nn.Conv2d(fine, 3 * PATCH_PX**2, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits per pixel."""
        fine = self.stem(image)
        middle = self.down(fine)
        middle = self.middle(middle + _doubled(self.coarse_to_middle(self.bottom(middle))))
        fine = self.fine(fine + _doubled(self.middle_to_fine(middle)))
        background, call, gain = nn.functional.pixel_shuffle(self.head(fine), PATCH_PX).chunk(3, 1)
        return torch.cat([background, call + LEVEL_SCALE * gain * image], 1)


def _doubled(features: Tensor) -> Tensor:
    return nn.functional.interpolate(features, scale_factor=2.0, mode="nearest")


def build_segmenter(kind: SegmenterKind, *, widths: tuple[int, int, int]) -> Segmenter | DeepLab | None:
    """The segmenter of this kind; None where masks are given. DeepLabV3 has widths of its own."""
    if kind == "given":
        return None
    return Segmenter(widths) if kind == "compact" else DeepLab(kind)
