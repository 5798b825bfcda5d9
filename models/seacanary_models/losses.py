"""What training minimises: pixels of the mask, presence of call types."""

from torch import Tensor
from torch.nn import functional as F


def segmentation_loss(logits: Tensor, masks: Tensor, call_pixel_weight: float) -> Tensor:
    """Pixel cross-entropy with call pixels weighted up, plus soft Dice over the batch.

    Args:
        logits: float32 [B, 2, H, W], background and call.
        masks: int64 [B, H, W], 1 where a call is.
        call_pixel_weight: a call pixel counts this many background pixels.
    """
    entropy = F.cross_entropy(logits, masks, weight=logits.new_tensor((1.0, call_pixel_weight)))
    call = logits.softmax(dim=1)[:, 1]
    overlap = (call * masks).sum()
    dice = 1 - (2 * overlap + 1) / (call.sum() + masks.sum() + 1)
    return entropy + 0.5 * dice


def weighted_bce(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Binary cross-entropy over call types [B, K], left out where the weight is 0."""
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (entropy * weights).sum() / weights.sum().clamp_min(1.0)
