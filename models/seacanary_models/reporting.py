"""Puts a whole evaluation together: calibration, figures, false alarms, credits; the content of evaluation.json."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from seacanary_models.benchmark_evaluation import BenchmarkFigures, evaluate_benchmark, examples, windows_of
from seacanary_models.checkpoints import write_whole
from seacanary_models.classifier import MaskGuidedClassifier
from seacanary_models.datasets import ShardPlan, WindowSource, load_windows
from seacanary_models.detection_range import DetectionRange, RangeRecipe, detection_range
from seacanary_models.evaluation import (
    FALSE_SHARE,
    FALSE_SHARE_NEGATIVES,
    FALSE_SHARE_REAL,
    Calibration,
    RealNoise,
    Scores,
    calibrate,
    evaluate_noise,
    evaluate_trains,
    evaluate_windows,
    real_noise,
    score,
    summarise_noise,
)
from seacanary_models.event_streams import StreamFigures, StreamRecipe, evaluate_streams
from seacanary_models.headline import KEYS, HeadlineFiles, NotMeasured, headline, read_piece
from seacanary_models.joint_metrics import JointFigures, joint_figures
from seacanary_models.mgc_benchmark import BenchmarkWindows, load_part
from seacanary_models.over_real import SNRS_DB, WINDOWS, mixed_over_real, reference_thresholds
from seacanary_models.recordings import Catalogue, Part
from seacanary_models.report_content import Measured
from seacanary_models.scenes import CALL_TYPES


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation works on.

    Attributes:
        benchmark: folder with the benchmark's windows; None: its figures are left out.
        streams: simulated streams for event-level figures; None: left out.
        ranges: points of the detection range; None: left out.
        files: what other commands measured.
    """

    model: MaskGuidedClassifier
    model_id: str
    catalogue: Catalogue
    calibration_plan: ShardPlan
    quiet_plan: ShardPlan
    validation_plan: ShardPlan
    provenance: dict[str, str]
    benchmark: Path | None = None
    streams: StreamRecipe | None = None
    ranges: RangeRecipe | None = None
    files: HeadlineFiles = field(default_factory=HeadlineFiles)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The outcome: what goes to evaluation.json, and what the HTML report is drawn from."""

    report: dict[str, Any]
    measured: Measured


def evaluate(work: Evaluation, *, stage: Callable[[str], None]) -> Evaluated:
    """Evaluate everything that can be; `stage` is told what is being done."""
    calibration, on_real = _on_real_noise(work, stage=stage)
    model_id = f"{work.model_id}-{calibration.digest}"
    stage("mixing calls over the real recordings")
    mixed = _over_real(work, calibration)
    benchmark = _benchmark(work, calibration, stage=stage)
    streams = evaluate_streams(work.model, calibration, work.streams, stage=stage) if work.streams else None
    ranges = detection_range(work.model, calibration, work.ranges, stage=stage) if work.ranges else None
    body = {
        "call_types": list(CALL_TYPES),
        "provenance": work.provenance,
        "calibration": calibration.model_dump(mode="json"),
        "calibration_rule": {
            "false_share": FALSE_SHARE,
            "false_share_real": FALSE_SHARE_REAL,
            "false_share_negatives": FALSE_SHARE_NEGATIVES,
        },
        "benchmark": benchmark.figures.model_dump(mode="json") if benchmark else None,
        "events": streams.model_dump(mode="json") if streams else None,
        "detection_range": ranges.model_dump(mode="json") if ranges else None,
        "false_presence": _piece(work.files.false_presence),
        "classical": _piece(work.files.classical),
        **_on_windows(work, calibration, stage=stage),
        **mixed,
        **on_real,
        "recordings": [
            {"file": r.path.name, "part": r.part, "use": r.use, "licence": r.licence, "credit": r.credit}
            for r in work.catalogue.recordings
        ],
    }
    top = headline({"model_id": model_id, **body}, work.files)
    report = {"model_id": model_id, **top, **body}
    return Evaluated(report, _measured_of(report, calibration, benchmark, streams=streams, ranges=ranges))


def refreshed(report: Mapping[str, Any], files: HeadlineFiles) -> dict[str, Any]:
    """A report with what other commands have measured since, and the headline that follows from it."""
    pieces = {"false_presence": _piece(files.false_presence), "classical": _piece(files.classical)}
    return {**report, **headline({**report, **pieces}, files), **pieces}


def _on_real_noise(work: Evaluation, *, stage: Callable[[str], None]) -> tuple[Calibration, dict[str, Any]]:
    """Calibrate, and count false alarms on all real recordings."""
    parts: tuple[Part, ...] = ("train", "validation")
    stage("cutting windows from the real recordings")
    recipe = work.validation_plan.recipe
    noises = [n for part in parts for n in real_noise(work.catalogue, part, WindowSource(work.catalogue, part, recipe))]
    stage("scoring the real recordings")
    noise_logits = [score(work.model, noise.images).logits for noise in noises]
    stage("calibrating")
    calibration = _calibration(work, noises, noise_logits)
    rows = [evaluate_noise(n, logits, calibration) for n, logits in zip(noises, noise_logits, strict=True)]
    return calibration, {"noise_summary": {p: summarise_noise(rows, part=p) for p in parts}, "noise": rows}


def _on_windows(work: Evaluation, calibration: Calibration, *, stage: Callable[[str], None]) -> dict[str, Any]:
    stage("scoring validation windows")
    windows = load_windows(work.validation_plan)
    scores = score(work.model, windows.image)
    sure = (windows.weights > 0).all(axis=1)
    probability, truth = scores.probability(calibration)[sure], windows.targets[sure] > 0
    return {
        "validation": evaluate_windows(windows, scores, calibration),
        "validation_joint": joint_figures(probability, truth, np.array(calibration.enter)).model_dump(mode="json"),
        "logged_trains": evaluate_trains(windows, scores, calibration),
    }


def _over_real(work: Evaluation, calibration: Calibration) -> dict[str, Any]:
    references = reference_thresholds(_piece(work.files.classical))
    recipe = work.validation_plan.recipe
    rows = mixed_over_real(work.model, calibration, work.catalogue, recipe=recipe, references=references)
    return {"mixed_snrs_db": list(SNRS_DB), "mixed_windows": WINDOWS, "mixed_over_real": rows}


@dataclass(frozen=True, slots=True)
class _Benchmark:
    figures: BenchmarkFigures
    test: BenchmarkWindows
    said: Scores


def _benchmark(work: Evaluation, calibration: Calibration, *, stage: Callable[[str], None]) -> _Benchmark | None:
    """The benchmark's figures; None where its windows have not been made."""
    if work.benchmark is None:
        return None
    try:
        validation, test = (load_part(part, cache=work.benchmark) for part in ("validation", "test"))
    except FileNotFoundError:
        return None
    stage(f"scoring the benchmark's {len(test)} test windows")
    figures, said = evaluate_benchmark(work.model, calibration, validation=validation, test=test)
    return _Benchmark(figures, test, said)


