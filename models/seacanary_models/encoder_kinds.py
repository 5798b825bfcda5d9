"""Every encoder by name: its network and how wide its features are."""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from torch import nn

from seacanary_models import full_encoders, small_encoders
from seacanary_models.encoders import SpectrogramEncoder

SmallEncoder = Literal["small_resnet", "small_convnext", "small_vit", "small_deit", "small_ast"]
FullEncoder = Literal["resnet50", "convnext_tiny", "vit_b_16", "deit_b_16", "ast"]
EncoderKind = Literal["compact", SmallEncoder, FullEncoder]

_SMALL: Final[dict[str, Callable[[], nn.Module]]] = {
    "small_resnet": small_encoders.small_resnet,
    "small_convnext": small_encoders.small_convnext,
    "small_vit": small_encoders.small_vit,
    "small_deit": small_encoders.small_deit,
    "small_ast": small_encoders.small_ast,
}
_FULL: Final[dict[str, Callable[[], nn.Module]]] = {
    "resnet50": full_encoders.resnet50,
    "convnext_tiny": full_encoders.convnext_tiny,
    "vit_b_16": full_encoders.vit_b_16,
    "deit_b_16": full_encoders.deit_b_16,
    "ast": full_encoders.ast,
}


class BuiltEncoder(NamedTuple):
    """An encoder and what the rest of the model needs to know of it.

    Attributes:
        network: image [B, 1, 256, 256] to features [B, width, rows, columns].
        width: channels of a token.
    """

    network: nn.Module
    width: int


def build_encoder(kind: EncoderKind, *, compact_widths: tuple[int, int, int]) -> BuiltEncoder:
    """The encoder of this kind, from scratch; the compact one with these channels on its three grids."""
    if kind == "compact":
        return BuiltEncoder(SpectrogramEncoder(compact_widths), compact_widths[-1])
    if kind in _SMALL:
        return BuiltEncoder(_SMALL[kind](), small_encoders.SMALL_WIDTH)
    return BuiltEncoder(_FULL[kind](), full_encoders.FULL_WIDTH)


def has_published_weights(kind: EncoderKind) -> bool:
    """Whether ImageNet weights can be asked for: torchvision publishes them for three of the encoders."""
    return kind in ("resnet50", "convnext_tiny", "vit_b_16")
