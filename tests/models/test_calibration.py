"""Calibration: the promised rates hold on new windows, over many calibration sets."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from seacanary_models.calibration import abstain_band, confident_threshold, conformal_threshold, highest_rate

pytestmark = pytest.mark.torch
# Scores on a coarse grid tie all the time.
COARSE = st.integers(0, 6).map(lambda step: step / 6)
SETS = 4000


def scores(seed: int, *shape: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(size=shape)


# --- conformal threshold -----------------------------------------------------


def test_with_nineteen_negatives_and_a_rate_of_one_in_twenty_it_lies_just_above_the_highest() -> None:
    negatives = scores(0, 19)
    assert conformal_threshold(negatives, alpha=0.05) == np.nextafter(negatives.max(), np.inf)
    with pytest.raises(ValueError, match=r"18 negatives are too few .* 0.05; at least 19"):
        conformal_threshold(negatives[:18], alpha=0.05)


def test_a_rate_is_taken_as_it_is_written() -> None:
    negatives = np.arange(99.0)
    # 0.29 * 100 is 28.999999999999996 in floats.
    assert conformal_threshold(negatives, alpha=0.29) == np.nextafter(70.0, np.inf)


@given(values=st.lists(COARSE, min_size=10, max_size=60), alpha=st.sampled_from([0.1, 0.2, 0.5]))
def test_left_out_in_turn_no_more_than_the_rate_of_exchangeable_scores_fires(values: list[float], alpha: float) -> None:
    """The guarantee itself, exactly: each of n + 1 scores is the new one in turn."""
    everything = np.array(values)
    fired = sum(
        everything[new] >= conformal_threshold(np.delete(everything, new), alpha=alpha) for new in range(len(values))
    )
    assert fired <= alpha * len(values) + 1e-9


@given(values=st.lists(COARSE, min_size=19, max_size=80))
def test_a_higher_rate_never_asks_for_a_higher_threshold(values: list[float]) -> None:
    negatives = np.array(values)
    thresholds = [conformal_threshold(negatives, alpha=alpha) for alpha in (0.05, 0.1, 0.3, 0.9)]
    assert thresholds == sorted(thresholds, reverse=True)


def test_the_mean_rate_over_calibration_sets_is_the_promised_one() -> None:
    rates = [1 - conformal_threshold(each, alpha=0.05) for each in scores(1, SETS, 59)]
    # Beta(3, 57) has mean 3 / 60; four standard errors of the mean.
    assert np.mean(rates) == pytest.approx(0.05, abs=4 * float(stats.beta(3, 57).std()) / math.sqrt(SETS))


def test_only_its_own_rate_is_bounded_with_confidence() -> None:
    sets = scores(2, SETS, 200)
    confident = np.array([1 - confident_threshold(each, alpha=0.05, delta=0.1) for each in sets])
    average = np.array([1 - conformal_threshold(each, alpha=0.05) for each in sets])
    slack = 4 * math.sqrt(0.1 * 0.9 / SETS)
    assert (confident > 0.05).mean() <= 0.1 + slack
    assert (average > 0.05).mean() > 0.3


def test_confidence_is_not_bought_dearer_than_needed() -> None:
    """One rank less strict would break the promise: the threshold is the smallest."""
    negatives, alpha, delta = np.arange(200.0), 0.05, 0.1
    rank = int((negatives >= confident_threshold(negatives, alpha=alpha, delta=delta)).sum()) + 1
    assert stats.beta(rank, 201 - rank).sf(alpha) <= delta < stats.beta(rank + 1, 200 - rank).sf(alpha)


def test_too_few_negatives_for_the_confidence_say_how_many_are_needed() -> None:
    # 59 is Wilks's number for 95 % at 95 %.
    with pytest.raises(ValueError, match=r"58 negatives .* with confidence 0.95; at least 59"):
        confident_threshold(scores(3, 58), alpha=0.05, delta=0.05)
    negatives = scores(3, 59)
    assert confident_threshold(negatives, alpha=0.05, delta=0.05) == np.nextafter(negatives.max(), np.inf)


@given(values=st.lists(COARSE, min_size=59, max_size=90), alpha=st.sampled_from([0.05, 0.1, 0.3]))
@settings(max_examples=50)
def test_confidence_never_lowers_the_threshold(values: list[float], alpha: float) -> None:
    negatives = np.array(values)
    assert confident_threshold(negatives, alpha=alpha, delta=0.05) >= conformal_threshold(negatives, alpha=alpha)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_rate_that_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=r"alpha must be inside \(0, 1\)"):
        conformal_threshold(scores(4, 50), alpha=share)
    with pytest.raises(ValueError, match=r"delta must be inside \(0, 1\)"):
        confident_threshold(scores(4, 50), alpha=0.1, delta=share)
    with pytest.raises(ValueError, match=r"error must be inside \(0, 1\)"):
        abstain_band(scores(4, 50), scores(5, 50) > 0.5, error=share)


def test_a_score_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        conformal_threshold(np.array([0.1, np.nan, 0.3]), alpha=0.5)


# --- an upper bound of a rate ------------------------------------------------


def test_no_alarm_in_299_windows_shows_a_rate_under_a_hundredth() -> None:
    assert highest_rate(0, 299, delta=0.05) == pytest.approx(1 - 0.05 ** (1 / 299))
    assert highest_rate(0, 299, delta=0.05) < 0.01 < highest_rate(0, 298, delta=0.05)
    assert highest_rate(7, 7, delta=0.05) == 1.0


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.4])
def test_the_bound_is_over_the_true_rate_as_often_as_it_says(rate: float) -> None:
    fired = np.arange(101)
    missed = [highest_rate(int(count), 100, delta=0.05) < rate for count in fired]
    assert float(stats.binom.pmf(fired, 100, rate)[missed].sum()) <= 0.05


@pytest.mark.parametrize(("fired", "windows"), [(-1, 5), (6, 5), (0, 0)])
def test_impossible_counts_are_refused(fired: int, windows: int) -> None:
    with pytest.raises(ValueError, match=rf"fired \({fired}\)"):
        highest_rate(fired, windows, delta=0.05)


# --- abstaining --------------------------------------------------------------


def overlapping(seed: int, count: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probabilities of two labels that overlap: half calls around 0.7, half quiet around 0.3."""
    rng = np.random.default_rng(seed)
    truth = np.arange(count) % 2 == 0
    return np.clip(rng.normal(np.where(truth, 0.7, 0.3), 0.2), 0, 1), truth


