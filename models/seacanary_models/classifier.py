"""MGC: mask-guided classification, assembled from segmenter, encoders and fusion."""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from seacanary_models.encoders import MaskEncoder, SpectrogramEncoder
from seacanary_models.fusion import FusionKind, build_fusion
from seacanary_models.masks import SoftMask
from seacanary_models.segmenter import Segmenter


class Widths(NamedTuple):
    """Channels of each part."""

    segmenter: tuple[int, int, int]
    spectrogram: tuple[int, int, int]
    mask: int
    heads: int


PRESETS: Final[dict[str, Widths]] = {
    "compact": Widths(segmenter=(24, 48, 64), spectrogram=(24, 48, 96), mask=16, heads=4),
    "tiny": Widths(segmenter=(16, 24, 32), spectrogram=(16, 24, 48), mask=8, heads=2),
}


class ClassifierConfig(BaseModel):
    """What to build."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: Literal["compact", "tiny"] = Field("compact", description="widths of every part")
    call_types: int = Field(3, gt=0, description="number of call types, K")
    fusion: FusionKind = Field("cross_attention", description="how the mask guides the classifier")
    mask_threshold: float = Field(0.5, gt=0, lt=1, description="mask probability over which a pixel is call")
    sigma_px: float = Field(4.0, gt=0, le=10, description="fade width of the soft mask, image pixels")


class ModelOutput(NamedTuple):
    """Logits, before any threshold or temperature.

    Attributes:
        mask_logits: [B, 2, 256, 256]; class 1 is call.
        call_logits: [B, K], one independent logit per call type.
    """

    mask_logits: Tensor
    call_logits: Tensor


def mask_probability(mask_logits: Tensor) -> Tensor:
    """Probability [B, rows, columns] that a pixel is call: the softmax of two classes."""
    return torch.sigmoid(mask_logits[:, 1] - mask_logits[:, 0])


class MaskGuidedClassifier(nn.Module):
    """Segment, then classify with the mask as a guide.

    The mask is cut at its threshold and carries no gradient: the segmenter learns from masks
    alone, the classifier from call types alone, in one pass.
    """

    temperatures: Tensor

    def __init__(self, config: ClassifierConfig | None = None) -> None:
        super().__init__()
        self.config = config or ClassifierConfig()
        widths = PRESETS[self.config.preset]
        tokens = widths.spectrogram[-1]
        self.segmenter = Segmenter(widths.segmenter)
        self.soft_mask = SoftMask(self.config.sigma_px)
        self.spectrogram_encoder = SpectrogramEncoder(widths.spectrogram)
        self.mask_encoder = MaskEncoder(widths.mask, tokens)
        self.fusion = build_fusion(self.config.fusion, width=tokens, heads=widths.heads)
        self.head = nn.Linear(2 * tokens, self.config.call_types)
        self.register_buffer("temperatures", torch.ones(self.config.call_types))

    def forward(self, image: Tensor) -> ModelOutput:
        """Logits of an image [B, 1, 256, 256] in [0, 1]."""
        mask_logits = self.segmenter(image)
        return ModelOutput(mask_logits, self.classify(image, mask_probability(mask_logits)))

    def classify(self, image: Tensor, probability: Tensor) -> Tensor:
        """Call logits of an image guided by any mask.

        Args:
            image: float [B, 1, 256, 256] in [0, 1].
            probability: mask probability [B, 256, 256]; a true mask as 0 and 1 does as well.

        Returns:
            [B, K].
        """
        hard = (probability.detach() > self.config.mask_threshold).to(torch.float32)
        guide = self.mask_encoder(self.soft_mask(hard).unsqueeze(1))
        fused = self.fusion(self.spectrogram_encoder(image), guide)
        # The mean hears what lasts, the maximum what is short: a click lives in a few tokens.
        logits: Tensor = self.head(torch.cat([fused.mean(1), fused.amax(1)], -1))
        return logits

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
        """Calibrated probability [B, K] of each call type."""
        return torch.sigmoid(call_logits / self.temperatures)
