"""Figures of merit, against values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seacanary_models.metrics import (
    average_precision,
    binned_recall,
    expected_calibration_error,
    fit_temperature,
    mask_iou,
    precision_recall,
    roc_auc,
)

pytestmark = pytest.mark.torch
SCORES = np.array([0.9, 0.8, 0.7, 0.6])
TRUTH = np.array([True, False, True, False])


def test_average_precision_by_hand() -> None:
    assert average_precision(SCORES, TRUTH) == pytest.approx((1 + 2 / 3) / 2)
    assert np.isnan(average_precision(SCORES, np.zeros(4, bool)))


def test_auc_by_hand() -> None:
    assert roc_auc(SCORES, TRUTH) == pytest.approx(3 / 4)
    assert roc_auc(np.array([0.5, 0.5]), np.array([True, False])) == pytest.approx(0.5)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_auc_equals_counting_all_pairs(rows: list[tuple[int, bool]]) -> None:
    scores, truth = np.array([float(s) for s, _ in rows]), np.array([t for _, t in rows])
    pairs = [(p > n) + 0.5 * (p == n) for p in scores[truth] for n in scores[~truth]]
    if pairs:
        assert roc_auc(scores, truth) == pytest.approx(float(np.mean(pairs)))
    else:
        assert np.isnan(roc_auc(scores, truth))


def test_precision_and_recall_at_a_threshold() -> None:
    at = precision_recall(SCORES, TRUTH, 0.7)
    assert at == {"precision": pytest.approx(2 / 3), "recall": 1.0, "f1": pytest.approx(0.8)}
    assert np.isnan(precision_recall(SCORES, TRUTH, 0.95)["precision"])


def test_calibration_error_is_zero_when_probabilities_are_frequencies() -> None:
    scores = np.repeat([0.25, 0.75], 400)
    truth = np.tile([True, False, False, False], 200)
    truth[400:] = ~truth[400:]
    assert expected_calibration_error(scores, truth) == pytest.approx(0, abs=1e-9)
    assert expected_calibration_error(scores, ~truth) == pytest.approx(0.5)


def test_iou_by_hand() -> None:
    predicted, ideal = np.zeros((2, 4, 4), bool), np.zeros((2, 4, 4), bool)
    predicted[0, 0, :3] = True
    ideal[0, 0, 1:] = True
    iou = mask_iou(predicted, ideal)
    assert iou[0] == pytest.approx(2 / 4)
    assert np.isnan(iou[1])


def test_temperature_finds_the_scale_the_logits_were_blown_up_by() -> None:
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 2, 20_000)
    truth = rng.random(honest.size) < 1 / (1 + np.exp(-honest))
    assert fit_temperature(honest * 2.5, truth, np.ones(honest.size)) == pytest.approx(2.5, rel=0.06)


def test_recall_per_bin_counts_half_open_bins_and_leaves_out_empty_ones() -> None:
    measured = np.array([0.0, 4.9, 5.0, 20.0])
    rows = binned_recall(np.array([0.9, 0.1, 0.9, 0.9]), 0.5, measured, (0.0, 5.0, 10.0, 15.0, 25.0))
    assert [(row["low"], row["windows"], row["recall"]) for row in rows] == [(0, 2, 0.5), (5, 1, 1.0), (15, 1, 1.0)]
