"""The regression against known log odds."""

import numpy as np
import pytest

from seacanary_models.logistic_clicks import fit_logistic

pytestmark = pytest.mark.torch


def test_equal_normals_give_the_log_odds_of_theory() -> None:
    """For unit normals d apart the log likelihood ratio is d (x - d / 2), whatever the share of each kind."""
    rng = np.random.default_rng(1)
    truth = np.arange(40_000) < 8_000
    features = rng.standard_normal((truth.size, 2)) + 1.5 * truth[:, None] * np.array([1.0, 0.0])
    regression = fit_logistic(features, truth)
    at = np.array([[0.0, 0.0], [0.75, 0.0], [1.5, 0.0], [0.75, 2.0]])
    np.testing.assert_allclose(regression.log_odds(at), [-1.125, 0, 1.125, 0], atol=0.1)


def test_units_of_the_features_do_not_matter() -> None:
    rng = np.random.default_rng(2)
    truth = rng.random(500) < 0.5
    features = rng.standard_normal((500, 3)) + truth[:, None]
    scaled = features * np.array([1e-3, 1.0, 1e4]) + 7
    np.testing.assert_allclose(
        fit_logistic(scaled, truth).log_odds(scaled), fit_logistic(features, truth).log_odds(features), atol=1e-3
    )


def test_separable_trials_and_constant_features_have_a_fit() -> None:
    truth = np.arange(20) < 10
    features = np.column_stack([truth * 2.0 - 1, np.full(20, 3.0)])
    log_odds = fit_logistic(features, truth).log_odds(features)
    assert log_odds[truth].min() > 2
    assert log_odds[~truth].max() < -2


def test_trials_of_one_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="both kinds, got 4 of one"):
        fit_logistic(np.ones((4, 1)), np.ones(4, np.bool_))
