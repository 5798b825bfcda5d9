"""Joint figures against windows counted by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seacanary_models.joint_metrics import (
    JointFigures,
    bootstrap_interval,
    choose_joint_thresholds,
    combination_name,
    combination_of,
    joint_figures,
)

pytestmark = pytest.mark.torch
HALF = np.full(3, 0.5)
ALL_EIGHT = (np.arange(8)[:, None] >> np.arange(3) & 1) > 0


def sure(calls: np.ndarray) -> np.ndarray:
    return np.where(calls, 0.9, 0.1)


def test_combinations_are_numbered_by_bits() -> None:
    assert combination_of(ALL_EIGHT).tolist() == list(range(8))
    assert [combination_name(c) for c in (0, 2, 5)] == ["none", "beluga_click", "whistle+porpoise_click"]


def test_a_model_that_is_right_scores_one_everywhere() -> None:
    figures = joint_figures(sure(ALL_EIGHT), ALL_EIGHT, HALF)
    assert figures.joint_accuracy == figures.macro_f1_combinations == figures.macro_f1_call_types == 1
    assert figures.hamming_loss == 0
    assert np.array_equal(figures.confusion, np.eye(8))
    assert figures.call_types["whistle"].average_precision == 1
    assert figures.joint_accuracy_interval == (1, 1)


def test_one_wrong_call_type_spoils_the_window_once_and_the_single_answers_by_a_third() -> None:
    said = ALL_EIGHT.copy()
    said[3, 2] = True  # whistle+beluga_click is taken for all three
    figures = joint_figures(sure(said), ALL_EIGHT, HALF)
    assert figures.joint_accuracy == 7 / 8
    assert figures.hamming_loss == pytest.approx(1 / 24)
    assert figures.confusion[3][7] == 1
    assert figures.combinations["whistle+beluga_click"].recall == 0
    assert figures.combinations["whistle+beluga_click"].precision is None
    assert figures.call_types["porpoise_click"].precision == pytest.approx(4 / 5)
    all_three = figures.combinations["whistle+beluga_click+porpoise_click"]
    assert (all_three.precision, all_three.recall) == (0.5, 1.0)
    assert figures.macro_f1_combinations == pytest.approx((6 + 0 + 2 / 3) / 8)


def test_what_never_occurs_is_left_out_and_survives_json() -> None:
    figures = joint_figures(np.full((4, 3), 0.1), np.zeros((4, 3), bool), HALF)
    assert figures.joint_accuracy == 1
    assert figures.call_types["whistle"].f1 is None
    assert figures.macro_f1_combinations == 1
    assert figures.macro_f1_call_types == 0
    assert JointFigures.model_validate_json(figures.model_dump_json()) == figures


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=40))
def test_no_threshold_makes_fewer_errors_than_the_chosen_one(rows: list[tuple[int, bool]]) -> None:
    probability = np.array([[score / 9] * 3 for score, _ in rows])
    truth = np.array([[there] * 3 for _, there in rows])
    chosen = choose_joint_thresholds(probability, truth)[0]
    wrong = [int(((probability[:, 0] >= t) != truth[:, 0]).sum()) for t in (*np.linspace(0, 1.01, 200), chosen)]
    assert wrong[-1] == min(wrong[:-1])


def test_the_middle_of_a_wide_gap_is_kept_away_from_both_sides() -> None:
    probability = np.array([[0.1, 0.6, 0.2], [0.9, 0.8, 0.4]])
    assert choose_joint_thresholds(probability, np.array([[False] * 3, [True] * 3])) == pytest.approx([0.5, 0.65, 0.35])


def test_the_interval_holds_about_95_percent_of_the_binomial() -> None:
    low, high = bootstrap_interval(np.arange(400) < 300)
    assert low == pytest.approx(0.75 - 1.96 * np.sqrt(0.75 * 0.25 / 400), abs=0.006)
    assert high == pytest.approx(0.75 + 1.96 * np.sqrt(0.75 * 0.25 / 400), abs=0.006)


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="of one shape"):
        joint_figures(np.zeros((2, 3)), np.zeros((3, 3), bool), HALF)
    with pytest.raises(ValueError, match="of one shape"):
        choose_joint_thresholds(np.zeros((0, 3)), np.zeros((0, 3), bool))
