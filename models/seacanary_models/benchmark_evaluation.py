"""The model on the benchmark's test part: joint figures, masks, calibration, recall by SNR."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from seacanary_models.calibration_curves import ReliabilityBin, calibration_error, equal_width, reliability_curve
from seacanary_models.classifier import MaskGuidedClassifier
from seacanary_models.evaluation import Calibration, Scores, score
from seacanary_models.figures import Example
from seacanary_models.joint_metrics import JointFigures, choose_joint_thresholds, combination_name, joint_figures
from seacanary_models.metrics import mask_iou
from seacanary_models.mgc_benchmark import BenchmarkWindows
from seacanary_models.report_content import Windows, snr_rows
from seacanary_models.scenes import CALL_TYPES

EXAMPLES: Final = 6


class BenchmarkFigures(BaseModel):
    """Figures on simulated test windows; thresholds for joint accuracy come from the validation part."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str = "simulated windows of the benchmark's test part"
    windows: int
    joint: JointFigures
    joint_transform_shift: JointFigures = Field(description="the same windows through the alternative transform")
    mask_iou: float | None = Field(description="mean over windows whose calls leave a mask; None: there are none")
    expected_calibration_error: float = Field(description="mean over call types")
    reliability: dict[str, list[ReliabilityBin]]
    recall_by_snr_db: dict[str, list[dict[str, float]]] = Field(description="at the presence thresholds")


def evaluate_benchmark(
    model: MaskGuidedClassifier,
    calibration: Calibration,
    *,
    validation: BenchmarkWindows,
    test: BenchmarkWindows,
) -> tuple[BenchmarkFigures, Scores]:
    """Judge a model on the test part; returns what it said of it too."""
    chosen = score(model, validation.image).probability(calibration)
    thresholds = choose_joint_thresholds(chosen, validation.targets > 0)
    said, shifted = score(model, test.image), score(model, test.other_image)
    truth, probability = test.targets > 0, said.probability(calibration)
    curves = {n: reliability_curve(probability[:, k], truth[:, k], equal_width()) for k, n in enumerate(CALL_TYPES)}
    figures = BenchmarkFigures(
        windows=len(test),
        joint=joint_figures(probability, truth, thresholds),
        joint_transform_shift=joint_figures(shifted.probability(calibration), truth, thresholds),
        mask_iou=_mean_iou(said.masks, test.marks),
        expected_calibration_error=float(np.mean([calibration_error(curve) for curve in curves.values()])),
        reliability=curves,
        recall_by_snr_db=snr_rows(windows_of(test, said, calibration)) or {},
    )
    return figures, said


def windows_of(test: BenchmarkWindows, said: Scores, calibration: Calibration) -> Windows:
    """What a report draws curves from."""
    return Windows(said.probability(calibration), test.targets > 0, test.snr_db, calibration.enter)


def examples(test: BenchmarkWindows, said: Scores, calibration: Calibration) -> Sequence[Example]:
    """The first window of each of EXAMPLES combinations with a call, as it is and as the model sees it."""
    probability = said.probability(calibration)
    chosen = [int(np.flatnonzero(test.combination == c)[0]) for c in range(1, 8) if (test.combination == c).any()]
    return [
        Example(
            image=test.image[number],
            truth=test.marks[number] > 0,
            seen=said.masks[number] > 0,
            title=_title(int(test.combination[number]), probability[number]),
        )
        for number in chosen[:EXAMPLES]
    ]


def _title(combination: int, probability: NDArray[np.float64]) -> str:
    said = ", ".join(f"{name.replace('_', ' ')} {p:.2f}" for name, p in zip(CALL_TYPES, probability, strict=True))
    return f"true: {combination_name(combination).replace('_', ' ').replace('+', ' + ')}\n{said}"


def _mean_iou(seen: NDArray[np.uint8], marks: NDArray[np.uint8]) -> float | None:
    marked = marks.any(axis=(1, 2))
    return float(mask_iou(seen[marked] > 0, marks[marked] > 0).mean()) if marked.any() else None
