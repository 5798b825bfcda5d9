"""From logits to call types, and between the two heads: K independent answers, or one of 2^K combinations.

Combination c holds call type k if bit k of c is set: combination 0 is silence, 5 is call types 0 and 2.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

HeadKind = Literal["multi_label", "joint"]


def logit_count(kind: HeadKind, call_types: int) -> int:
    """Logits that a head gives: K, or one per combination."""
    return call_types if kind == "multi_label" else 2**call_types


def call_types_of(combination: Tensor, call_types: int) -> Tensor:
    """Which call types each combination holds: integers [...] to bool [..., K]."""
    bits = torch.arange(call_types, device=combination.device)
    return (combination.unsqueeze(-1) >> bits & 1).bool()


def combination_of(heard: Tensor) -> Tensor:
    """Combination of the call types heard: bool [..., K] to int64 [...]."""
    bits = torch.arange(heard.shape[-1], device=heard.device)
    return (heard.long() << bits).sum(-1)


def marginal_logits(joint_logits: Tensor) -> Tensor:
    """Log odds [..., K] that each call type is present, whatever the others are.

    Args:
        joint_logits: [..., 2^K], before their softmax.

    Raises:
        ValueError: their number is not a power of two.
    """
    held = call_types_of(torch.arange(joint_logits.shape[-1], device=joint_logits.device), _call_types(joint_logits))
    by_type = joint_logits.unsqueeze(-1)
    present = by_type.masked_fill(~held, -torch.inf).logsumexp(-2)
    absent = by_type.masked_fill(held, -torch.inf).logsumexp(-2)
    return present - absent


def marginal_probabilities(joint_logits: Tensor) -> Tensor:
    """Probability [..., K] of each call type: the sum over the combinations that hold it."""
    return torch.sigmoid(marginal_logits(joint_logits))


def joint_decision(joint_logits: Tensor) -> Tensor:
    """The most probable combination, int64 [...], of joint logits [..., 2^K]."""
    return joint_logits.argmax(-1)


def joint_decision_from_marginals(call_logits: Tensor, thresholds: Sequence[float]) -> Tensor:
    """The combination of all call types that reach their thresholds.

    Args:
        call_logits: [..., K], one independent logit per call type.
        thresholds: probability from which each call type counts as present, over 0 and under 1.

    Returns:
        int64 [...].

    Raises:
        ValueError: not one such threshold per call type.
    """
    if len(thresholds) != call_logits.shape[-1] or not all(0 < threshold < 1 for threshold in thresholds):
        raise ValueError(f"thresholds must be {call_logits.shape[-1]} numbers between 0 and 1, got {list(thresholds)}")
    return combination_of(call_logits >= torch.logit(call_logits.new_tensor(list(thresholds))))


def joint_logits_from_marginals(call_logits: Tensor) -> Tensor:
    """Joint logits [..., 2^K] of call types that are independent of each other, from theirs [..., K]."""
    call_types = call_logits.shape[-1]
    held = call_types_of(torch.arange(2**call_types, device=call_logits.device), call_types)
    return call_logits @ held.to(call_logits.dtype).T


def joint_loss(joint_logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy over combinations; a call type whose label is unknown is summed out.

    Args:
        joint_logits: float [B, 2^K].
        targets: float [B, K], 1 where a call type is present.
        weights: float [B, K], 0 where a label is unknown.

    Returns:
        mean over the windows with at least one known label; 0 if there are none.
    """
    held = call_types_of(torch.arange(joint_logits.shape[-1], device=joint_logits.device), targets.shape[-1])
    known = (weights > 0).unsqueeze(1)
    possible = ((held == (targets > 0.5).unsqueeze(1)) | ~known).all(-1)
    surprise = joint_logits.logsumexp(-1) - joint_logits.masked_fill(~possible, -torch.inf).logsumexp(-1)
    labelled = known.any(-1).squeeze(1).to(surprise.dtype)
    return (surprise * labelled).sum() / labelled.sum().clamp_min(1.0)


def _call_types(joint_logits: Tensor) -> int:
    count = joint_logits.shape[-1]
    if count < 2 or count & (count - 1):
        raise ValueError(f"joint logits must be one per combination, 2^K of them, got {count}")
    return count.bit_length() - 1
