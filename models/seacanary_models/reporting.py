"""Puts a whole evaluation together: calibration, figures, false alarms, credits; the content of evaluation.json."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seacanary_models.augment import MODEL_RATE_HZ, Recorder, coloured_noise
from seacanary_models.classifier import MaskGuidedClassifier
from seacanary_models.datasets import ShardPlan, WindowSet, WindowSource, load_windows, stack
from seacanary_models.evaluation import (
    Calibration,
    RealNoise,
    calibrate,
    evaluate_noise,
    evaluate_trains,
    evaluate_windows,
    real_noise,
    score,
    summarise_noise,
)
from seacanary_models.recordings import Catalogue, Part, read_mono, varied_stretch
from seacanary_models.scenes import CALL_TYPES, WINDOW_SAMPLES, RealSounds, real_scene

MIXED_SNRS_DB = (6.0, 12.0, 18.0)
MIXED_WINDOWS = 4
HISS_DB = -30.0  # noise under a recording, so that clicks above its band are not heard against nothing
BEST_RECORDER = Recorder(MODEL_RATE_HZ, "none", 0.0, 1.0)
MIXED_SEED = 20_000


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation works on."""

    model: MaskGuidedClassifier
    model_id: str
    catalogue: Catalogue
    calibration_plan: ShardPlan
    validation_plan: ShardPlan
    provenance: dict[str, str]


def report_of(work: Evaluation, *, stage: Callable[[str], None]) -> dict[str, Any]:
    """Evaluate; `stage` is told what is being done."""
    sources: dict[Part, WindowSource] = {
        "train": WindowSource(work.catalogue, "train", work.validation_plan.recipe),
        "validation": WindowSource(work.catalogue, "validation", work.validation_plan.recipe),
    }
    stage("cutting windows from the real recordings")
    noises = [noise for part, source in sources.items() for noise in real_noise(work.catalogue, part, source)]
    stage("scoring the real recordings")
    noise_logits = [score(work.model, noise.images).logits for noise in noises]
    stage("calibrating")
    calibration = _calibration(work, noises, noise_logits)
    stage("scoring validation windows")
    windows = load_windows(work.validation_plan)
    scores = score(work.model, windows.image)
    rows = [evaluate_noise(n, logits, calibration) for n, logits in zip(noises, noise_logits, strict=True)]
    stage("mixing calls over the real recordings")
    return {
        "model_id": work.model_id,
        "call_types": list(CALL_TYPES),
        "provenance": work.provenance,
        "calibration": calibration.model_dump(mode="json"),
        "validation": evaluate_windows(windows, scores, calibration),
        "logged_trains": evaluate_trains(windows, scores, calibration),
        "mixed_snrs_db": list(MIXED_SNRS_DB),
        "mixed_windows": MIXED_WINDOWS,
        "mixed_over_real": _mixed(work, calibration, sources["validation"]),
        "noise_summary": {part: summarise_noise(rows, part=part) for part in sources},
        "noise": rows,
        "recordings": [
            {"file": r.path.name, "part": r.part, "use": r.use, "licence": r.licence, "credit": r.credit}
            for r in work.catalogue.recordings
        ],
    }


def write_json(report: dict[str, Any], path: Path) -> None:
    """Write the report; what could not be measured becomes null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_finite(report), indent=1) + "\n", encoding="utf-8")


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
    return calibrate(windows, score(work.model, windows.image), np.concatenate(quiet))


def _mixed(work: Evaluation, calibration: Calibration, source: WindowSource) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    sounds = RealSounds(work.catalogue, "validation")
    audios = work.catalogue.select(use="audio", part="validation")
    for recording in {recording.group: recording for recording in audios}.values():
        audio, rate_hz = read_mono(recording)
        if audio.size < rate_hz:
            continue
        for k, name in enumerate(CALL_TYPES):
            rng = np.random.default_rng((MIXED_SEED, len(rows)))
            recall = []
            for snr_db in MIXED_SNRS_DB:
                windows = _mixed_windows(
                    rng, source, sounds=sounds, call_type=name, audio=(audio, rate_hz), snr_db=snr_db
                )
                said = score(work.model, windows.image).probability(calibration)[:, k]
                audible = windows.targets[:, k] > 0
                hits = (said[audible] >= calibration.enter[k]).mean() if audible.any() else math.nan
                recall.append(float(hits))
            rows.append({"file": recording.path.name, "call_type": name, "recall": recall})
    return rows


def _mixed_windows(
    rng: np.random.Generator,
    source: WindowSource,
    *,
    sounds: RealSounds,
    call_type: str,
    audio: tuple[Any, int],
    snr_db: float,
) -> WindowSet:
    windows = []
    for _ in range(MIXED_WINDOWS):
        stretch = varied_stretch(rng, *audio, to_rate_hz=MODEL_RATE_HZ, samples=WINDOW_SAMPLES)
        hiss = coloured_noise(rng, WINDOW_SAMPLES, slope=0.3)
        background = stretch + hiss * np.float32(np.sqrt(np.mean(stretch**2)) * 10 ** (HISS_DB / 20))
        scene = real_scene(rng, sounds, (call_type,), background)
        windows.append(source.label(scene, BEST_RECORDER, snr_db=snr_db))
    return stack(windows)
