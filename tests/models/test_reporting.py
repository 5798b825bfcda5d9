"""A whole evaluation at the smallest size: from recordings and windows to evaluation.json and the card."""

import json

import numpy as np
import pytest
import soundfile

from seacanary_models import over_real, reporting
from seacanary_models.card import model_card
from seacanary_models.classifier import ClassifierConfig, MaskGuidedClassifier
from seacanary_models.datasets import ShardPlan, WindowRecipe, WindowSet
from seacanary_models.evaluation import Calibration
from seacanary_models.headline import KEYS, HeadlineFiles
from seacanary_models.html_report import write_report
from seacanary_models.recordings import Catalogue, Recording
from seacanary_models.reporting import Evaluation, evaluate, read_json, write_json
from seacanary_models.scenes import KINDS

pytestmark = pytest.mark.torch


def recording(tmp_path, part: str) -> Recording:
    path = tmp_path / f"{part}.wav"
    noise = np.random.default_rng(len(part)).normal(0, 0.01, 50_000)
    soundfile.write(path, noise.astype(np.float32), 48_000, subtype="FLOAT")
    return Recording(
        path=path, use="audio", part=part, group=part, weights=(1.0, 1.0, 1.0), licence="MIT",
        credit="nobody", use_s=None, sample_rate_hz=48_000, reason="a test",
    )  # fmt: skip


def windows() -> WindowSet:
    """Sixteen windows: all combinations twice, every other one a rebuilt train."""
    calls = (np.arange(16)[:, None] % 8 >> np.arange(3) & 1) > 0
    rng = np.random.default_rng(0)
    return WindowSet(
        image=rng.integers(0, 90, (16, 256, 256)).astype(np.uint8),
        marks=np.zeros((16, 256, 256), np.uint8),
        targets=calls.astype(np.float32),
        weights=np.ones((16, 3), np.float32),
        snr_db=np.where(calls, 12, np.nan).astype(np.float32),
        kind=np.where(np.arange(16) % 2, KINDS.index("simulated"), KINDS.index("logged_train")),
        rate_hz=np.full(16, 384_000),
        quality=np.full(16, 3),
    )


@pytest.fixture
def work(tmp_path, monkeypatch: pytest.MonkeyPatch) -> Evaluation:
    monkeypatch.setattr(reporting, "load_windows", lambda _: windows())
    monkeypatch.setattr(over_real, "WINDOWS", 1)
    monkeypatch.setattr(Calibration, "digest", "c")
    day = {
        "model_id": "m-1-c", "hours": 24.0, "false_events": 0, "false_events_per_day": 0.0, "per_day_95": [0.0, 3.7],
        "by_kind": {"rain": {"events_per_day": 0.0, "times_heard": 9, "heard_hours": 1.0}},
    }  # fmt: skip
    (tmp_path / "day.json").write_text(json.dumps(day))
    plan = ShardPlan(tmp_path, "validation", WindowRecipe(), 16, tmp_path)
    return Evaluation(
        model=MaskGuidedClassifier(ClassifierConfig()).eval(),
        model_id="m-1",
        catalogue=Catalogue((recording(tmp_path, "train"), recording(tmp_path, "validation")), "digest"),
        calibration_plan=plan,
        quiet_plan=plan,
        validation_plan=plan,
        provenance={"commit": "abc"},
        benchmark=tmp_path / "nothing-made",
        files=HeadlineFiles(false_presence=tmp_path / "day.json"),
    )


def test_an_evaluation_says_what_it_measured_and_what_it_did_not(work: Evaluation, tmp_path) -> None:
    told: list[str] = []
    done = evaluate(work, stage=told.append)
    write_json(done.report, tmp_path / "evaluation.json")
    kept = json.loads((tmp_path / "evaluation.json").read_text())
    assert kept["false_events_per_day"] == 0
    assert {key for key in KEYS if kept[key] is None} == kept["missing"].keys() == set(KEYS) - {"false_events_per_day"}
    assert kept["missing"]["joint_accuracy"] == "the benchmark's windows have not been made"
    assert [row["part"] for row in kept["noise"]] == ["train", "validation"]
    assert {row["file"] for row in kept["mixed_over_real"]} == {"validation.wav"}
    assert "calibrating" in told

    card = model_card(read_json(tmp_path / "evaluation.json"))
    assert card.index("### Validation part") < card.index("### Training part")
    assert "24 h of simulated sea: 0 events, 0 per day (95 % interval 0 to 3.7)." in card
    assert "nan" not in card

    page = write_report(done.measured, tmp_path / "report").read_text(encoding="utf-8")
    assert "the benchmark&#x27;s windows have not been made" in page
