"""Fills the published tables' structure with our data: every network, every mask, every shift, some seeds.

A cell is one network trained with one seed, judged under every shift. Its result is a small JSON file; a
cell whose file is there is not run again, so the table grows over as many runs as it takes.

Source of the structure: Razig et al. (2025), Multi-representation attention framework for underwater
bioacoustic denoising and recognition.
"""

import json
import multiprocessing
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from seacanary_models.benchmark_masks import MaskCache
from seacanary_models.checkpoints import git_commit, read_checkpoint, write_whole
from seacanary_models.classifier import MaskGuidedClassifier
from seacanary_models.examples import Examples
from seacanary_models.joint_metrics import choose_joint_thresholds, joint_figures
from seacanary_models.metrics import average_precision, expected_calibration_error, fit_temperature
from seacanary_models.mgc_benchmark import BenchmarkPart, BenchmarkWindows, load_part
from seacanary_models.reproduce_cells import (
    PART_OF,
    Cell,
    Network,
    ReproducePreset,
    Shift,
    ShiftResult,
    cell_path,
    missing_cells,
)
from seacanary_models.scenes import CALL_TYPES
from seacanary_models.training import Step, train
from seacanary_models.training_config import TrainingConfig

BATCH: Final = 64

Mask = NDArray[np.uint8]


def run_cells(
    preset: ReproducePreset, *, folder: Path, cache: Path, workers: int, most: int | None = None
) -> Iterator[Cell]:
    """Run the missing cells, at most so many, side by side; each is on disk when it is yielded.

    Raises:
        FileNotFoundError: the benchmark's windows have not been made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = missing_cells(preset, folder)[:most]
    if not missing:
        return
    if any(network.masks in {"generated", "soft"} for network, _ in missing):
        MaskCache(cache).make_all()
    run = partial(_run_cell, preset, folder, cache, git_commit(Path(__file__).parent))
    if workers == 1:
        yield from map(run, missing)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(run, missing)


@cache
def _part(cache_folder: Path, part: BenchmarkPart) -> BenchmarkWindows:
    return load_part(part, cache=cache_folder)


def _run_cell(
    preset: ReproducePreset, folder: Path, cache_folder: Path, commit: str, wanted: tuple[Network, int]
) -> Cell:
    network, seed = wanted
    config = preset.training.model_copy(update={"seed": seed, "classifier": network.classifier})
    checkpoint = cache_folder / f"reproduce-{preset.name}" / f"{network.name}-seed{seed}.pt"
    bench = _Bench(network, cache_folder)
    model = bench.trained(config, windows=preset.windows, checkpoint=checkpoint)
    reading = bench.calibrated(model)
    cell = Cell(
        network=network.name,
        encoder=network.encoder,
        masks=network.masks,
        fusion=network.fusion,
        seed=seed,
        parameters=sum(p.numel() for p in model.parameters()),
        training=json.loads(config.model_dump_json()),
        windows=preset.windows,
        training_s=round(read_checkpoint(checkpoint)["spent_s"], 1),
        thresholds=tuple(float(t) for t in reading.thresholds),
        shifts={shift: bench.judged(model, reading, shift) for shift in PART_OF},
        commit=commit,
        torch=str(torch.__version__),
        machine=f"{platform.machine()}, {multiprocessing.cpu_count()} cores",
    )
    write_whole(cell_path(folder, network, seed), cell.model_dump_json() + "\n")
    return cell


@dataclass(frozen=True, slots=True)
class _Reading:
    """How logits are read: both from part validation, never from what is judged."""

    temperatures: NDArray[np.float64]
    thresholds: NDArray[np.float64]

    def probability(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(1 / (1 + np.exp(-logits.astype(np.float64) / self.temperatures)))


@dataclass(frozen=True, slots=True)
class _Bench:
    """Windows and masks as one network takes them."""

    network: Network
    cache_folder: Path

    def trained(self, config: TrainingConfig, *, windows: int, checkpoint: Path) -> MaskGuidedClassifier:
        """Train the network, or finish its training."""
        judges = self._examples("validation") if config.patience is not None else None
        examples = self._examples("train").first(windows)
        return train(examples, config, checkpoint=checkpoint, report=_ignored, validation=judges)

    def calibrated(self, model: MaskGuidedClassifier) -> _Reading:
        """Temperatures and the thresholds of most right answers, on part validation."""
        windows = _part(self.cache_folder, "validation")
        logits, truth = self._logits(model, windows, "validation"), windows.targets > 0
        alike = np.ones(len(windows))
        temperatures = np.array([fit_temperature(logits[:, k], truth[:, k], alike) for k in range(len(CALL_TYPES))])
        unset = _Reading(temperatures, np.full(len(CALL_TYPES), 0.5))
        return _Reading(temperatures, choose_joint_thresholds(unset.probability(logits), truth))

    def judged(self, model: MaskGuidedClassifier, reading: _Reading, shift: Shift) -> ShiftResult:
        """Figures under one shift."""
        windows = _part(self.cache_folder, PART_OF[shift])
        shifted = shift == "alternative_transform"
        said = reading.probability(self._logits(model, windows, PART_OF[shift], shifted=shifted))
        truth, names = windows.targets > 0, list(enumerate(CALL_TYPES))
        return ShiftResult(
            windows=len(windows),
            joint=joint_figures(said, truth, reading.thresholds),
            average_precision={name: average_precision(said[:, k], truth[:, k]) for k, name in names},
            expected_calibration_error={name: expected_calibration_error(said[:, k], truth[:, k]) for k, name in names},
        )

    def _examples(self, part: BenchmarkPart) -> Examples:
        windows = _part(self.cache_folder, part)
        return Examples.of_benchmark(windows, guide=self._guide(windows, part))

    def _guide(self, windows: BenchmarkWindows, part: BenchmarkPart, *, shifted: bool = False) -> Mask | None:
        return MaskCache(self.cache_folder).guide(self.network.masks, windows, part, shifted=shifted)

    def _logits(
        self, model: MaskGuidedClassifier, windows: BenchmarkWindows, part: BenchmarkPart, *, shifted: bool = False
    ) -> NDArray[np.float32]:
        images = windows.other_image if shifted else windows.image
        return score(model, images, self._guide(windows, part, shifted=shifted))


def _ignored(_: Step) -> None:
    """A table's many runs are shown by their cells."""


@torch.inference_mode()
def score(
    model: MaskGuidedClassifier, images: NDArray[np.uint8], guide: NDArray[np.uint8] | None
) -> NDArray[np.float32]:
    """Call logits [n, K] of uint8 images [n, 256, 256], with masks given (255 = call) or none needed."""
    logits = []
    for first in range(0, len(images), BATCH):
        there = slice(first, first + BATCH)
        batch = torch.from_numpy(images[there][:, None].astype(np.float32) / 255)
        given = None if guide is None else torch.from_numpy(guide[there].astype(np.float32) / 255)
        logits.append(model.classify(batch.to(memory_format=torch.channels_last), given).float().numpy())
    return np.concatenate(logits)
