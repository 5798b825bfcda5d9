"""Thresholds with a guarantee: false alarms bounded from finite samples, and where to abstain.

All of it rests on exchangeability: the calibration scores must be like those to come,
one as independent of the next. Windows that overlap, or many of one recording, are not:
give one per scene or recording, or read the bound as too hopeful.
"""

import math
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.floating]
Truth = NDArray[np.bool_]

_NEVER: Final = "{count} {what} are too few to bound an error of {error}{how}; at least {least} are needed"


def conformal_threshold(negatives: Floats, *, alpha: float) -> float:
    """The smallest threshold that a new negative reaches with probability of at most alpha.

    The probability is over calibration and new window together; what fires is
    `score >= threshold`. Scores may be probabilities or logits, ties included.

    Args:
        negatives: [n], scores of windows without the call.
        alpha: false-alarm rate, inside (0, 1).

    Returns:
        a threshold just above one of the negatives; over 1 if that many probabilities are 1.

    Raises:
        ValueError: alpha is not inside (0, 1), a score is NaN, or n < 1 / alpha - 1.

    Source: split conformal prediction with its (n + 1) correction, Vovk, Gammerman and Shafer (2005),
    Algorithmic Learning in a Random World; Angelopoulos and Bates (2023), Conformal Prediction: A
    Gentle Introduction, appendix D.
    """
    _check(negatives, alpha=alpha)
    # Of n + 1 exchangeable scores, the new one is strictly among the k highest with probability k / (n + 1).
    _require(negatives.size, "negatives", alpha)
    return _above_highest(negatives, _allowed(negatives.size, alpha))


def confident_threshold(negatives: Floats, *, alpha: float, delta: float) -> float:
    """The smallest threshold whose own false-alarm rate is at most alpha, with confidence 1 - delta.

    Stricter than `conformal_threshold`, whose rate is bounded on average over calibration sets:
    here no more than delta of them give a threshold with a higher rate.

    Args:
        negatives: [n], scores of windows without the call.
        alpha: false-alarm rate, inside (0, 1).
        delta: chance of an unlucky calibration set, inside (0, 1).

    Raises:
        ValueError: alpha or delta is not inside (0, 1), a score is NaN, or n < log(delta) / log(1 - alpha).

    Source: Wilks (1941), Determination of Sample Sizes for Setting Tolerance Limits; as conformal
    prediction, Vovk (2012), Conditional Validity of Inductive Conformal Predictors, proposition 2.
    """
    _check(negatives, alpha=alpha, delta=delta)
    # Above the k-th highest of n, the rate is at most Beta(k, n + 1 - k); P(rate > alpha) = P(Bin(n, alpha) < k).
    ranks = np.arange(1, _allowed(negatives.size, alpha) + 1)
    safe = ranks[stats.binom.cdf(ranks - 1, negatives.size, alpha) <= delta]
    if not safe.size:
        least, how = math.ceil(math.log(delta) / math.log1p(-alpha)), f" with confidence {1 - delta:g}"
        raise ValueError(_NEVER.format(count=negatives.size, what="negatives", error=alpha, how=how, least=least))
    return _above_highest(negatives, int(safe[-1]))


def highest_rate(fired: int, windows: int, *, delta: float) -> float:
    """Upper bound of a rate, with confidence 1 - delta, after `fired` of `windows` did.

    Raises:
        ValueError: not 0 <= fired <= windows with windows > 0, or delta is not inside (0, 1).

    Source: Clopper and Pearson (1934), one-sided.
    """
    if not 0 <= fired <= windows or windows == 0:
        raise ValueError(f"fired ({fired}) must be within 0 and windows ({windows}), which must be positive")
    _check(np.zeros(0), delta=delta)
    return 1.0 if fired == windows else float(stats.beta.ppf(1 - delta, fired + 1, windows - fired))


def abstain_band(probability: Floats, truth: Truth, *, error: float, enter: float = 1.0) -> tuple[float, float] | None:
    """Probabilities at which the model cannot tell: its conformal prediction set holds both labels.

    A label is in the set unless no more than the share `error` of windows truly so lie as far out.
    Below the band no more than that share of calls is lost, above it no more of the windows without.

    Args:
        probability: [n], calibrated.
        truth: bool [n], whether the call is there.
        error: share of either label left out, inside (0, 1).
        enter: from here on the service reports the call; the band ends there at the latest.

    Returns:
        (abstain_low, abstain_high), half-open; None where the labels are apart.

    Raises:
        ValueError: error is not inside (0, 1), a probability is NaN, or a label has fewer than 1 / error - 1.

    Source: label-conditional (Mondrian) conformal classification, Vovk, Gammerman and Shafer (2005).
    """
    _check(probability, error=error)
    calls, quiet = probability[truth], probability[~truth]
    _require(calls.size, "calls", error)
    _require(quiet.size, "negatives", error)
    low = float(np.sort(calls)[_allowed(calls.size, error) - 1])
    high = min(_above_highest(quiet, _allowed(quiet.size, error)), enter)
    return (low, high) if low < high else None


def _require(count: int, what: str, error: float) -> None:
    if _allowed(count, error) == 0:
        least = math.ceil(1 / _exact(error)) - 1
        raise ValueError(_NEVER.format(count=count, what=what, error=error, how="", least=least))


def _check(scores: Floats, **shares: float) -> None:
    for name, share in shares.items():
        if not 0 < share < 1:
            raise ValueError(f"{name} must be inside (0, 1), got {share}")
    if np.isnan(scores).any():
        raise ValueError("scores hold NaN, which is neither over nor under a threshold")


def _exact(share: float) -> Fraction:
    """The share as it is written: 0.29 is 29 hundredths, which no float is."""
    return Fraction(str(float(share)))


def _allowed(count: int, error: float) -> int:
    """How many of `count` + 1 exchangeable scores may err."""
    return math.floor(_exact(error) * (count + 1))


def _above_highest(scores: Floats, rank: int) -> float:
    """The next number above the rank-th highest score."""
    highest = np.partition(scores.astype(np.float64), scores.size - rank)[scores.size - rank]
    return float(np.nextafter(highest, np.inf))
