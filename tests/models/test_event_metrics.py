"""Event criteria by hand, and against the answers of sed_eval and psds_eval on drawn events."""

import json
from pathlib import Path

import numpy as np
import pytest

from seacanary_models.event_metrics import (
    EventRule,
    collar_counts,
    event_figures,
    intersection_counts,
    joined,
    macro_f1,
)

pytestmark = pytest.mark.torch
RULE = EventRule()
GOLDEN = json.loads((Path(__file__).parent / "golden" / "events.json").read_text())["cases"]


def events(*pairs: tuple[float, float]) -> np.ndarray:
    return np.array(pairs, np.float64).reshape(-1, 2)


@pytest.mark.parametrize("case", GOLDEN)
def test_both_criteria_give_the_libraries_answers(case: dict) -> None:
    truth, heard = events(*case["truth"]), events(*case["heard"])
    assert collar_counts(truth, heard, RULE).true_positives == case["collar_true_positives"]
    counts = intersection_counts(truth, heard, RULE)
    # psds_eval has no figure where nothing is found; an F1 of zero says the same here
    assert counts.f1 == pytest.approx(case["intersection_f1"] or 0.0)


def test_a_late_offset_is_forgiven_by_the_length_of_the_call() -> None:
    long, short = events((0, 10)), events((0, 1))
    assert collar_counts(long, events((0.1, 11.9)), RULE).true_positives == 1
    assert collar_counts(short, events((0.1, 1.3)), RULE).true_positives == 0
    assert collar_counts(short, events((0.3, 1.0)), RULE).true_positives == 0


def test_one_heard_event_stands_for_one_true_event_under_the_collar() -> None:
    counts = collar_counts(events((0, 1), (0.05, 1.05)), events((0, 1)), RULE)
    assert (counts.true_positives, counts.false_negatives, counts.false_positives) == (1, 1, 0)


def test_pieces_of_a_call_cover_it_under_the_intersection() -> None:
    counts = intersection_counts(events((0, 2)), events((0, 0.6), (0.7, 1.2), (5, 6)), RULE)
    assert (counts.true_positives, counts.false_positives, counts.false_negatives) == (1, 1, 0)


def test_recordings_add_up_and_silence_has_no_f1() -> None:
    none = events()
    figures = event_figures([events((0, 1)), none], [events((0, 1)), events((3, 4))], RULE)
    assert (figures.true_events, figures.heard_events) == (1, 2)
    assert figures.collar.precision == 0.5
    assert figures.collar.recall == 1
    assert figures.collar.f1 == pytest.approx(2 / 3)
    silent = event_figures([none], [none], RULE)
    assert silent.intersection.f1 is None
    assert macro_f1({"a": figures, "b": silent})["collar"] == pytest.approx(2 / 3)
    assert macro_f1({"b": silent})["collar"] is None


def test_events_near_each_other_are_joined() -> None:
    assert joined(events((2, 3), (0, 1), (1.05, 1.5)), gap_s=0.1).tolist() == [[0, 1.5], [2, 3]]
    assert joined(events((0, 5), (1, 2)), gap_s=0.0).tolist() == [[0, 5]]
    assert joined(events(), gap_s=1.0).shape == (0, 2)
