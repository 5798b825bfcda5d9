"""Figures of merit for probabilities and masks; plain functions of arrays."""

import itertools

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def average_precision(scores: Floats, truth: NDArray[np.bool_]) -> float:
    """Area under the precision-recall steps; NaN without a positive."""
    if not truth.any():
        return float("nan")
    hits = truth[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(hits) / np.arange(1, hits.size + 1)
    return float(precision[hits].mean())


def roc_auc(scores: Floats, truth: NDArray[np.bool_]) -> float:
    """Chance that a positive outscores a negative, ties counted half; NaN without both."""
    positives, negatives = scores[truth], np.sort(scores[~truth])
    if not positives.size or not negatives.size:
        return float("nan")
    below = np.searchsorted(negatives, positives, "left")
    not_above = np.searchsorted(negatives, positives, "right")
    return float((below + not_above).mean() / (2 * negatives.size))


def precision_recall(scores: Floats, truth: NDArray[np.bool_], threshold: float) -> dict[str, float]:
    """Precision, recall and F1 at a threshold; a ratio without anything to count is NaN."""
    fired = scores >= threshold
    right = float((fired & truth).sum())
    precision = right / fired.sum() if fired.any() else float("nan")
    recall = right / truth.sum() if truth.any() else float("nan")
    total = float(fired.sum() + truth.sum())
    return {"precision": float(precision), "recall": float(recall), "f1": 2 * right / total if total else float("nan")}


def expected_calibration_error(scores: Floats, truth: NDArray[np.bool_], *, bins: int = 15) -> float:
    """Mean gap between stated and true frequency over equal bins of probability.

    Source: Guo et al. (2017), On Calibration of Modern Neural Networks.
    """
    bin_of = np.minimum((scores * bins).astype(int), bins - 1)
    gaps = [
        abs(scores[bin_of == b].mean() - truth[bin_of == b].mean()) * (bin_of == b).mean() for b in np.unique(bin_of)
    ]
    return float(sum(gaps))


def mask_iou(predicted: NDArray[np.bool_], ideal: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Intersection over union per image [n]; NaN where both are empty."""
    union = (predicted | ideal).sum(axis=(1, 2)).astype(np.float64)
    shared = (predicted & ideal).sum(axis=(1, 2))
    iou = np.full(union.shape, np.nan)
    np.divide(shared, union, out=iou, where=union > 0)
    return iou


def fit_temperature(logits: Floats, truth: NDArray[np.bool_], weights: Floats) -> float:
    """Temperature that makes sigmoid(logit / temperature) likeliest, searched from 0.2 to 5.

    Source: Guo et al. (2017), temperature scaling.
    """
    candidates = np.geomspace(0.2, 5.0, 161)
    sign = np.where(truth, -1.0, 1.0)
    losses = [float((weights * np.logaddexp(0, sign * logits / t)).sum()) for t in candidates]
    return float(candidates[int(np.argmin(losses))])


def binned_recall(
    scores: Floats, threshold: float, measure: Floats, edges: tuple[float, ...]
) -> list[dict[str, float]]:
    """Share of positives that fire, per half-open bin [low, high) of a measure; empty bins are left out."""
    rows: list[dict[str, float]] = []
    for low, high in itertools.pairwise(edges):
        inside = (measure >= low) & (measure < high)
        if inside.any():
            recall = float((scores[inside] >= threshold).mean())
            rows.append({"low": low, "high": high, "windows": int(inside.sum()), "recall": recall})
    return rows
