"""Detection theory on scores whose answers are known."""

import numpy as np
import pytest
from scipy.stats import norm

from seacanary_models.dprime import d_a, discrimination, dprime, equal_error_threshold

pytestmark = pytest.mark.torch


def two_normals(distance: float, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    at = norm.ppf((np.arange(count) + 0.5) / count)
    return np.concatenate([at + distance, at]), np.repeat([True, False], count)


@pytest.mark.parametrize("distance", [0.0, 1.0, 2.0, 3.4])
def test_two_unit_normals_are_their_distance_apart(distance: float) -> None:
    scores, signal = two_normals(distance)
    threshold = equal_error_threshold(scores, signal)
    figures = discrimination(scores, signal, threshold=threshold, window=np.arange(scores.size))
    assert threshold == pytest.approx(distance / 2, abs=0.01)
    assert figures.dprime == pytest.approx(distance, abs=0.03)
    assert figures.d_a == pytest.approx(distance, abs=0.03)


def test_the_correction_is_that_of_hautus() -> None:
    """10 of 10 hits and 0 of 10 false alarms count as 10.5 of 11 and 0.5 of 11."""
    value = dprime(np.array(10.0), np.array(10.0), np.array(0.0), np.array(10.0))
    assert float(value) == pytest.approx(norm.ppf(10.5 / 11) - norm.ppf(0.5 / 11))


def test_a_perfect_score_stays_finite() -> None:
    scores, signal = np.array([3.0, 2.0, 1.0, 0.0]), np.array([True, True, False, False])
    assert equal_error_threshold(scores, signal) == 2.0
    assert np.isfinite(d_a(scores, signal))


def test_misses_and_false_alarms_are_as_frequent_at_the_threshold() -> None:
    rng = np.random.default_rng(1)
    signal = rng.random(5000) < 0.2
    scores = rng.gamma(2.0, size=5000) + signal
    fired = scores >= equal_error_threshold(scores, signal)
    assert (~fired[signal]).mean() == pytest.approx(fired[~signal].mean(), abs=0.002)


def test_one_kind_of_trial_has_no_threshold() -> None:
    with pytest.raises(ValueError, match="with and without"):
        equal_error_threshold(np.ones(3), np.ones(3, np.bool_))


def test_trials_that_stand_or_fall_together_widen_the_interval() -> None:
    scores, signal = two_normals(1.0, 200)
    shuffled = np.random.default_rng(2).permutation(scores.size)
    scores, signal = scores[shuffled], signal[shuffled]
    alone = discrimination(scores, signal, threshold=0.5, window=np.arange(400))
    sorted_by_score = np.argsort(scores)
    clustered = discrimination(
        scores[sorted_by_score], signal[sorted_by_score], threshold=0.5, window=np.arange(400) // 40
    )
    assert clustered.dprime == alone.dprime
    assert clustered.dprime_high - clustered.dprime_low > alone.dprime_high - alone.dprime_low
    assert alone.dprime_low < alone.dprime < alone.dprime_high
