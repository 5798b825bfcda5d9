"""The figures that stand at the top of evaluation.json, gathered from where each was measured."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from seacanary.errors import SeaCanaryError

KEYS: Final = (
    "joint_accuracy",
    "joint_accuracy_transform_shift",
    "joint_accuracy_best_image_only",
    "false_events_per_day",
    "porpoise_dprime",
    "porpoise_dprime_energy_ratio",
    "porpoise_dprime_logistic",
    "mask_iou",
    "expected_calibration_error",
)

Report = Mapping[str, Any]
Figure = tuple[float, str]  # the value, and in words what it was measured on


@dataclass(frozen=True, slots=True)
class HeadlineFiles:
    """What other commands measured; None: not there.

    Attributes:
        cells: folder of `reproduce`'s cells.
        false_presence: summary of the day without animals.
        classical: figures of `classical`.
    """

    cells: Path | None = None
    false_presence: Path | None = None
    classical: Path | None = None


class NotMeasured(SeaCanaryError):
    """A figure is not there; the message says why."""


def headline(report: Report, files: HeadlineFiles) -> dict[str, Any]:
    """KEYS with their values, None where missing; `missing` says why, `measured_on` on what the others are.

    Args:
        report: what evaluation.json holds otherwise; needs model_id, and for our own figures `benchmark`.
        files: where the others are.

    Raises:
        ValueError: a file is there but holds no JSON, or not what its name promises.
    """
    values: dict[str, float | None] = {}
    missing: dict[str, str] = {}
    measured_on: dict[str, str] = {}
    for key in KEYS:
        try:
            values[key], measured_on[key] = _GATHER[key](report, files)
        except NotMeasured as reason:
            values[key], missing[key] = None, str(reason)
    return {**values, "missing": missing, "measured_on": measured_on}


def read_piece(path: Path | None, what: str) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        NotMeasured: there is no such file.
        ValueError: it holds something else.
    """
    if path is None or not path.is_file():
        raise NotMeasured(f"{what} has not been run" if path is None else f"{what}: no file {path.name}")
    try:
        piece = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as exc:
        raise ValueError(f"{path} is no JSON: {exc}") from exc
    if not isinstance(piece, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(piece).__name__}")
    return piece


def best_image_only(cells: list[Mapping[str, Any]]) -> Figure:
    """Highest mean joint accuracy over seeds among networks without masks, on the test part.

    Raises:
        NotMeasured: no cell of such a network is there.
    """
    by_network: dict[str, list[float]] = {}
    for cell in cells:
        if cell["masks"] == "none":
            accuracy = cell["shifts"]["in_distribution"]["joint"]["joint_accuracy"]
            by_network.setdefault(cell["network"], []).append(float(accuracy))
    if not by_network:
        raise NotMeasured("no image-only network of the benchmark's table is done")
    name, values = max(by_network.items(), key=lambda item: fmean(item[1]))
    return fmean(values), (
        f"simulated test part; best of {len(by_network)}: {name}, mean of {len(values)} seeds, trained from scratch on "
        "the benchmark's windows alone: a smaller budget than the shipped model's; like is set beside like in "
        "docs/benchmark.md"
    )


def _own(report: Report, *path: str) -> Figure:
    found: Any = report.get("benchmark")
    if found is None:
        raise NotMeasured("the benchmark's windows have not been made")
    windows = found["windows"]
    for key in path:
        found = found[key]
    if found is None:
        raise NotMeasured("no window of the benchmark has a mask")
    return float(found), f"{windows} simulated windows of the benchmark's test part"


def _best_image_only(_: Report, files: HeadlineFiles) -> Figure:
    if files.cells is None or not files.cells.is_dir():
        raise NotMeasured("the benchmark's table has not been run")
    return best_image_only([read_piece(path, "cell") for path in sorted(files.cells.glob("*-seed*.json"))])


def _false_events(report: Report, files: HeadlineFiles) -> Figure:
    summary = read_piece(files.false_presence, "the day without animals")
    if summary["model_id"] != report["model_id"]:
        raise NotMeasured(f"the day without animals was heard by another model, {summary['model_id']}")
    return float(summary["false_events_per_day"]), f"{summary['hours']:g} h of simulated sea without animals"


def _dprime(key: str) -> Callable[[Report, HeadlineFiles], Figure]:
    def gather(report: Report, files: HeadlineFiles) -> Figure:
        piece = read_piece(files.classical, "the comparison with classical detectors")
        if piece.get("checkpoint", "") not in report["model_id"].split("-"):
            raise NotMeasured(f"the classical detectors were set beside other weights, {piece.get('checkpoint')}")
        clicks = piece["clicks"]
        trials = sum(clicks["test_trials"]["by_origin"].values())
        return float(clicks[key]), f"{trials} simulated click trials of the benchmark's test part"

    return gather


def _of_benchmark(*path: str) -> Callable[[Report, HeadlineFiles], Figure]:
    return lambda report, _: _own(report, *path)


_GATHER: Final[Mapping[str, Callable[[Report, HeadlineFiles], Figure]]] = {
    "joint_accuracy": _of_benchmark("joint", "joint_accuracy"),
    "joint_accuracy_transform_shift": _of_benchmark("joint_transform_shift", "joint_accuracy"),
    "joint_accuracy_best_image_only": _best_image_only,
    "false_events_per_day": _false_events,
    "porpoise_dprime": _dprime("porpoise_dprime"),
    "porpoise_dprime_energy_ratio": _dprime("porpoise_dprime_energy_ratio"),
    "porpoise_dprime_logistic": _dprime("porpoise_dprime_logistic"),
    "mask_iou": _of_benchmark("mask_iou"),
    "expected_calibration_error": _of_benchmark("expected_calibration_error"),
}
