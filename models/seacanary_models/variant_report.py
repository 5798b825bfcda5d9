"""What the variants of a model cost in accuracy and gain in size and time, measured in one run."""

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from seacanary.contract import ModelContract
from seacanary_models.datasets import WindowSet
from seacanary_models.export_variants import HOW, Variant
from seacanary_models.metrics import average_precision
from seacanary_models.onnx_files import MODEL_FILE, open_session, run_in_batches
from seacanary_models.quantise import as_input

BATCH: Final = 16
ROUNDS: Final = 40


class VariantFigures(BaseModel):
    """One variant on the given windows; differences are to fp32 on the same windows."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=True, ser_json_inf_nan="constants")

    variant: Variant
    made: str = Field(description="how it differs from fp32")
    model_bytes: int = Field(description="size of model.onnx")
    milliseconds_per_window: float = Field(description="processor time of M alone on one thread, median")
    max_probability_difference: float
    mean_probability_difference: float
    flipped_decisions: dict[str, int] = Field(description="windows on the other side of `enter`, per call type")
    mask_agreement: float = Field(description="share of pixels equal to fp32's mask")
    mask_iou_with_fp32: float = Field(description="of all windows' masks together; NaN if no pixel is call in either")
    mask_iou: float = Field(description="against the true masks, all windows together; NaN as above")
    average_precision: dict[str, float] = Field(description="per call type; NaN without a positive")


class VariantReport(BaseModel):
    """All variants side by side."""

    model_config = ConfigDict(frozen=True)

    model_id: str
    windows: int
    of: str = Field(description="what the windows are")
    machine: str
    onnxruntime: str
    variants: tuple[VariantFigures, ...]


def variant_report(
    folders: Mapping[Variant, Path],
    windows: WindowSet,
    *,
    of: str,
    rounds: int = ROUNDS,
    stage: Callable[[str], None] = lambda _: None,
) -> VariantReport:
    """Measure variants against fp32 on labelled windows.

    Args:
        folders: folder of each variant; fp32 must be among them.
        windows: images and truth; none of them used to make a variant.
        of: what the windows are, for the reader.
        rounds: how often each variant is timed, in turn with the others.
        stage: told what is being done.

    Raises:
        ValueError: there is no fp32 to compare with.
    """
    if "fp32" not in folders:
        raise ValueError(f"variants are measured against fp32, which is not among {sorted(folders)}")
    sessions = {variant: open_session(folder / MODEL_FILE) for variant, folder in folders.items()}
    contract = _contract(sessions["fp32"])
    stage("timing")
    milliseconds = _milliseconds(sessions, windows.image, rounds=rounds)
    stage("fp32")
    wanted = _outputs(sessions["fp32"], windows.image, contract.mask_threshold)
    figures = []
    for variant, session in sessions.items():
        stage(variant)
        found = wanted if variant == "fp32" else _outputs(session, windows.image, contract.mask_threshold)
        figures.append(
            VariantFigures(
                variant=variant,
                made=HOW[variant],
                model_bytes=(folders[variant] / MODEL_FILE).stat().st_size,
                milliseconds_per_window=round(milliseconds[variant], 2),
                **_against_fp32(found, wanted, contract),
                **_against_truth(found, windows, contract),
            )
        )
    return VariantReport(
        model_id=contract.model_id,
        windows=len(windows),
        of=of,
        machine=_cpu(),
        onnxruntime=ort.__version__,
        variants=tuple(figures),
    )


_Outputs = tuple[NDArray[np.bool_], NDArray[np.float32]]


def _contract(session: ort.InferenceSession) -> ModelContract:
    return ModelContract.from_metadata(session.get_modelmeta().custom_metadata_map, where=MODEL_FILE)


def _outputs(session: ort.InferenceSession, images: NDArray[np.uint8], mask_threshold: float) -> _Outputs:
    """Mask [n, 256, 256] and probability [n, K]; a share at a time, as fp32 masks would fill the memory."""
    masks, probabilities = [], []
    for first in range(0, len(images), BATCH):
        mask, probability = run_in_batches(session, {"image": as_input(images[first : first + BATCH])}, batch=BATCH)
        masks.append(mask > mask_threshold)
        probabilities.append(probability)
    return np.concatenate(masks), np.concatenate(probabilities)


def _against_fp32(found: _Outputs, wanted: _Outputs, contract: ModelContract) -> dict[str, object]:
    (mask, probability), (fp32_mask, fp32_probability) = found, wanted
    difference = np.abs(probability - fp32_probability)
    enter = np.array([call_type.enter for call_type in contract.call_types])
    flipped = ((probability >= enter) != (fp32_probability >= enter)).sum(axis=0)
    return {
        "max_probability_difference": float(difference.max()),
        "mean_probability_difference": float(difference.mean()),
        "flipped_decisions": dict(zip(contract.call_type_names, flipped.tolist(), strict=True)),
        "mask_agreement": float((mask == fp32_mask).mean()),
        "mask_iou_with_fp32": _pooled_iou(mask, fp32_mask),
    }


def _against_truth(found: _Outputs, windows: WindowSet, contract: ModelContract) -> dict[str, object]:
    mask, probability = found
    precision = {}
    for k, name in enumerate(contract.call_type_names):
        sure = windows.weights[:, k] > 0
        precision[name] = average_precision(probability[sure, k], windows.targets[sure, k] > 0)
    return {"mask_iou": _pooled_iou(mask, windows.marks > 0), "average_precision": precision}


def _pooled_iou(mask: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    either = int((mask | other).sum())
    return int((mask & other).sum()) / either if either else float("nan")


def _milliseconds(
    sessions: Mapping[Variant, ort.InferenceSession], images: NDArray[np.uint8], *, rounds: int
) -> dict[Variant, float]:
    """Median processor time of one window per variant, in turn; a session of one thread runs in the caller's."""
    spent: dict[Variant, list[float]] = {variant: [] for variant in sessions}
    for number in range(rounds):
        feed = {"image": as_input(images[number % len(images)][np.newaxis])}
        for variant, session in sessions.items():
            began = time.thread_time()
            session.run(None, feed)
            spent[variant].append(1e3 * (time.thread_time() - began))
    return {variant: statistics.median(times) for variant, times in spent.items()}


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    named = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return f"{next(named, platform.machine())}, {platform.system()}, one thread"


