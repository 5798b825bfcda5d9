"""Logistic regression over a few measures of a click, in the manner of PorCC.

Source: Cosentino et al. (2019), Porpoise click classifier (PorCC). PorCC has one regression for high-quality
and one for low-quality clicks, with coefficients of its own recordings; here one regression is fitted to
the trials at hand.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from scipy.special import expit

SHRINKAGE: Final = 1e-3  # weight of the squared coefficients beside the mean loss, so that separable trials have a fit

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LogisticRegression:
    """A fitted regression.

    Attributes:
        centre: float64 [features], mean of each feature over the fitted trials.
        scale: float64 [features], their standard deviation.
        coefficients: float64 [features], of the standardised features.
        intercept: log odds at the mean.
    """

    centre: Floats
    scale: Floats
    coefficients: Floats
    intercept: float

    def log_odds(self, features: Floats) -> Floats:
        """Score of each row of features [n, features]: float64 [n], higher for a porpoise."""
        return np.asarray((features - self.centre) / self.scale @ self.coefficients + self.intercept)


def fit_logistic(features: Floats, truth: NDArray[np.bool_]) -> LogisticRegression:
    """Fit by maximum likelihood, both kinds of trial weighing the same in total.

    Args:
        features: float64 [n, features].
        truth: bool [n].

    Raises:
        ValueError: all trials are of one kind.
    """
    if truth.all() or not truth.any():
        raise ValueError(f"a regression needs trials of both kinds, got {truth.size} of one")
    centre, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    inputs = np.column_stack([(features - centre) / scale, np.ones(len(features))])
    weights = np.where(truth, 0.5 / truth.sum(), 0.5 / (~truth).sum())
    fitted = optimize.minimize(
        _loss, np.zeros(inputs.shape[1]), args=(inputs, truth.astype(np.float64), weights), jac=True, method="L-BFGS-B"
    )
    return LogisticRegression(centre, scale, fitted.x[:-1], float(fitted.x[-1]))


def _loss(parameters: Floats, inputs: Floats, truth: Floats, weights: Floats) -> tuple[float, Floats]:
    """Weighted cross-entropy with shrinkage of all but the intercept, and its gradient."""
    log_odds, shrunk = inputs @ parameters, np.append(parameters[:-1], 0.0)
    loss = weights @ (np.logaddexp(0, log_odds) - truth * log_odds) + SHRINKAGE * shrunk @ shrunk
    return float(loss), inputs.T @ (weights * (expit(log_odds) - truth)) + 2 * SHRINKAGE * shrunk
