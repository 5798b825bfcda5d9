"""`seacanary reload`: whom it asks, and what it says where nobody can be asked."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest
from typer.testing import CliRunner, Result

from redis_server import free_port
from seacanary import reload_command
from seacanary.cli import app
from seacanary.health import HealthBoard, Vitals
from seacanary.journal_schema import locked
from seacanary.metrics import Metrics, MetricsSection


def reload(path: Path) -> Result:
    return CliRunner().invoke(app, ["reload", str(path)])


def written(folder: Path, **sections: object) -> Path:
    path = folder / "station.json"
    tree = {
        "station": {"name": "pier"},
        "journal": {"path": str(folder / "journal.db")},
        "metrics": {"port": free_port()},
        **sections,
    }
    path.write_text(json.dumps(tree))
    return path


def test_no_station_runs(tmp_path: Path) -> None:
    result = reload(written(tmp_path))
    assert result.exit_code == 2
    assert "no station runs on" in result.output


def test_a_station_runs_but_cannot_be_asked(tmp_path: Path) -> None:
    path = written(tmp_path)
    with locked(tmp_path / "journal.db"):
        result = reload(path)
    assert result.exit_code == 2
    assert "does not answer at /health" in result.output


def test_a_process_that_writes_no_journal_is_never_signalled(tmp_path: Path) -> None:
    path = written(tmp_path)
    port = json.loads(path.read_text())["metrics"]["port"]
    board = HealthBoard("station")
    with subprocess.Popen(["sleep", "60"]) as stranger:  # SIGHUP would end it
        configuration = {"digest": "0", "file": str(path), "asked": 0, "latest": None}
        board.post(Vitals(details={"configuration": configuration, "process": stranger.pid, "station": "pier"}))
        metrics = Metrics()
        metrics.serve(MetricsSection(port=port), health=board.read)
        try:
            result = reload(path)
            assert stranger.poll() is None
        finally:
            metrics.close()
            stranger.kill()
    assert result.exit_code == 2
    assert "runs elsewhere, in a container perhaps" in " ".join(result.output.split())


@pytest.mark.parametrize(("words", "is_a_station"), [(["seacanary", "run"], True), (["cat"], False)])
def test_in_a_sandbox_a_process_is_known_by_its_command(
    words: list[str], is_a_station: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shut(_: Path) -> NoReturn:  # as /proc/PID/fd of another user namespace; none can be made on every test machine
        raise PermissionError

    monkeypatch.setattr(Path, "iterdir", shut)
    with subprocess.Popen([sys.executable, "-c", "input()", *words], stdin=subprocess.PIPE) as process:
        try:
            assert reload_command._writes(process.pid, Path("journal.db")) == is_a_station
        finally:
            process.kill()


def test_variables_of_the_service_need_not_be_set_here(tmp_path: Path) -> None:
    result = reload(written(tmp_path, publishers=[{"kind": "webhook", "url": "${HOOK_OF_THE_SERVICE}"}]))
    assert "no station runs on" in result.output


def test_a_file_by_which_no_station_can_be_found(tmp_path: Path) -> None:
    result = reload(written(tmp_path, metrics={"port": "many"}))
    assert result.exit_code == 2
    assert "metrics.port: wrong" in result.output


def test_an_edge_does_not_read_its_file_again(tmp_path: Path) -> None:
    result = reload(written(tmp_path, sources=[], kafka={}))
    assert result.exit_code == 2
    assert "restart it to change it" in result.output
