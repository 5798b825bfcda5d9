"""The published networks at full size: image [B, 1, 256, 256] to features [B, 256, rows, columns].

ResNet50 and ConvNeXt-Tiny give an 8 x 8 grid, ViT and DeiT 16 x 16, AST 25 x 25. A pointwise layer
brings each to the common width. Transformers know a patch's row by its
learned position; the convolutional two are told of no row, as they were published.
"""

# mypy: untyped-calls-exclude=torchvision
# mypy: untyped-calls-exclude=transformers

from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from typing import Final

import torch
from torch import Tensor, nn
from torchvision import models  # type: ignore[import-untyped]  # it ships no types
from torchvision.models.vision_transformer import (  # type: ignore[import-untyped]  # it ships no types
    interpolate_embeddings,
)

from seacanary_models.encoders import IMAGE_PX
from seacanary_models.pretrained import OneChannel, part_of
from seacanary_models.small_encoders import read_out

FULL_WIDTH: Final = 256
_PATCH_PX: Final = 16
_AST_STRIDE_PX: Final = 10


def resnet50() -> nn.Module:
    """Source: He et al. (2016), Deep Residual Learning for Image Recognition."""
    classifier = models.resnet50()
    stages = nn.Sequential()
    for name, layer in classifier.named_children():
        if name not in ("avgpool", "fc"):
            stages.add_module(name, layer)
    weights = models.ResNet50_Weights.IMAGENET1K_V2
    return _projected(OneChannel(stages, "conv1", weights=weights, rename=_without_classifier), 2048)


def _without_classifier(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in published.items() if not name.startswith("fc.")}


def convnext_tiny() -> nn.Module:
    """Source: Liu et al. (2022), A ConvNet for the 2020s."""
    stages, weights = models.convnext_tiny().features, models.ConvNeXt_Tiny_Weights.IMAGENET1K_V1
    return _projected(OneChannel(stages, "0.0", weights=weights, rename=partial(part_of, prefix="features.")), 768)


def vit_b_16() -> nn.Module:
    """ViT-B/16 for 256 x 256 pixels; published positions, for 224, are interpolated."""
    tokens = PatchTokens(models.vit_b_16(image_size=IMAGE_PX))
    weights = models.ViT_B_16_Weights.IMAGENET1K_V1
    return _projected(OneChannel(tokens, "patches", weights=weights, rename=_vit_names), 768)


def _vit_names(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    resized = interpolate_embeddings(IMAGE_PX, _PATCH_PX, OrderedDict(published))
    return (
        part_of(resized, "conv_proj.", "patches.")
        | part_of(resized, "class_token", "class_token")
        | part_of(resized, "encoder.", "encoder.")
    )


def deit_b_16() -> nn.Module:
    """DeiT-B/16 with its distillation token."""
    return _projected(DistilledTransformer(), 768)


def ast() -> nn.Module:
    """The audio spectrogram transformer."""
    return _projected(AudioTransformer(), 768)


def _projected(network: nn.Module, width: int) -> nn.Module:
    return nn.Sequential(network, nn.Conv2d(width, FULL_WIDTH, 1))


class PatchTokens(nn.Module):
    """torchvision's vision transformer up to its tokens, laid out as a 16 x 16 grid.

    Source: Dosovitskiy et al. (2021), An Image is Worth 16x16 Words.
    """

    def __init__(self, network: models.VisionTransformer) -> None:
        super().__init__()
        self.patches: nn.Module = network.conv_proj
        self.class_token: nn.Parameter = network.class_token
        self.encoder: nn.Module = network.encoder

    def forward(self, image: Tensor) -> Tensor:
        """Features [B, 768, 16, 16]."""
        patches = self.patches(image).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(image), -1, -1), patches], 1)
        return read_out(self.encoder(tokens), summaries=1)


class DistilledTransformer(nn.Module):
    """DeiT-B/16 from transformers, with its class and distillation tokens; no teacher is used.

    Source: Touvron et al. (2021), Training data-efficient image transformers.
    """

    def __init__(self) -> None:
        super().__init__()
        from transformers import DeiTConfig, DeiTModel  # takes seconds to import, and is needed nowhere else

        config = DeiTConfig(image_size=IMAGE_PX, num_channels=1, hidden_dropout_prob=0.0)
        self.network = DeiTModel(config, add_pooling_layer=False)

    def forward(self, image: Tensor) -> Tensor:
        """Features [B, 768, 16, 16]."""
        return read_out(self.network(image).last_hidden_state, summaries=2)


class AudioTransformer(nn.Module):
    """AST from transformers: 16 x 16 patches every 10 pixels, 25 x 25 of them.

    Source: Gong et al. (2021), AST: Audio Spectrogram Transformer.
    """

    def __init__(self) -> None:
        super().__init__()
        from transformers import ASTConfig, ASTModel  # takes seconds to import, and is needed nowhere else

        config = ASTConfig(
            max_length=IMAGE_PX,
            num_mel_bins=IMAGE_PX,
            frequency_stride=_AST_STRIDE_PX,
            time_stride=_AST_STRIDE_PX,
            hidden_dropout_prob=0.0,
        )
        self.network = ASTModel(config)

    def forward(self, image: Tensor) -> Tensor:
        """Features [B, 768, 25, 25]; the network wants [B, time, frequency]."""
        return read_out(self.network(image.squeeze(1).transpose(1, 2)).last_hidden_state, summaries=2)
