"""Signal detection theory: d' at a threshold, d_a without one, and the threshold both errors agree on."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import ndtri

from seacanary_models.metrics import roc_auc

RESAMPLES: Final = 500
_SEED: Final = 1

Scores = NDArray[np.floating]


class Discrimination(BaseModel):
    """How well a score tells signal trials from noise trials."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dprime: float = Field(description="z(hit rate) - z(false-alarm rate) at the threshold, rates log-linear corrected")
    dprime_low: float = Field(description="5th percentile of d' over resampled windows")
    dprime_high: float = Field(description="95th percentile of d' over resampled windows")
    d_a: float = Field(description="√2 z(area under the ROC curve): needs no threshold")
    threshold: float = Field(description="equal-error threshold of the trials it was chosen on")
    hit_rate: float = Field(ge=0, le=1)
    false_alarm_rate: float = Field(ge=0, le=1)


def dprime(
    hits: NDArray[np.floating], signals: NDArray[np.floating], false_alarms: Scores, noises: Scores
) -> NDArray[np.float64]:
    """d' from counts, arrays of any one shape.

    Source: log-linear correction, Hautus (1995), Corrections for extreme proportions and their biasing
    effects on estimated values of d'.
    """
    return np.asarray(ndtri((hits + 0.5) / (signals + 1)) - ndtri((false_alarms + 0.5) / (noises + 1)))


def d_a(scores: Scores, signal: NDArray[np.bool_]) -> float:
    """√2 z(AUC), the area kept half a trial pair off 1 so that a perfect score stays finite.

    Args:
        scores: [n], higher for signal.
        signal: bool [n].

    Source: Macmillan and Creelman (2005), Detection Theory, chapter 3.
    """
    pairs = float(signal.sum()) * float((~signal).sum())
    area = np.clip(roc_auc(scores, signal), 0.5 / pairs, 1 - 0.5 / pairs)
    return float(np.sqrt(2) * ndtri(area))


def equal_error_threshold(scores: Scores, signal: NDArray[np.bool_]) -> float:
    """The score at which misses and false alarms are equally frequent, as nearly as the trials allow.

    Args:
        scores: [n], higher for signal.
        signal: bool [n].

    Raises:
        ValueError: there are no trials of one kind.
    """
    if signal.all() or not signal.any():
        raise ValueError("an equal-error threshold needs trials with and without the signal")
    candidates = np.unique(scores)
    miss_rate = np.searchsorted(np.sort(scores[signal]), candidates, "left") / signal.sum()
    alarm_rate = 1 - np.searchsorted(np.sort(scores[~signal]), candidates, "left") / (~signal).sum()
    return float(candidates[int(np.argmin(np.abs(miss_rate - alarm_rate)))])


def discrimination(
    scores: Scores, signal: NDArray[np.bool_], *, threshold: float, window: NDArray[np.int64]
) -> Discrimination:
    """All figures of a score at a threshold chosen elsewhere.

    The interval resamples whole windows, since the clicks of one train stand or fall together.

    Args:
        scores: [n], higher for signal.
        signal: bool [n].
        threshold: a score of at least this says signal.
        window: int64 [n], number of the window each trial is from.
    """
    fired = scores >= threshold
    counts = np.stack([fired & signal, signal, fired & ~signal, ~signal]).astype(np.float64)
    per_window = np.stack([np.bincount(np.unique(window, return_inverse=True)[1], row) for row in counts])
    of_windows = per_window.shape[1]
    draws = np.random.default_rng(_SEED).multinomial(of_windows, np.full(of_windows, 1 / of_windows), RESAMPLES)
    low, high = np.quantile(dprime(*(draws @ row for row in per_window)), (0.05, 0.95))
    hits, signals, false_alarms, noises = counts.sum(axis=1)
    return Discrimination(
        dprime=float(dprime(hits, signals, false_alarms, noises)),
        dprime_low=float(low),
        dprime_high=float(high),
        d_a=d_a(scores, signal),
        threshold=threshold,
        hit_rate=hits / signals,
        false_alarm_rate=false_alarms / noises,
    )
