"""The table: its rows, that a cell is run once and whole, and the page made of cells."""

from pathlib import Path

import numpy as np
import pytest

from seacanary_models import mgc_benchmark, reproduce
from seacanary_models.classifier import ClassifierConfig
from seacanary_models.mgc_benchmark import SIZES, BenchmarkPart
from seacanary_models.reproduce import run_cells
from seacanary_models.reproduce_cells import PRESETS, Network, ReproducePreset, missing_cells, networks, read_cells
from seacanary_models.reproduce_tables import tables
from seacanary_models.training_config import TrainingConfig

pytestmark = pytest.mark.torch


def test_the_table_has_every_baseline_mask_and_fusion() -> None:
    rows = networks(PRESETS["cpu"])
    assert len(rows) == 5 + 3 * 3
    assert len({row.name for row in rows}) == len(rows)
    assert all(row.classifier.guide == "none" for row in rows[:5])
    guided = [row.classifier for row in rows[5:]]
    assert all(config.segmenter == "given" for config in guided)
    assert {config.fusion for config in guided} == {"concat", "gated", "cross_attention"}
    assert sum(config.mask_form == "soft" for config in guided) == 3


def test_the_gpu_table_is_of_full_size() -> None:
    assert {row.classifier.preset for row in networks(PRESETS["gpu"])} == {"full"}


def store_part(folder: Path, part: BenchmarkPart, count: int) -> None:
    """A part whose whistles are a bright bar."""
    combination = np.arange(count) % 8
    image = np.random.default_rng(count).integers(0, 60, (count, 256, 256), dtype=np.uint8)
    marks = np.zeros_like(image)
    for n in np.flatnonzero(combination & 1):
        image[n, 40:50], marks[n, 40:50] = 230, 1
    (folder / f"mgc-{part}").mkdir()
    np.savez(
        folder / f"mgc-{part}" / "shard-00000.npz",
        image=image, other_image=image, marks=marks, combination=combination,
        snr_db=np.zeros((count, 3), np.float32), negatives=np.full(count, ""),
    )  # fmt: skip


@pytest.fixture
def small_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for part in SIZES:
        monkeypatch.setitem(SIZES, part, 16)
        store_part(tmp_path, part, 16)
    reproduce._part.cache_clear()
    monkeypatch.setattr(mgc_benchmark, "SHARD_WINDOWS", 16)
    return tmp_path


def small_preset() -> ReproducePreset:
    quick = TrainingConfig(epochs=1, batch_size=8, threads=1, classifier=ClassifierConfig(preset="tiny"))
    return ReproducePreset(name="test", seeds=(1, 2), baselines=("small_resnet",), training=quick, windows=16)


def test_cells_are_run_once_each_and_make_a_page(small_benchmark: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preset, folder = small_preset(), small_benchmark / "cells"
    rows = [Network("small_resnet", "none", None), Network("small_resnet", "hand_made", "concat")]
    monkeypatch.setattr("seacanary_models.reproduce_cells.networks", lambda _: rows)
    first = list(run_cells(preset, folder=folder, cache=small_benchmark, workers=1, most=3))
    assert [(cell.network, cell.seed) for cell in first] == [
        ("small_resnet", 1), ("mgc-hand_made-concat", 1), ("small_resnet", 2),
    ]  # fmt: skip
    assert missing_cells(preset, folder) == [(rows[1], 2)]
    again = list(run_cells(preset, folder=folder, cache=small_benchmark, workers=1))
    assert [(cell.network, cell.seed) for cell in again] == [("mgc-hand_made-concat", 2)]
    cells = read_cells(folder)
    assert len(cells) == 4
    assert set(cells[0].shifts) == {
        "in_distribution", "alternative_transform", "unseen_noise", "unseen_recorder", "real",
    }  # fmt: skip
    assert all(0 <= cell.shifts["real"].joint.joint_accuracy <= 1 for cell in cells)
    page = tables(cells, preset)
    assert "4 of" in page
    assert "simulated" in page
    assert "±" in page


def test_a_table_without_windows_says_what_is_missing(tmp_path: Path) -> None:
    reproduce._part.cache_clear()
    with pytest.raises(FileNotFoundError, match="mgc-train"):
        list(run_cells(small_preset(), folder=tmp_path / "cells", cache=tmp_path, workers=1, most=1))