def variants_section(report: VariantReport) -> str:
    """The model card's section, Markdown."""
    names = list(report.variants[0].average_precision)
    head = [
        "variant", "size, MB", "ms per window", "probability off by, mean", "at most", "decisions flipped",
        "mask pixels equal", "mask IoU with fp32", "mask IoU", *(f"average precision, {name}" for name in names),
    ]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(_row(figures)) + " |" for figures in report.variants]
    made = "\n".join(f"- {figures.variant}: {figures.made}." for figures in report.variants)
    return (
        f"{made}\n\nMeasured against fp32 on {report.windows} windows ({report.of}); a decision is a call type's "
        f"probability against `enter`. Time is the processor's for M alone, the variants in turn, on: "
        f"{report.machine}, ONNX Runtime {report.onnxruntime}. "
        "fp16 is meant for GPUs: a CPU computes most of it in fp32, with casts.\n\n" + "\n".join(lines)
    )


def _row(figures: VariantFigures) -> list[str]:
    flipped = sum(figures.flipped_decisions.values())
    return [
        figures.variant,
        f"{figures.model_bytes / 1e6:.2f}",
        f"{figures.milliseconds_per_window:.1f}",
        f"{figures.mean_probability_difference:.2g}",
        f"{figures.max_probability_difference:.2g}",
        str(flipped),
        f"{figures.mask_agreement:.5f}",
        f"{figures.mask_iou_with_fp32:.4f}",
        f"{figures.mask_iou:.4f}",
        *(f"{value:.4f}" for value in figures.average_precision.values()),
    ]
