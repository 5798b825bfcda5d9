"""The seacanary-models command: help that teaches, and mistakes that end with code 2."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from seacanary_models import cli

pytestmark = pytest.mark.torch
REPOSITORY = Path(__file__).parents[2]
SHIPPED, DAY = REPOSITORY / "models/artifacts", REPOSITORY / "benchmarks/false_presence/summary.json"


@pytest.mark.parametrize("command", ["simulate", "train", "evaluate", "export"])
def test_every_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(cli.app, [command, "--help"])
    assert result.exit_code == 0
    assert "--preset" in result.output


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    monkeypatch.setattr("sys.argv", ["seacanary-models", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


def test_an_unknown_preset_is_refused_with_those_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "train", "--preset", "gigantic", "--work", str(tmp_path)) == 2
    assert "smoke, cpu" in capsys.readouterr().err


def test_a_folder_without_recordings_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ("simulate", "--audio", str(tmp_path), "--work", str(tmp_path / "w"), "--preset", "smoke")
    assert run(monkeypatch, *arguments) == 2
    assert "files.csv" in capsys.readouterr().err


def test_export_before_evaluation_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "export", "--work", str(tmp_path), "--artifacts", str(tmp_path)) == 2
    assert "evaluation.json" in capsys.readouterr().err


def test_a_trial_is_not_written_over_the_shipped_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "export", "--preset", "smoke", "--work", str(tmp_path)) == 2
    assert str(tmp_path / "artifacts-smoke" / "evaluation.json") in capsys.readouterr().err.replace("\n", "")


def test_the_card_takes_up_what_was_measured_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model"
    shutil.copytree(SHIPPED, model)
    report = json.loads((model / "evaluation.json").read_text())
    day = {**json.loads(DAY.read_text()), "model_id": report["model_id"], "false_events_per_day": 12.5}
    (tmp_path / "day.json").write_text(json.dumps(day))
    card = tmp_path / "card.md"
    arguments = ["card", "--artifacts", str(model), "--card", str(card), "--false-presence", str(tmp_path / "day.json")]
    assert run(monkeypatch, *arguments) in (0, None), capsys.readouterr().err
    assert json.loads((model / "evaluation.json").read_text())["false_events_per_day"] == 12.5
    assert "| `false_events_per_day` | 12.5 |" in card.read_text()
    assert hashlib.sha256((model / "evaluation.json").read_bytes()).hexdigest() in (model / "checksums.txt").read_text()
