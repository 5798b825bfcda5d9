"""The `classical` command, from windows to JSON."""

from hashlib import sha256
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from seacanary.simulation import training_window
from seacanary_models import classical_command
from seacanary_models.classical_command import STANDARD_CLICK, classical, standard_click
from seacanary_models.classical_report import ClassicalReport
from seacanary_models.classical_windows import examined
from seacanary_models.classifier import ClassifierConfig, MaskGuidedClassifier

pytestmark = pytest.mark.torch


def test_a_folder_without_the_reference_click_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=STANDARD_CLICK):
        standard_click(tmp_path)


def test_the_command_writes_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def few_windows(part, count, *, workers):
        for seed in range(4):
            names = ("whistle", "porpoise_click") if seed % 2 else ("beluga_click",)
            yield examined(training_window(seed, call_types=names, part=part))

    monkeypatch.setattr(classical_command, "benchmark_windows", few_windows)
    monkeypatch.setattr(
        classical_command, "load_model", lambda path: MaskGuidedClassifier(ClassifierConfig(preset="tiny")).eval()
    )
    (tmp_path / "a.pt").write_bytes(b"weights")
    app, out = typer.Typer(), tmp_path / "new" / "classical.json"
    app.command()(classical)
    result = CliRunner().invoke(app, [str(tmp_path / "a.pt"), "--out", str(out)], env={"SEACANARY_AUDIO": ""})
    assert result.exit_code == 0, result.output
    report = ClassicalReport.model_validate_json(out.read_text())
    assert report.checkpoint == sha256(b"weights").hexdigest()[:8]
    assert report.clicks.standard_click == "simulated"
    assert (report.whistles.windows, report.whistles.whistle_windows) == (4, 2)
    assert "clicks: energy_ratio" in result.output
