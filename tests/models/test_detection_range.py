"""Range: where curves fall through a half, and curves of a model that always or never hears."""

import numpy as np
import pytest

from seacanary_models.classifier import ClassifierConfig, MaskGuidedClassifier
from seacanary_models.detection_range import (
    RangePoint,
    RangeRecipe,
    detection_range,
    half_recall,
    recall_by_snr,
)
from seacanary_models.evaluation import Calibration
from seacanary_models.received_calls import EMISSIONS

pytestmark = pytest.mark.torch


def points(*recalls: float) -> list[RangePoint]:
    return [RangePoint(range_m=100 * 10**n, windows=10, recall=recall, snr_db=0.0) for n, recall in enumerate(recalls)]


def test_half_recall_lies_between_the_points_on_a_log_axis() -> None:
    assert half_recall(points(1.0, 0.0)) == (pytest.approx(100 * 10**0.5), "within")
    assert half_recall(points(0.4, 0.7, 0.3)) == (pytest.approx(1000 * 10**0.5), "within")
    assert half_recall(points(0.9, 0.6)) == (None, "beyond")
    assert half_recall(points(0.4, 0.1)) == (None, "never")


@pytest.mark.parametrize(("enter", "how"), [(0.0, "beyond"), (1.0, "never")])
def test_a_model_that_always_or_never_fires_has_a_flat_curve(enter: float, how: str) -> None:
    model = MaskGuidedClassifier(ClassifierConfig()).eval()
    calibration = Calibration(temperature=(1.0,) * 3, enter=(enter,) * 3, leave=(0.0,) * 3)
    told: list[str] = []
    recipe = RangeRecipe(windows=1, call_types=("porpoise_click",), noises=("medium",))
    (curve,) = detection_range(model, calibration, recipe, stage=told.append).curves
    assert (curve.half_recall_m, curve.half_recall) == (None, how)
    assert [point.range_m for point in curve.points] == list(EMISSIONS["porpoise_click"].ranges_m)
    snrs = [point.snr_db for point in curve.points]
    assert snrs == sorted(snrs, reverse=True)
    assert len(told) == 1


def test_recall_by_snr_looks_only_where_the_call_is() -> None:
    probability = np.array([[0.9, 0.0, 0.2], [0.1, 0.0, 0.9], [0.9, 0.0, 0.9]])
    truth = np.array([[True, False, True], [True, False, True], [False, False, False]])
    snr_db = np.array([[4.0, np.nan, 4.0], [6.0, np.nan, 12.0], [np.nan] * 3])
    rows = recall_by_snr(probability, truth, snr_db, thresholds=(0.5,) * 3, edges_db=(0.0, 5.0, 10.0, 15.0))
    assert [(row["low"], row["recall"]) for row in rows["whistle"]] == [(0, 1), (5, 0)]
    assert [(row["low"], row["recall"]) for row in rows["porpoise_click"]] == [(0, 0), (10, 1)]
    assert rows["beluga_click"] == []
