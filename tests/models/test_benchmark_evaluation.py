"""Benchmark figures of a model whose answers are known: one that looks at the image's first rows."""

import numpy as np
import pytest
import torch

from seacanary_models import benchmark_evaluation
from seacanary_models.benchmark_evaluation import evaluate_benchmark, examples
from seacanary_models.evaluation import Calibration, Scores
from seacanary_models.mgc_benchmark import BenchmarkWindows

pytestmark = pytest.mark.torch
HALF = Calibration(temperature=(1.0,) * 3, enter=(0.5,) * 3, leave=(0.3,) * 3)


def windows(count: int) -> BenchmarkWindows:
    """Pixel (k, 0) tells call type k; through the other transform it tells nothing of the whistle."""
    combination = np.arange(count) % 8
    calls = (combination[:, None] >> np.arange(3) & 1) > 0
    image = np.zeros((count, 256, 256), np.uint8)
    image[:, :3, 0] = 255 * calls
    other = image.copy()
    other[:, 0, 0] = 0
    marks = np.zeros_like(image)
    marks[calls.any(axis=1), 40:44] = 1
    snr_db = np.where(calls, 10.0, np.nan).astype(np.float32)
    return BenchmarkWindows(image, other, marks, combination, snr_db, np.array([""] * count))


def reading(_: torch.nn.Module, images: np.ndarray) -> Scores:
    logits = np.where(images[:, :3, 0] > 0, 4.0, -4.0).astype(np.float32)
    masks = np.zeros(images.shape, np.uint8)
    masks[:, 40:42] = 1
    return Scores(logits, masks)


def test_figures_of_a_model_that_reads_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_evaluation, "score", reading)
    test = windows(64)
    figures, said = evaluate_benchmark(torch.nn.Module(), HALF, validation=windows(16), test=test)
    assert figures.joint.joint_accuracy == 1
    assert figures.joint_transform_shift.joint_accuracy == 0.5
    assert figures.mask_iou == pytest.approx(0.5)
    assert figures.expected_calibration_error == pytest.approx(1 / (1 + np.exp(4.0)))
    assert figures.recall_by_snr_db["whistle"] == [{"low": 9.0, "high": 12.0, "windows": 32, "recall": 1.0}]
    shown = examples(test, said, HALF)
    assert len(shown) == 6
    assert shown[0].title.startswith("true: whistle\nwhistle 0.98, beluga click 0.02")
