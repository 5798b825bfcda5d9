"""Small encoders of like size, one for each published family: whole tables of models fit a CPU.

Each turns an image [B, 1, 256, 256] into features [B, 64, 16, 16] and keeps what its family is known
for, not its size. They are named small_* so that nobody takes them for the published networks.

    encoder          parameters   multiply-adds per image
    small_resnet          119 k                      57 M
    small_convnext        169 k                      51 M
    small_vit             134 k                      55 M
    small_deit            134 k                      55 M
    small_ast             154 k                      60 M
"""

# mypy: untyped-calls-exclude=torchvision

from typing import Final

import torch
from torch import Tensor, nn
from torchvision.models.convnext import CNBlock  # type: ignore[import-untyped]  # it ships no types
from torchvision.models.vision_transformer import Encoder  # type: ignore[import-untyped]  # it ships no types

from seacanary_models.encoders import IMAGE_PX, TOKEN_GRID, SpectrogramEncoder

SMALL_WIDTH: Final = 64
_STEM_PX: Final = 8
_TOKEN_PX: Final = IMAGE_PX // TOKEN_GRID


class ChannelNorm(nn.Module):
    """Layer norm over the channels of [B, width, rows, columns].

    The permuted view of channels-last features is contiguous, so nothing is copied there.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, features: Tensor) -> Tensor:
        """Same shape in and out."""
        normed: Tensor = self.norm(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return normed


class SmallConvNext(nn.Module):
    """ConvNeXt blocks on 32 x 32 and 16 x 16 grids: image [B, 1, 256, 256] to features [B, widths[1], 16, 16].

    The stem is ConvNeXt's (patches, a linear map, a norm) with patches of 8 x 8 pixels, not 4 x 4, as a
    64 x 64 stage would take half the time, and with a learned value per row of patches. The layer scale
    begins at 0.1, not 1e-6, for short runs.

    Args:
        widths: channels of the two stages.
        blocks: blocks in each stage.

    Source: Liu et al. (2022), A ConvNet for the 2020s.
    """

    def __init__(self, widths: tuple[int, int], blocks: tuple[int, int]) -> None:
        super().__init__()
        fine, coarse = widths
        self.row = nn.Parameter(torch.randn(1, _STEM_PX**2, IMAGE_PX // _STEM_PX, 1) * 0.02)
        self.layers = nn.Sequential(
            nn.Conv2d(_STEM_PX**2, fine, 1),
            ChannelNorm(fine),
            *_convnext_blocks(fine, blocks[0]),
            ChannelNorm(fine),
            nn.Conv2d(fine, coarse, 2, 2),
            *_convnext_blocks(coarse, blocks[1]),
            ChannelNorm(coarse),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Features of an image."""
        features: Tensor = self.layers(nn.functional.pixel_unshuffle(image, _STEM_PX) + self.row)
        return features


def _convnext_blocks(width: int, count: int) -> list[nn.Module]:
    return [CNBlock(width, layer_scale=0.1, stochastic_depth_prob=0.0) for _ in range(count)]


class PatchTransformer(nn.Module):
    """A transformer over 16 x 16 patches: image [B, 1, 256, 256] to features [B, width, 16, 16].

    Summary tokens run beside the patches; their mean is added to every patch token at the end.

    Args:
        summaries: 1 is ViT's class token; 2 adds the distillation token of DeiT and AST. No teacher is
            used here: the second token learns from the same labels as the first.
        overlap_px: by how much neighbouring patches share pixels. AST's 16-pixel patches every 10 pixels
            would make 625 tokens; here patches of 16 + overlap_px pixels still come every 16, so that all
            transformers have 256 tokens and like cost.
        depth: transformer blocks.
        width: channels of a token.

    Source: Dosovitskiy et al. (2021), An Image is Worth 16x16 Words; Touvron et al. (2021), Training
    data-efficient image transformers; Gong et al. (2021), AST; the readout after Ranftl et al. (2021),
    Vision Transformers for Dense Prediction.
    """

    def __init__(self, *, summaries: int, overlap_px: int = 0, depth: int = 3, width: int = SMALL_WIDTH) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, _TOKEN_PX + overlap_px, _TOKEN_PX, overlap_px // 2)
        self.summaries = nn.Parameter(torch.randn(1, summaries, width) * 0.02)
        self.encoder = Encoder(
            seq_length=summaries + TOKEN_GRID**2,
            num_layers=depth,
            num_heads=2,
            hidden_dim=width,
            mlp_dim=2 * width,
            dropout=0.0,
            attention_dropout=0.0,
        )

    def forward(self, image: Tensor) -> Tensor:
        """Features of an image."""
        patches = self.patches(image).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.summaries.expand(len(image), -1, -1), patches], 1)
        return read_out(self.encoder(tokens), summaries=self.summaries.shape[1])


def read_out(tokens: Tensor, *, summaries: int) -> Tensor:
    """Features [B, width, side, side] of tokens [B, summaries + side², width], the summaries' mean added to each."""
    places = tokens[:, summaries:] + tokens[:, :summaries].mean(1, keepdim=True)
    side = round(places.shape[1] ** 0.5)
    return places.transpose(1, 2).reshape(-1, places.shape[2], side, side)


def small_resnet() -> nn.Module:
    """Residual blocks of 3 x 3 convolutions."""
    return SpectrogramEncoder((16, 32, SMALL_WIDTH))


def small_convnext() -> nn.Module:
    """Depthwise 7 x 7 convolutions and pointwise layers."""
    return SmallConvNext((32, SMALL_WIDTH), (1, 4))


def small_vit() -> nn.Module:
    """Attention between patches, one class token."""
    return PatchTransformer(summaries=1)


def small_deit() -> nn.Module:
    """small_vit with a distillation token."""
    return PatchTransformer(summaries=2)


def small_ast() -> nn.Module:
    """small_deit with patches of 24 x 24 pixels that overlap by 8."""
    return PatchTransformer(summaries=2, overlap_px=8)
