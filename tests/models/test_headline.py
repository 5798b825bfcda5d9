"""The headline gathers what is there and says why the rest is not."""

import json
from pathlib import Path
from typing import Any

import pytest

from seacanary_models.headline import KEYS, HeadlineFiles, NotMeasured, best_image_only, headline, read_piece

pytestmark = pytest.mark.torch
REPORT: dict[str, Any] = {
    "model_id": "m-1",
    "benchmark": {
        "windows": 64,
        "joint": {"joint_accuracy": 0.91},
        "joint_transform_shift": {"joint_accuracy": 0.88},
        "mask_iou": 0.6,
        "expected_calibration_error": 0.02,
    },
}


def cell(network: str, accuracy: float, *, masks: str = "none") -> dict[str, Any]:
    shifts = {"in_distribution": {"joint": {"joint_accuracy": accuracy}}}
    return {"network": network, "masks": masks, "shifts": shifts}


def written(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def all_files(tmp_path: Path) -> HeadlineFiles:
    cells = tmp_path / "cells"
    for number, accuracy in enumerate((0.7, 0.9)):
        written(cells / f"small_vit-seed{number}.json", cell("small_vit", accuracy))
    written(cells / "small_ast-seed1.json", cell("small_ast", 0.75))
    written(cells / "mgc-soft-concat-seed1.json", cell("mgc-soft-concat", 0.95, masks="soft"))
    day = {"model_id": "m-1", "hours": 24, "false_events_per_day": 0.5}
    clicks = {
        "porpoise_dprime": 4.0,
        "porpoise_dprime_energy_ratio": 2.1,
        "porpoise_dprime_logistic": 3.2,
        "test_trials": {"by_origin": {"porpoise_click": 10, "other": 20}},
    }
    return HeadlineFiles(
        cells,
        written(tmp_path / "day.json", day),
        written(tmp_path / "classical.json", {"checkpoint": "1", "clicks": clicks}),
    )


def test_every_figure_comes_from_its_file(tmp_path: Path) -> None:
    gathered = headline(REPORT, all_files(tmp_path))
    assert [gathered[key] for key in KEYS] == [0.91, 0.88, pytest.approx(0.8), 0.5, 4.0, 2.1, 3.2, 0.6, 0.02]
    assert gathered["missing"] == {}
    best = gathered["measured_on"]["joint_accuracy_best_image_only"]
    assert best.startswith("simulated test part; best of 2: small_vit, mean of 2 seeds")
    assert "smaller budget" in best
    assert "30 simulated click trials" in gathered["measured_on"]["porpoise_dprime"]


def test_what_is_missing_is_null_with_a_reason() -> None:
    gathered = headline({"model_id": "m-1"}, HeadlineFiles())
    assert all(gathered[key] is None for key in KEYS)
    assert gathered["missing"].keys() == set(KEYS)
    assert gathered["missing"]["porpoise_dprime"] == "the comparison with classical detectors has not been run"


def test_a_day_heard_by_another_model_does_not_count(tmp_path: Path) -> None:
    gathered = headline({**REPORT, "model_id": "m-2"}, all_files(tmp_path))
    assert gathered["false_events_per_day"] is None
    assert "another model, m-1" in gathered["missing"]["false_events_per_day"]


def test_a_masks_network_is_no_image_only_baseline() -> None:
    with pytest.raises(NotMeasured, match="no image-only network"):
        best_image_only([cell("mgc-soft-concat", 0.9, masks="soft")])


def test_a_file_that_is_no_json_object_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="is no JSON"):
        read_piece(tmp_path / "broken.json", "x")
    with pytest.raises(ValueError, match="must hold a JSON object"):
        read_piece(written(tmp_path / "list.json", []), "x")
    with pytest.raises(NotMeasured, match=r"no file none\.json"):
        read_piece(tmp_path / "none.json", "x")


def test_classical_detectors_beside_other_weights_do_not_count(tmp_path: Path) -> None:
    gathered = headline({**REPORT, "model_id": "m-2"}, all_files(tmp_path))
    assert gathered["porpoise_dprime"] is None
    assert "other weights, 1" in gathered["missing"]["porpoise_dprime"]
