"""Differences between variants are counted right: on graphs whose answers can be worked out by hand."""

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from fakes import COLUMNS, ROWS, write_tiny_model
from seacanary_models.datasets import WindowSet
from seacanary_models.export_variants import Variant
from seacanary_models.variant_report import VariantReport, variant_report, variants_section

pytestmark = pytest.mark.torch

LEVELS = (0.0, 0.2, 0.6, 1.0)  # of each image's one bright column: its probability for both call types


def labelled() -> WindowSet:
    image = np.zeros((len(LEVELS), ROWS, COLUMNS), np.uint8)
    image[:, :, 3] = np.round(255 * np.array(LEVELS))[:, np.newaxis]
    truth = np.array([[0, 0], [1, 0], [0, 0], [1, 1]], np.float32)
    marks = np.zeros_like(image)
    marks[3, :, 3] = 1
    nothing = np.zeros(len(LEVELS), np.int64)
    sure = np.array([[1, 1], [1, 1], [1, 0], [1, 1]], np.float32)
    return WindowSet(image, marks, truth, sure, np.full_like(truth, np.nan), nothing, nothing, nothing)


def capped(folder: Path, most: float) -> Path:
    """The tiny model with no answer over `most`."""
    write_tiny_model(folder)
    model = onnx.load(folder / "model.onnx")
    one = next(value for value in model.graph.initializer if value.name == "one")
    one.CopyFrom(numpy_helper.from_array(np.array(most, np.float32), "one"))
    onnx.save(model, folder / "model.onnx")
    return folder


@pytest.fixture
def report(tmp_path: Path) -> VariantReport:
    folders: dict[Variant, Path] = {"fp32": write_tiny_model(tmp_path), "int8": capped(tmp_path / "int8", 0.4)}
    return variant_report(folders, labelled(), of="made by hand", rounds=3)


def test_fp32_does_not_differ_from_itself(report: VariantReport) -> None:
    fp32 = report.variants[0]
    assert (fp32.max_probability_difference, fp32.mask_agreement, fp32.mask_iou_with_fp32) == (0, 1, 1)
    assert set(fp32.flipped_decisions.values()) == {0}


def test_differences_flips_and_masks_are_those_of_the_capped_graph(report: VariantReport) -> None:
    int8 = report.variants[1]
    assert int8.max_probability_difference == pytest.approx(0.6, abs=1e-6)
    assert int8.mean_probability_difference == pytest.approx((0 + 0 + 0.2 + 0.6) / 4, abs=1e-6)
    assert int8.flipped_decisions == {"whistle": 2, "porpoise_click": 1}  # enter is 0.5 and 0.7
    assert int8.mask_agreement == pytest.approx(1 - 2 / (len(LEVELS) * COLUMNS))
    assert int8.mask_iou_with_fp32 == 0


def test_masks_and_ranking_are_judged_against_the_truth_where_it_is_sure(report: VariantReport) -> None:
    fp32, int8 = report.variants
    assert fp32.mask_iou == 0.5  # two columns found, one of them true
    assert int8.mask_iou == 0
    assert fp32.average_precision["whistle"] == pytest.approx((1 + 2 / 3) / 2)
    assert fp32.average_precision["porpoise_click"] == 1


def test_sizes_and_times_are_those_of_each_file(report: VariantReport, tmp_path: Path) -> None:
    for figures, folder in zip(report.variants, (tmp_path, tmp_path / "int8"), strict=True):
        assert figures.model_bytes == (folder / "model.onnx").stat().st_size
        assert figures.milliseconds_per_window > 0


def test_a_report_survives_its_file_with_what_cannot_be_said(report: VariantReport) -> None:
    unsaid = report.variants[1].model_copy(update={"mask_iou": math.nan})
    read = VariantReport.model_validate_json(
        report.model_copy(update={"variants": (report.variants[0], unsaid)}).model_dump_json()
    )
    assert math.isnan(read.variants[1].mask_iou)
    assert read.variants[0] == report.variants[0]


def test_the_card_has_a_row_per_variant(report: VariantReport) -> None:
    text = variants_section(report)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows[2:]] == ["| fp32", "| int8"]
    assert len({row.count("|") for row in rows[:1] + rows[2:]}) == 1
    assert "made by hand" in text


def test_without_fp32_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"not among \['int8'\]"):
        variant_report({"int8": write_tiny_model(tmp_path)}, labelled(), of="made by hand")
