"""Reliability: how often what is said with a probability is so; as bins, as one error, as a figure."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import stats

Floats = NDArray[np.floating]
CONFIDENCE = 0.95


class ReliabilityBin(BaseModel):
    """Windows of like probability, and how often they held the call."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float = Field(description="probabilities [low, high); the last bin holds its high too")
    high: float
    windows: int = Field(gt=0)
    probability: float = Field(ge=0, le=1, description="mean of what the model said")
    frequency: float = Field(ge=0, le=1, description="share that held the call")
    frequency_interval: tuple[float, float] = Field(description="Wilson interval of the frequency, 95 %")


def equal_width(bins: int = 15) -> NDArray[np.float64]:
    """Edges [bins + 1] of bins of one width over 0 to 1."""
    return np.linspace(0.0, 1.0, bins + 1)


def equal_count(probability: Floats, bins: int = 15) -> NDArray[np.float64]:
    """Edges of bins of about as many windows each; fewer bins where many probabilities are equal.

    Source: adaptive calibration error, Nixon et al. (2019), Measuring Calibration in Deep Learning.
    """
    inner = np.quantile(probability, np.linspace(0, 1, bins + 1)[1:-1], method="higher")
    return np.unique(np.concatenate(([0.0], inner, [1.0])))


def reliability_curve(probability: Floats, truth: NDArray[np.bool_], edges: Floats) -> list[ReliabilityBin]:
    """What was said against what was so, bin by bin; empty bins are left out.

    Args:
        probability: [n], 0 to 1.
        truth: bool [n], whether the call was there.
        edges: rising, from 0 to 1: of `equal_width` or `equal_count`.

    Source: reliability diagram, Murphy and Winkler (1977); interval of Wilson (1927).
    """
    bin_of = np.searchsorted(edges[1:-1], probability, side="right")
    curve: list[ReliabilityBin] = []
    for number, (low, high) in enumerate(itertools.pairwise(edges)):
        inside = bin_of == number
        if inside.any():
            held = stats.binomtest(int(truth[inside].sum()), int(inside.sum()))
            interval = held.proportion_ci(CONFIDENCE, method="wilson")
            curve.append(
                ReliabilityBin(
                    low=float(low),
                    high=float(high),
                    windows=int(inside.sum()),
                    probability=float(np.clip(probability[inside].mean(dtype=np.float64), 0, 1)),
                    frequency=float(truth[inside].mean()),
                    frequency_interval=(float(interval.low), float(interval.high)),
                )
            )
    return curve


def calibration_error(curve: Sequence[ReliabilityBin]) -> float:
    """Mean gap between said and true frequency, by windows: ECE, or its adaptive form by the curve's edges.

    Source: Guo et al. (2017), On Calibration of Modern Neural Networks; Nixon et al. (2019).
    """
    windows = sum(each.windows for each in curve)
    return sum(each.windows * abs(each.probability - each.frequency) for each in curve) / max(windows, 1)


def worst_gap(curve: Sequence[ReliabilityBin]) -> float:
    """Largest gap of any bin: the maximum calibration error; 0 without a bin."""
    return max((abs(each.probability - each.frequency) for each in curve), default=0.0)


def draw_reliability(curves: Mapping[str, Sequence[ReliabilityBin]], path: Path) -> None:
    """Write a PNG: a reliability diagram by call type, and below it how many windows each bin holds.

    Raises:
        ValueError: there is no curve to draw.
    """
    if not curves:
        raise ValueError("no reliability curve to draw")
    figure = Figure(figsize=(3.6 * len(curves), 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(curves), sharex=True, squeeze=False, height_ratios=(3, 1))
    for column, (call_type, curve) in enumerate(curves.items()):
        diagram, counts = axes[0, column], axes[1, column]
        said, so = [b.probability for b in curve], [b.frequency for b in curve]
        low, high = ([abs(b.frequency_interval[side] - b.frequency) for b in curve] for side in (0, 1))
        diagram.plot((0, 1), (0, 1), color="0.7", linestyle="--", linewidth=1)
        diagram.errorbar(said, so, yerr=(low, high), marker="o", markersize=4, capsize=2, linewidth=1.2)
        diagram.set(title=f"{call_type}\ncalibration error {calibration_error(curve):.3f}", xlim=(0, 1), ylim=(0, 1))
        counts.bar(
            [b.low for b in curve], [b.windows for b in curve], [b.high - b.low for b in curve],
            align="edge", edgecolor="white",
        )  # fmt: skip
        counts.set(yscale="log", xlabel="probability said")
    axes[0, 0].set_ylabel("share that held the call")
    axes[1, 0].set_ylabel("windows")
    figure.savefig(path, dpi=120, metadata={"Software": None})
