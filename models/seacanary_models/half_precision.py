"""fp16: M in half precision, its mask, soft mask and outputs in fp32."""

import copy

import torch
from torch import Tensor, nn

from seacanary_models.byte_images import on_byte_grid
from seacanary_models.classifier import MaskGuidedClassifier, mask_probability
from seacanary_models.masks import SoftMask


class To(nn.Module):
    """Rounds or widens to a precision."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, values: Tensor) -> Tensor:
        """The same values in that precision."""
        return values.to(self.dtype)


class HalfPrecisionModel(nn.Module):
    """M with fp32 image in and fp32 probabilities out, as `ExportableModel`, computed in half precision.

    The mask is cut from an fp32 probability. The soft mask stays in fp32: its sums span 4^-22 to 1
    and its squared distances exceed what half precision can hold.

    Args:
        model: is copied, not changed.
    """

    def __init__(self, model: MaskGuidedClassifier) -> None:
        super().__init__()
        half = copy.deepcopy(model).half()
        half.temperatures = model.temperatures.clone()
        half.soft_mask = SoftMask(model.config.sigma_px)
        if half.segmenter is not None:
            half.add_module("segmenter", nn.Sequential(half.segmenter, To(torch.float32)))
        if half.mask_encoder is not None:
            half.add_module("mask_encoder", nn.Sequential(To(torch.float16), half.mask_encoder))
        self.model = half

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """`mask_probability` [B, 256, 256] and `probability` [B, K] of an image [B, 1, 256, 256]."""
        output = self.model(on_byte_grid(image).half())
        return mask_probability(output.mask_logits.float()), self.model.probabilities(output.call_logits.float())
