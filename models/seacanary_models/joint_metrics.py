"""Figures for the joint answer: a window is right when all its call types are.

The three call types make eight combinations; combination c holds call type k if bit k of c is set.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from sklearn import metrics as sk  # type: ignore[import-untyped]  # ships no types

from seacanary_models.scenes import CALL_TYPES

COMBINATIONS: Final = 2 ** len(CALL_TYPES)
RESAMPLES: Final = 2000
CONFIDENCE: Final = 0.95
_SEED: Final = 11

Probabilities = NDArray[np.floating]
Truth = NDArray[np.bool_]


class ClassFigures(BaseModel):
    """One class among the windows: a call type, or a combination of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    windows: int = Field(description="that hold it: the class frequency")
    precision: float | None = Field(description="None: never said")
    recall: float | None = Field(description="None: never there; of a combination: its perfect accuracy")
    f1: float | None = Field(description="None: neither said nor there")


class CallTypeFigures(ClassFigures):
    """One call type, whatever else sounds."""

    average_precision: float | None = Field(description="needs no threshold; None: never there")
    threshold: float


class JointFigures(BaseModel):
    """How often the whole answer is right, and where it is wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    windows: int
    joint_accuracy: float = Field(description="share of windows with every call type right")
    joint_accuracy_interval: tuple[float, float] = Field(description="95 % bootstrap interval over windows")
    macro_f1_combinations: float = Field(description="mean F1 of the combinations that are said or there")
    macro_f1_call_types: float = Field(description="mean F1 of the call types said or there; 0: no call at all")
    hamming_loss: float = Field(description="share of wrong single answers")
    call_types: dict[str, CallTypeFigures]
    combinations: dict[str, ClassFigures]
    confusion: tuple[tuple[int, ...], ...] = Field(description="[true combination][said combination], windows")


def combination_name(combination: int) -> str:
    """'none', or the call types joined by a plus sign."""
    return "+".join(name for k, name in enumerate(CALL_TYPES) if combination >> k & 1) or "none"


def combination_of(calls: Truth) -> NDArray[np.int64]:
    """Number of the combination [n] of bool [n, K]."""
    return np.asarray(calls.astype(np.int64) @ (1 << np.arange(len(CALL_TYPES))), np.int64)


def choose_joint_thresholds(probability: Probabilities, truth: Truth) -> NDArray[np.float64]:
    """Thresholds for joint accuracy: per call type the one with the fewest errors.

    They are no presence thresholds (`Calibration.enter`), which hold false alarms down instead. Choose them
    on windows apart from those they are judged on.

    Args:
        probability: [n, K], of calibration windows.
        truth: bool [n, K].

    Returns:
        float64 [K]; of equally good thresholds the one nearest to 0.5.

    Raises:
        ValueError: there are no windows, or the shapes differ.
    """
    _check(probability, truth)
    return np.array([_fewest_errors(probability[:, k], truth[:, k]) for k in range(truth.shape[1])])


def _fewest_errors(probability: Probabilities, truth: Truth) -> float:
    order = np.argsort(probability, kind="stable")
    rising, calls = probability[order].astype(np.float64), truth[order]
    # with a cut before place i: calls before it are missed, the others after it are false alarms
    errors = np.concatenate(([0], np.cumsum(calls))) + np.concatenate((np.cumsum(~calls[::-1])[::-1], [0]))
    bounds = np.concatenate(([min(0.0, rising[0])], rising, [max(1.0, rising[-1] + 1e-3)]))
    possible = np.concatenate(([True], rising[1:] > rising[:-1], [True]))  # equal scores cannot be cut apart
    cuts = np.flatnonzero(possible & (errors == errors[possible].min()))
    low, high = bounds[cuts], bounds[cuts + 1]
    inside = np.clip(0.5, low + (high - low) / 4, high - (high - low) / 4)
    return float(inside[np.argmin(np.abs(inside - 0.5))])


def joint_figures(probability: Probabilities, truth: Truth, thresholds: Probabilities) -> JointFigures:
    """Judge probabilities against the truth, all call types together.

    Args:
        probability: [n, K], calibrated or not.
        truth: bool [n, K].
        thresholds: [K]; a probability of at least this says the call type is there.

    Raises:
        ValueError: there are no windows, or the shapes differ.
    """
    _check(probability, truth)
    said = probability >= thresholds
    right = (said == truth).all(axis=1)
    true_number, said_number = combination_of(truth), combination_of(said)
    combinations = {
        combination_name(c): _class_figures(said_number == c, true_number == c) for c in range(COMBINATIONS)
    }
    call_types = {
        name: CallTypeFigures(
            **_class_figures(said[:, k], truth[:, k]).model_dump(),
            average_precision=_average_precision(probability[:, k], truth[:, k]),
            threshold=float(thresholds[k]),
        )
        for k, name in enumerate(CALL_TYPES)
    }
    confusion = sk.confusion_matrix(true_number, said_number, labels=range(COMBINATIONS))
    return JointFigures(
        windows=len(truth),
        joint_accuracy=float(right.mean()),
        joint_accuracy_interval=bootstrap_interval(right),
        macro_f1_combinations=_mean_f1(combinations.values()),
        macro_f1_call_types=_mean_f1(call_types.values()),
        hamming_loss=float(sk.hamming_loss(truth, said)),
        call_types=call_types,
        combinations=combinations,
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
    )


def bootstrap_interval(right: Truth) -> tuple[float, float]:
    """95 % percentile interval of a share over resampled windows.

    Windows that are right or wrong make every resample's count binomial, so it is drawn at once.

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.
    """
    counts = np.random.default_rng(_SEED).binomial(right.size, right.mean(), RESAMPLES)
    low, high = np.quantile(counts / right.size, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    return float(low), float(high)


def _class_figures(said: Truth, truth: Truth) -> ClassFigures:
    precision, recall, f1, _ = sk.precision_recall_fscore_support(truth, said, average="binary", zero_division=np.nan)
    return ClassFigures(
        windows=int(truth.sum()), precision=_or_none(precision), recall=_or_none(recall), f1=_or_none(f1)
    )


def _average_precision(probability: Probabilities, truth: Truth) -> float | None:
    return float(sk.average_precision_score(truth, probability)) if truth.any() else None


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _mean_f1(figures: Iterable[ClassFigures]) -> float:
    known = [each.f1 for each in figures if each.f1 is not None]
    return float(np.mean(known)) if known else 0.0


def _check(probability: Probabilities, truth: Truth) -> None:
    if probability.shape != truth.shape or truth.ndim != 2 or not len(truth):
        raise ValueError(
            f"expected probabilities and truth [n, K] of one shape, got {probability.shape}, {truth.shape}"
        )
