"""MGC: mask-guided classification, assembled from segmenter, encoders, fusion and head.

The image-only baselines are the same class with the mask branch off.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from seacanary_models.encoder_kinds import EncoderKind, build_encoder, has_published_weights
from seacanary_models.encoders import MaskEncoder
from seacanary_models.fusion import FusionKind, build_fusion, tokens_of
from seacanary_models.heads import HeadKind, logit_count, marginal_logits
from seacanary_models.masks import SoftMask
from seacanary_models.pretrained import OneChannel
from seacanary_models.segmenter import SegmenterKind, build_segmenter


class Widths(NamedTuple):
    """Channels of each part; `spectrogram` is the compact encoder's, other encoders have their own."""

    segmenter: tuple[int, int, int]
    spectrogram: tuple[int, int, int]
    mask: int
    heads: int


PRESETS: Final[dict[str, Widths]] = {
    "compact": Widths(segmenter=(24, 48, 64), spectrogram=(24, 48, 96), mask=16, heads=4),
    "tiny": Widths(segmenter=(16, 24, 32), spectrogram=(16, 24, 48), mask=8, heads=2),
    "small": Widths(segmenter=(24, 48, 64), spectrogram=(16, 32, 64), mask=12, heads=2),
    "full": Widths(segmenter=(24, 48, 64), spectrogram=(64, 128, 256), mask=32, heads=8),
}


