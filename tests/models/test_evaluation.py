"""Calibration and figures on scores whose answers are known."""

import math
from dataclasses import replace

import numpy as np
import pytest

from seacanary_models.card import model_card
from seacanary_models.datasets import WindowSet
from seacanary_models.evaluation import (
    Calibration,
    RealNoise,
    Scores,
    calibrate,
    evaluate_noise,
    evaluate_trains,
    evaluate_windows,
    summarise_noise,
)
from seacanary_models.reporting import read_json, write_json
from seacanary_models.scenes import KINDS

pytestmark = pytest.mark.torch
HALF = Calibration(temperature=(1.0, 1.0, 1.0), enter=(0.5, 0.5, 0.5), leave=(0.3, 0.3, 0.3))


def windows(count: int) -> WindowSet:
    """Every other window holds a porpoise train of quality 3 at 12 dB, marked by one row."""
    targets = np.zeros((count, 3), np.float32)
    targets[::2, 2] = 1
    marks = np.zeros((count, 256, 256), np.uint8)
    marks[::2, 230] = 4
    snr_db = np.full((count, 3), np.nan, np.float32)
    snr_db[::2, 2] = 12
    kind = np.where(targets[:, 2] > 0, KINDS.index("logged_train"), KINDS.index("real_negative"))
    return WindowSet(
        image=np.zeros((count, 256, 256), np.uint8),
        marks=marks,
        targets=targets,
        weights=np.ones((count, 3), np.float32),
        snr_db=snr_db,
        kind=kind,
        rate_hz=np.full(count, 384_000),
        quality=np.where(targets[:, 2] > 0, 3, -1),
    )


def scores(labelled: WindowSet, *, heard: float = 4.0, quiet: float = -4.0) -> Scores:
    """A model that is right, and sees half of every marked row."""
    masks = (labelled.marks > 0).astype(np.uint8)
    masks[:, :, 128:] = 0
    return Scores(np.where(labelled.targets > 0, heard, quiet).astype(np.float32), masks)


def test_a_model_that_is_right_scores_one() -> None:
    labelled = windows(8)
    figures = evaluate_windows(labelled, scores(labelled), HALF)
    porpoise = figures["call_types"]["porpoise_click"]
    assert (porpoise["positives"], porpoise["negatives"]) == (4, 4)
    assert porpoise["average_precision"] == 1
    assert porpoise["at_enter"]["recall"] == 1
    assert porpoise["recall_by_snr_db"]["logged_train"] == [{"low": 10, "high": 15, "windows": 4, "recall": 1}]
    assert porpoise["false_positive_share_by_kind"] == {"real_negative": 0}
    assert figures["mask_iou_mean_where_calls"] == pytest.approx(0.5)
    assert figures["mask_pixels_per_quiet_window"] == 0


def test_windows_of_no_weight_do_not_count() -> None:
    labelled = windows(8)
    weights = labelled.weights.copy()
    weights[:4, 2] = 0
    figures = evaluate_windows(replace(labelled, weights=weights), scores(labelled), HALF)
    porpoise = figures["call_types"]["porpoise_click"]
    assert (porpoise["positives"], porpoise["negatives"]) == (2, 2)


def test_trains_are_counted_by_quality() -> None:
    labelled = windows(8)
    assert evaluate_trains(labelled, scores(labelled), HALF) == [{"quality": 3, "windows": 4, "recall": 1}]
    assert evaluate_trains(labelled, scores(labelled, heard=-1), HALF)[0]["recall"] == 0


SILENT = np.full((500, 3), -9, np.float32)


def test_thresholds_stay_above_the_loudest_real_noise() -> None:
    labelled = windows(200)
    rng = np.random.default_rng(0)
    logits = scores(labelled, heard=3, quiet=-3).logits + rng.normal(0, 2, (200, 3)).astype(np.float32)
    said = Scores(logits, scores(labelled).masks)
    calm = calibrate(labelled, said, np.full((5, 3), -6, np.float32), SILENT)
    rough = calibrate(labelled, said, np.array([[-6, -6, 1.5]], np.float32), SILENT)
    noise_probability = 1 / (1 + np.exp(-1.5 / rough.temperature[2]))
    assert calm.enter[2] < noise_probability < rough.enter[2]
    assert all(leave < enter for enter, leave in zip(rough.enter, rough.leave, strict=True))


