"""The report on windows whose answers are known."""

import json

import numpy as np
import pytest
import torch
from torch import Tensor

from seacanary_models.classical_report import ClassicalReport, classical_report
from seacanary_models.classical_windows import ClassicalWindows
from seacanary_models.classifier import ClassifierConfig, MaskGuidedClassifier, ModelOutput
from seacanary_models.click_features import simulated_click
from seacanary_models.click_trials import CLIP_SAMPLES, ORIGINS, ClickTrials

pytestmark = pytest.mark.torch
WINDOWS, CLICKS = 40, 4


class Knowing(MaskGuidedClassifier):
    """Whistles where row 50 is bright; says nothing else."""

    def forward(self, image: Tensor) -> ModelOutput:
        logits = torch.zeros(len(image), 3)
        logits[:, 0] = image[:, 0, 50].mean(1) * 10 - 2
        return ModelOutput(torch.zeros(len(image), 2, 256, 256), logits)


def windows(seed: int) -> ClassicalWindows:
    """Every other window has porpoise clicks, the rest beluga-like ones; every fourth a whistle."""
    rng = np.random.default_rng(seed)
    images = rng.integers(20, 40, (WINDOWS, 256, 256)).astype(np.uint8)
    whistle = np.arange(WINDOWS) % 4 == 0
    images[whistle, 49:52, 60:140] = 120
    window = np.repeat(np.arange(WINDOWS), CLICKS)
    porpoise = window % 2 == 0
    time_s = (np.arange(CLIP_SAMPLES) - 96) / 384_000
    centre_hz = np.where(porpoise, 130e3, 60e3)[:, None] + rng.normal(0, 2e3, (window.size, 1))
    clips = np.exp(-((time_s / 4e-5) ** 2)) * np.sin(2 * np.pi * centre_hz * time_s)
    trials = ClickTrials(
        clips=(clips + rng.normal(0, 0.02, clips.shape)).astype(np.float32),
        peak_sample=rng.integers(0, 393_216, window.size),
        excess_db=rng.uniform(10, 30, window.size).astype(np.float32),
        origin=np.where(porpoise, ORIGINS.index("porpoise_click"), ORIGINS.index("beluga_click")),
        window=window,
        windows=WINDOWS,
        ambiguous=3,
        surplus=7,
    )
    return ClassicalWindows(images, trials, whistle)


def with_bright_clicks(made: ClassicalWindows) -> ClassicalWindows:
    """Columns of porpoise clicks are bright at 120-130 kHz."""
    images, trials = made.images.copy(), made.trials
    for window, peak in zip(trials.window[trials.porpoise], trials.peak_sample[trials.porpoise], strict=True):
        images[window, 224:234, peak // 1536] = 250
    return ClassicalWindows(images, trials, made.whistle)


def reported(fit: ClassicalWindows, test: ClassicalWindows) -> ClassicalReport:
    model = Knowing(ClassifierConfig(preset="tiny"))
    return classical_report(model, fit, test, standard=simulated_click(), checkpoint="0123abcd")


@pytest.fixture(scope="module")
def report() -> ClassicalReport:
    return reported(windows(1), windows(2))


def test_references_tell_clear_clicks_apart_and_a_blind_model_does_not(report: ClassicalReport) -> None:
    clicks = report.clicks
    assert clicks.porpoise_dprime_energy_ratio > 4
    assert clicks.porpoise_dprime_logistic > 4
    assert abs(clicks.porpoise_dprime) < 0.6
    assert clicks.classifiers["logistic"].test.dprime == clicks.porpoise_dprime_logistic
    assert clicks.classifiers["logistic"].false_alarm_rate_by_origin == {"beluga_click": 0.0, "other": None}


def test_what_the_image_tells_without_the_model_stands_beside_ours(report: ClassicalReport) -> None:
    assert abs(report.clicks.porpoise_dprime_image_alone) < 0.6
    clicks = reported(with_bright_clicks(windows(1)), with_bright_clicks(windows(2))).clicks
    assert clicks.porpoise_dprime_image_alone > 4
    assert clicks.porpoise_dprime_image_alone == clicks.classifiers["image_alone"].test.dprime
    assert clicks.porpoise_dprime > 4  # a blind model's read-out has the image too
    assert abs(clicks.porpoise_dprime_window) < 0.6


def test_trials_are_counted(report: ClassicalReport) -> None:
    counts = report.clicks.test_trials
    assert counts.by_origin == {"porpoise_click": 80, "beluga_click": 80, "other": 0}
    assert (counts.windows, counts.ambiguous, counts.surplus) == (WINDOWS, 3, 7)
    rows = report.clicks.classifiers["model"].by_excess
    assert sum(row.porpoise for row in rows) == sum(row.others for row in rows) == 80
    assert rows[-1].hit_rate is None


def test_whistles_are_judged_on_windows(report: ClassicalReport) -> None:
    assert report.whistles.whistle_windows == 10
    for figures in (report.whistles.model, report.whistles.contours):
        assert (figures.hit_rate, figures.false_alarm_rate) == (1, 0)


def test_the_report_is_plain_json(report: ClassicalReport) -> None:
    content = json.loads(report.model_dump_json())
    assert content["checkpoint"] == "0123abcd"
    assert {"porpoise_dprime", "porpoise_dprime_energy_ratio", "porpoise_dprime_logistic"} <= content["clicks"].keys()
    assert ClassicalReport.model_validate(content) == report