class ClassifierConfig(BaseModel):
    """What to build. The defaults of fields added later are what was built before them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: Literal["compact", "tiny", "small", "full"] = Field(
        "compact", description="widths of every part; small and full go with the encoders of those sizes"
    )
    call_types: int = Field(3, gt=0, le=8, description="number of call types, K")
    fusion: FusionKind = Field("cross_attention", description="how the mask guides the classifier")
    mask_threshold: float = Field(0.5, gt=0, lt=1, description="mask probability over which a pixel is call")
    sigma_px: float = Field(4.0, gt=0, le=10, description="fade width of the soft mask, image pixels")
    encoder: EncoderKind = Field("compact", description="network that reads the image")
    guide: Literal["mask", "none"] = Field(
        "mask", description="none: image only, without segmenter, mask encoder and fusion"
    )
    mask_form: Literal["soft", "hard"] = Field("soft", description="soft fades with distance, hard is 0 or 1")
    head: HeadKind = Field("multi_label", description="K independent answers, or one of 2^K combinations")
    segmenter: SegmenterKind = Field("compact", description="network that makes the mask; given: none")
    pretrained: bool = Field(False, description="begin from ImageNet weights where they are published")

    @property
    def segments(self) -> bool:
        """Whether the model makes masks of its own."""
        return self.guide == "mask" and self.segmenter != "given"

    @model_validator(mode="after")
    def _weights_exist(self) -> Self:
        deeplab = self.segments and self.segmenter != "compact"
        if self.pretrained and not deeplab and not has_published_weights(self.encoder):
            raise ValueError(
                f"pretrained: neither encoder {self.encoder} nor the segmenter has ImageNet weights to fetch"
            )
        return self


class ModelOutput(NamedTuple):
    """Logits, before any threshold or temperature.

    Attributes:
        mask_logits: [B, 2, 256, 256]; class 1 is call. All zero, no opinion, if the model is image-only.
        call_logits: [B, K], one independent logit per call type; with a joint head [B, 2^K], one per
            combination (`heads`).
    """

    mask_logits: Tensor
    call_logits: Tensor


def mask_probability(mask_logits: Tensor) -> Tensor:
    """Probability [B, rows, columns] that a pixel is call: the softmax of two classes."""
    return torch.sigmoid(mask_logits[:, 1] - mask_logits[:, 0])


class MaskGuidedClassifier(nn.Module):
    """Segment, then classify with the mask as a guide; or classify alone, if configured so.

    The mask is cut at its threshold and carries no gradient: the segmenter learns from masks
    alone, the classifier from call types alone, in one pass.
    """

    temperatures: Tensor

    def __init__(self, config: ClassifierConfig | None = None) -> None:
        super().__init__()
        self.config = config or ClassifierConfig()
        widths = PRESETS[self.config.preset]
        config, guided = self.config, self.config.guide == "mask"
        kind: SegmenterKind = config.segmenter if guided else "given"
        self.segmenter = build_segmenter(kind, widths=widths.segmenter)
        self.soft_mask = SoftMask(config.sigma_px)
        encoder = build_encoder(config.encoder, compact_widths=widths.spectrogram)
        self.spectrogram_encoder = encoder.network
        self.mask_encoder = MaskEncoder(widths.mask, encoder.width) if guided else None
        self.fusion = build_fusion(config.fusion, width=encoder.width, heads=widths.heads) if guided else None
        self.head = nn.Linear(2 * encoder.width, logit_count(config.head, config.call_types))
        self.register_buffer("temperatures", torch.ones(config.call_types))

    @property
    def published_weights(self) -> dict[str, str]:
        """Names of the weights that parts of this model began from, for the provenance; empty: from scratch."""
        if not self.config.pretrained:
            return {}
        return {part: network.weights_name for part, network in self._published()}

    def load_published_weights(self) -> None:
        """Begin from ImageNet weights if so configured; called once, before training.

        Building a model never fetches anything, so a checkpoint is read back without a network.

        Raises:
            WeightsUnavailable: they cannot be fetched.
        """
        if self.config.pretrained:
            for _, network in self._published():
                network.load_published()

    def _published(self) -> list[tuple[str, OneChannel]]:
        """The published networks within, each with the name of the part that it serves."""
        return [(name.partition(".")[0], part) for name, part in self.named_modules() if isinstance(part, OneChannel)]

    def forward(self, image: Tensor) -> ModelOutput:
        """Logits of an image [B, 1, 256, 256] in [0, 1].

        Raises:
            ValueError: the model is guided by masks and has no segmenter; use `classify`.
        """
        if self.segmenter is not None:
            mask_logits: Tensor = self.segmenter(image)
            return ModelOutput(mask_logits, self.classify(image, mask_probability(mask_logits)))
        no_opinion = image.new_zeros(len(image), 2, *image.shape[2:])
        return ModelOutput(no_opinion, self.classify(image))

    def classify(self, image: Tensor, probability: Tensor | None = None) -> Tensor:
        """Call logits of an image guided by any mask.

        Args:
            image: float [B, 1, 256, 256] in [0, 1].
            probability: mask probability [B, 256, 256]; a true mask as 0 and 1 does as well. An
                image-only model takes no notice of it.

        Returns:
            [B, K], or [B, 2^K] with a joint head.

        Raises:
            ValueError: the model is guided by masks and none is given.
        """
        tokens = self._tokens(image, probability)
        # The mean hears what lasts, the maximum what is short: a click lives in a few tokens.
        logits: Tensor = self.head(torch.cat([tokens.mean(1), tokens.amax(1)], -1))
        return logits

    def _tokens(self, image: Tensor, probability: Tensor | None) -> Tensor:
        features: Tensor = self.spectrogram_encoder(image)
        if self.mask_encoder is None or self.fusion is None:
            return tokens_of(features)
        if probability is None:
            raise ValueError("this model has no segmenter: call classify(image, probability) with a mask")
        fused: Tensor = self.fusion(features, self.mask_encoder(self._guide(probability)))
        return fused

    def _guide(self, probability: Tensor) -> Tensor:
        """The mask in the form the mask encoder takes, [B, 1, 256, 256]; carries no gradient."""
        hard = (probability.detach() > self.config.mask_threshold).to(torch.float32)
        shaped: Tensor = self.soft_mask(hard) if self.config.mask_form == "soft" else hard
        return shaped.unsqueeze(1)

    def set_temperatures(self, temperatures: Sequence[float]) -> None:
        """Calibrate: probabilities become sigmoid(logit / temperature) on export.

        Raises:
            ValueError: not one positive temperature per call type.
        """
        if len(temperatures) != self.config.call_types or min(temperatures) <= 0:
            raise ValueError(
                f"temperatures must be {self.config.call_types} positive numbers, got {list(temperatures)}"
            )
        self.temperatures.copy_(torch.tensor(temperatures))

    def probabilities(self, call_logits: Tensor) -> Tensor:
        """Calibrated probability [B, K] of each call type, from either head's logits."""
        by_type = call_logits if self.config.head == "multi_label" else marginal_logits(call_logits)
        return torch.sigmoid(by_type / self.temperatures)