def _measured_of(
    report: dict[str, Any],
    calibration: Calibration,
    benchmark: _Benchmark | None,
    *,
    streams: StreamFigures | None,
    ranges: DetectionRange | None,
) -> Measured:
    alarms = report["false_presence"] or {}
    same_model = alarms.get("model_id") == report["model_id"]
    kinds = {kind: row["events_per_day"] for kind, row in alarms.get("by_kind", {}).items()} if same_model else {}
    return Measured(
        model_id=report["model_id"],
        data=f"{benchmark.figures.windows} simulated windows of the benchmark's test part." if benchmark else "",
        joint=benchmark.figures.joint if benchmark else None,
        by_frequency=JointFigures.model_validate(report["validation_joint"]),
        windows=windows_of(benchmark.test, benchmark.said, calibration) if benchmark else None,
        reliability=benchmark.figures.reliability if benchmark else {},
        ranges=ranges,
        streams=streams,
        false_events_per_day=kinds,
        examples=examples(benchmark.test, benchmark.said, calibration) if benchmark else (),
        headline={key: report[key] for key in KEYS},
        missing=report["missing"],
    )


def _piece(path: Path | None) -> dict[str, Any] | None:
    try:
        return read_piece(path, "")
    except NotMeasured:
        return None


def write_json(report: dict[str, Any], path: Path) -> None:
    """Write the report; what could not be measured becomes null."""
    write_whole(path, json.dumps(_finite(report), indent=1) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a report back; null becomes NaN."""
    report: dict[str, Any] = _measured(json.loads(path.read_text(encoding="utf-8")))
    return report


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return (round(value, 5) if math.isfinite(value) else None) if isinstance(value, float) else value


def _measured(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _measured(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_measured(item) for item in value]
    return math.nan if value is None else value


def _calibration(work: Evaluation, noises: list[RealNoise], noise_logits: list[Any]) -> Calibration:
    """Calibrate on windows of the training part's kinds and the real training recordings alone."""
    windows = load_windows(work.calibration_plan)
    quiet = [
        logits
        for noise, logits in zip(noises, noise_logits, strict=True)
        if noise.part == "train" and min(noise.weights) > 0
    ]
    negatives = score(work.model, load_windows(work.quiet_plan).image).logits
    return calibrate(windows, score(work.model, windows.image), np.concatenate(quiet), negatives)