def test_few_simulated_windows_fire_and_where_labels_mix_the_model_abstains() -> None:
    labelled = windows(2000)
    rng = np.random.default_rng(1)
    logits = scores(labelled, heard=1.5, quiet=-1.5).logits + rng.normal(0, 1, (2000, 3)).astype(np.float32)
    said = Scores(logits, np.zeros((0, 0, 0), np.uint8))
    calibration = calibrate(labelled, said, np.full((5, 3), -9, np.float32), SILENT)
    quiet = labelled.targets[:, 2] == 0
    fired = said.probability(calibration)[:, 2] >= calibration.enter[2]
    assert 0 < fired[quiet].mean() <= 0.03
    low, high = calibration.abstain["porpoise_click"]
    assert 0 < low < high <= calibration.enter[2]
    assert calibration.abstain.keys() == {"porpoise_click"}  # the others never occur: nothing to learn a band from


def test_too_few_windows_to_bound_false_alarms_give_the_highest_threshold() -> None:
    labelled = windows(20)
    assert calibrate(labelled, scores(labelled), np.full((1, 3), -9, np.float32), SILENT).enter == (0.995,) * 3


def test_one_hard_negative_in_a_hundred_may_fire_and_no_more() -> None:
    labelled = windows(2000)
    noisy = np.random.default_rng(2).normal(0, 1.5, (2000, 3)).astype(np.float32)
    said = Scores(scores(labelled, heard=2, quiet=-2).logits + noisy, np.zeros((0, 0, 0), np.uint8))
    loud = np.repeat(np.linspace(-4, 2.0, 1000, dtype=np.float32)[:, None], 3, axis=1)
    calm, wary = (calibrate(labelled, said, SILENT[:1], negatives) for negatives in (SILENT, loud))
    assert wary.enter[2] > calm.enter[2]
    fired = 1 / (1 + np.exp(-loud[:, 2] / wary.temperature[2])) >= wary.enter[2]
    assert fired.mean() <= 0.01
    assert calibrate(labelled, said, SILENT[:1], loud[:50]).enter == (0.995,) * 3


def noise(name: str, *, rate_hz: int, weights: tuple[float, float, float] = (1, 1, 1)) -> RealNoise:
    return RealNoise(name, "validation", rate_hz, 30.0, weights, np.zeros((2, 256, 256), np.uint8))


def test_false_alarms_count_only_what_the_rate_can_carry() -> None:
    logits = np.array([[3, 3, 3], [-3, -3, 3]], np.float32)
    row = evaluate_noise(noise("ice", rate_hz=48_000), logits, HALF)
    assert row["false_positive_windows"] == {"whistle": 1}
    assert row["unobserved"] == ["beluga_click", "porpoise_click"]


def test_recordings_that_are_no_sure_negative_or_carry_no_call_type_are_not_summed() -> None:
    logits = np.full((2, 3), 3, np.float32)
    rows = [
        evaluate_noise(noise("ice", rate_hz=48_000), logits, HALF),
        evaluate_noise(noise("orca", rate_hz=48_000, weights=(0, 0, 1)), logits, HALF),
        evaluate_noise(noise("humpback", rate_hz=10_000), logits, HALF),
    ]
    total = summarise_noise(rows, part="validation")
    assert (total["minutes"], total["false_positives"], total["false_positives_per_minute"]) == (0.5, 2, 4.0)
    assert summarise_noise(rows, part="train")["windows"] == 0


def test_the_card_tells_the_figures_of_the_report_and_says_what_they_are_not(tmp_path) -> None:
    labelled = windows(8)
    row = evaluate_noise(noise("ice.mp3", rate_hz=48_000), np.full((2, 3), -3, np.float32), HALF)
    report = {
        "model_id": "seacanary-test",
        "call_types": ["whistle", "beluga_click", "porpoise_click"],
        "provenance": {"commit": "abc"},
        "calibration": HALF.model_dump(mode="json"),
        "validation": evaluate_windows(labelled, scores(labelled), HALF),
        "logged_trains": evaluate_trains(labelled, scores(labelled), HALF),
        "mixed_snrs_db": [6.0],
        "mixed_windows": 5,
        "mixed_over_real": [
            {"file": "ice.mp3", "call_type": "whistle", "recall": [math.nan]},
        ],
        "noise_summary": {"validation": summarise_noise([row], part="validation")},
        "noise": [row],
        "recordings": [
            {"file": "ice.mp3", "part": "train", "use": "audio", "licence": "CC BY-SA 4.0", "credit": "A. Person"}
        ],
    }
    write_json(report, tmp_path / "evaluation.json")
    card = model_card(read_json(tmp_path / "evaluation.json"))
    assert "# Model card: seacanary-test" in card
    assert "none is a field recording" in card
    assert "No real beluga sound was used" in card
    assert "| ice.mp3 | train | audio | CC BY-SA 4.0 | A. Person |" in card
    assert "| ice.mp3 | whistle | - |" in card
    assert "0 false positive windows in 0.5 minutes" in card
    assert "nan" not in card
