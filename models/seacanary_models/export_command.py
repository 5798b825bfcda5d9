"""The `export` step: default model and variants written, compared with torch, measured, summed up."""

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from seacanary.contract import ModelContract
from seacanary.simulation import training_window
from seacanary_models.classifier import MaskGuidedClassifier
from seacanary_models.datasets import WindowSet
from seacanary_models.export import Parity, check_parity
from seacanary_models.export_variants import VARIANTS, Variant, export_variants, variant_folder
from seacanary_models.onnx_files import MODEL_FILE, TRANSFORM_FILE
from seacanary_models.scenes import CALL_TYPES, WINDOW_SAMPLES
from seacanary_models.variant_report import VariantReport, variant_report

REPORT_FILE: Final = "variants.json"
# ranges settle well before this many; more only take longer
CALIBRATION_IMAGES: Final = 256
_NOISE_LEVELS: Final = (0.0, 1e-6, 1e-4, 1.0)  # silence, under T's floor, a quiet sea, clipping


@dataclass(frozen=True, slots=True, eq=False)
class ExportJob:
    """What to export, and what to calibrate and judge it on.

    Attributes:
        calibration: windows of the training part; int8 takes its ranges from the first of them.
        validation: windows to measure the variants on.
        validation_is: what those are, for the reader.
    """

    model: MaskGuidedClassifier
    contract: ModelContract
    artifacts: Path
    variants: Collection[Variant]
    calibration: WindowSet
    validation: WindowSet
    validation_is: str


def wanted_variants(name: Literal["fp32", "int8", "fp16", "all"]) -> tuple[Variant, ...]:
    """The variants that `--variant` names."""
    return VARIANTS if name == "all" else (name,)


def export_all(job: ExportJob, *, stage: Callable[[str], None] = lambda _: None) -> tuple[Parity, VariantReport]:
    """Write the ONNX files, check fp32 against torch, measure every variant, write variants.json.

    Args:
        job: what to export.
        stage: told what is being done.

    Returns:
        parity of fp32 with torch; figures of all variants, those not asked for left out.

    Raises:
        ModelRefused: the contract or ONNX Runtime disagrees with the model.
    """
    stage("exporting")
    folders = export_variants(
        job.model,
        job.contract,
        job.artifacts,
        variants=job.variants,
        calibration_images=job.calibration.image[:CALIBRATION_IMAGES],
    )
    stage("comparing with torch")
    paths = (job.artifacts / TRANSFORM_FILE, job.artifacts / MODEL_FILE)
    parity = check_parity(job.model, paths, parity_windows())
    report = variant_report(folders, job.validation, of=job.validation_is, stage=stage)
    (job.artifacts / REPORT_FILE).write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return parity, report


def parity_windows() -> NDArray[np.float32]:
    """Windows [7, 393216] to compare runtimes on: silence to clipping, a simulated sea without and with calls."""
    rng = np.random.default_rng(0)
    noises = [np.clip(rng.standard_normal(WINDOW_SAMPLES) * level, -1, 1) for level in _NOISE_LEVELS]
    calls = [training_window(0, call_types=names, part="test").samples for names in ((), CALL_TYPES[:1], CALL_TYPES)]
    return np.stack([*noises, *calls]).astype(np.float32)


def checksums(artifacts: Path, others: Collection[str] = ()) -> str:
    """SHA-256 of each variant's files and of other files there, in the form that `sha256sum -c` reads.

    Args:
        artifacts: the folder of the default model.
        others: names of further files in it.
    """
    folders = [variant_folder(artifacts, variant) for variant in VARIANTS]
    models = [folder / name for folder in folders for name in (TRANSFORM_FILE, MODEL_FILE)]
    files = [path for path in models if path.exists()] + [artifacts / name for name in others]
    return "".join(f"{_sha256(path)}  {path.relative_to(artifacts).as_posix()}\n" for path in files)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
