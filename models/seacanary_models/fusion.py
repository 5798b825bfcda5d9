"""Fusion: let the mask say where in the spectrogram to listen.

Every fusion takes spectrogram features [B, width, rows, columns] on any grid and mask features
[B, width, 16, 16], and gives tokens [B, rows * columns, width]. The spectrogram always has a path
past the mask, so a missed mask cannot silence a call.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from seacanary_models.encoders import TOKEN_GRID

FusionKind = Literal["cross_attention", "concat", "gated"]


def tokens_of(features: Tensor) -> Tensor:
    """Features [B, width, rows, columns] as tokens [B, rows * columns, width]."""
    return features.flatten(2).transpose(1, 2)


def on_grid_of(features: Tensor, like: Tensor) -> Tensor:
    """Features averaged onto the grid of another: each cell is the mean of the cells that it covers."""
    rows, columns = like.shape[-2:]
    if features.shape[-2:] == (rows, columns):
        return features
    return nn.functional.adaptive_avg_pool2d(features, (rows, columns))


class CrossAttention(nn.Module):
    """Spectrogram tokens are the queries, mask tokens the keys and values.

    A learned value per row and column of the 16 x 16 mask grid says where each mask token lies; a
    spectrogram token on another grid takes the mean of the places that it covers.

    Args:
        width: channels of both inputs.
        heads: attention heads; divides width.

    Source: Vaswani et al. (2017), Attention Is All You Need.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.row = nn.Parameter(torch.randn(1, width, TOKEN_GRID, 1) * 0.02)
        self.column = nn.Parameter(torch.randn(1, width, 1, TOKEN_GRID) * 0.02)
        self.spectrogram_norm = nn.LayerNorm(width)
        self.mask_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.ReLU(inplace=True), nn.Linear(2 * width, width)
        )

    def forward(self, spectrogram: Tensor, mask: Tensor) -> Tensor:
        """Fused tokens [B, rows * columns, width]."""
        place = self.row + self.column
        listening = tokens_of(spectrogram)
        query = self.query(self.spectrogram_norm(tokens_of(spectrogram + on_grid_of(place, spectrogram))))
        key, value = self.key_value(self.mask_norm(tokens_of(mask + place))).chunk(2, -1)
        seen = nn.functional.scaled_dot_product_attention(self._split(query), self._split(key), self._split(value))
        guided: Tensor = listening + self.out(seen.transpose(1, 2).flatten(2))
        fused: Tensor = guided + self.mlp(guided)
        return fused

    def _split(self, tokens: Tensor) -> Tensor:
        """[B, tokens, width] to [B, heads, tokens, width / heads]."""
        count, width = tokens.shape[1:]
        return tokens.reshape(-1, count, self.heads, width // self.heads).transpose(1, 2)


class Concat(nn.Module):
    """Mask channels beside spectrogram channels, mixed token by token, added to the spectrogram."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Linear(2 * width, width)

    def forward(self, spectrogram: Tensor, mask: Tensor) -> Tensor:
        """Fused tokens [B, rows * columns, width]."""
        listening = tokens_of(spectrogram)
        both = torch.cat([listening, tokens_of(on_grid_of(mask, spectrogram))], -1)
        fused: Tensor = listening + nn.functional.relu(self.mix(both))
        return fused


class Gated(nn.Module):
    """The mask opens a gate on the spectrogram; what the gate passes is added to the spectrogram."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, width)

    def forward(self, spectrogram: Tensor, mask: Tensor) -> Tensor:
        """Fused tokens [B, rows * columns, width]."""
        listening = tokens_of(spectrogram)
        gate = torch.sigmoid(self.gate(tokens_of(on_grid_of(mask, spectrogram))))
        fused: Tensor = listening + listening * gate
        return fused


def build_fusion(kind: FusionKind, *, width: int, heads: int) -> nn.Module:
    """The fusion of this kind."""
    if kind == "cross_attention":
        return CrossAttention(width, heads)
    return Concat(width) if kind == "concat" else Gated(width)