def test_the_band_is_where_neither_label_can_be_left_out() -> None:
    calls, quiet = np.linspace(0.4, 1.0, 19), np.linspace(0.0, 0.6, 19)
    probability, truth = np.concatenate((calls, quiet)), np.arange(38) < 19
    assert abstain_band(probability, truth, error=0.05) == (0.4, np.nextafter(0.6, 1))
    assert abstain_band(probability, truth, error=0.05, enter=0.5) == (0.4, 0.5)
    assert abstain_band(probability, truth, error=0.05, enter=0.4) is None


def test_labels_that_are_apart_leave_no_band() -> None:
    truth = np.arange(80) < 40
    assert abstain_band(np.where(truth, 0.9, 0.1), truth, error=0.05) is None


def test_the_share_of_each_label_on_the_wrong_side_is_bounded() -> None:
    probability, truth = overlapping(0, 200_000)
    lost, alarms = [], []
    for seed in range(300):
        band = abstain_band(*overlapping(seed + 1, 400), error=0.05)
        assert band is not None
        lost.append((probability[truth] < band[0]).mean())
        alarms.append((probability[~truth] >= band[1]).mean())
    assert np.mean(lost) <= 0.05 + 4 * np.std(lost) / math.sqrt(300)
    assert np.mean(alarms) <= 0.05 + 4 * np.std(alarms) / math.sqrt(300)
    assert min(np.mean(lost), np.mean(alarms)) > 0.04


@given(seed=st.integers(0, 1000))
@settings(max_examples=50)
def test_fewer_errors_allowed_never_make_the_band_narrower(seed: int) -> None:
    probability, truth = overlapping(seed, 200)
    bands = [abstain_band(probability, truth, error=error) or (0.5, 0.5) for error in (0.05, 0.1, 0.2)]
    widths = [high - low for low, high in bands]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(("calls", "quiet", "short"), [(9, 30, "9 calls"), (30, 9, "9 negatives")])
def test_too_few_of_either_label_are_named(calls: int, quiet: int, short: str) -> None:
    truth = np.arange(calls + quiet) < calls
    with pytest.raises(ValueError, match=rf"{short} are too few .* 0.05; at least 19"):
        abstain_band(scores(6, truth.size), truth, error=0.05)
