"""Encoders: image to tokens, soft mask to tokens; and the blocks that they share with the segmenter.

The image enters as 4 x 4 patches (pixels become channels), so no column is blurred before
the first learned layer sees it and a click one column wide stays sharp at a quarter of the
memory traffic. Rows 0-127 and 128-255 mean different things, so every first layer adds a
learned value per row of patches.
"""

from typing import Final

import torch
from torch import Tensor, nn

PATCH_PX: Final = 4
IMAGE_PX: Final = 256
# Tokens lie on a 16 x 16 grid: 64 ms wide, 16 rows high.
TOKEN_GRID: Final = 16


class ConvBlock(nn.Sequential):
    """3 x 3 convolution, batch norm, ReLU; a stride of 2 halves rows and columns."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class Residual(nn.Module):
    """Two 3 x 3 convolutions around a shortcut, at constant width.

    Source: He et al. (2016), Deep Residual Learning for Image Recognition.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = ConvBlock(width, width)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, features: Tensor) -> Tensor:
        """Same shape in and out, [B, width, rows, columns]."""
        return nn.functional.relu(features + self.second(self.first(features)))


class PatchStem(nn.Module):
    """256 x 256 pixels to 64 x 64 features that know their row."""

    def __init__(self, width: int, *, stride: int = 1) -> None:
        super().__init__()
        grid = IMAGE_PX // PATCH_PX
        self.row = nn.Parameter(torch.randn(1, PATCH_PX**2, grid, 1) * 0.02)
        self.block = ConvBlock(PATCH_PX**2, width, stride=stride)

    def forward(self, image: Tensor) -> Tensor:
        """Features [B, width, 64 / stride, 64 / stride] of an image [B, 1, 256, 256]."""
        features: Tensor = self.block(nn.functional.pixel_unshuffle(image, PATCH_PX) + self.row)
        return features


class SpectrogramEncoder(nn.Module):
    """A small residual network: image [B, 1, 256, 256] to features [B, widths[-1], 16, 16].

    Args:
        widths: channels at 64 x 64, 32 x 32 and 16 x 16.
    """

    def __init__(self, widths: tuple[int, int, int]) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.layers = nn.Sequential(
            PatchStem(fine),
            ConvBlock(fine, middle, stride=2),
            Residual(middle),
            ConvBlock(middle, coarse, stride=2),
            Residual(coarse),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Features of an image."""
        features: Tensor = self.layers(image)
        return features


class MaskEncoder(nn.Module):
    """A light network: soft mask [B, 1, 256, 256] to features [B, outputs, 16, 16].

    Args:
        width: channels at 32 x 32.
        outputs: channels at 16 x 16.
    """

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            PatchStem(width, stride=2), ConvBlock(width, 2 * width, stride=2), ConvBlock(2 * width, outputs)
        )

    def forward(self, soft_mask: Tensor) -> Tensor:
        """Features of a soft mask."""
        features: Tensor = self.layers(soft_mask)
        return features
