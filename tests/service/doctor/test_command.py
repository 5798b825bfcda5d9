"""`seacanary doctor`: what it prints, and how it ends."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from faulty_station import FaultyStation
from seacanary.cli import app
from seacanary.doctor import checks
from seacanary.doctor.examining import Checked
from seacanary.doctor.findings import Finding, broken, ok, unknown, warning
from seacanary.doctor.subject import Subject

LIGHT = ["--skip", "model", "--skip", "capacity"]
# A library of Rust that calls back into Python, and is torn out of it when the process ends.
HANGS = """
import time
from typing import Annotated
from pydantic import BeforeValidator, TypeAdapter
from seacanary.cli import main
from seacanary.doctor import checks

def turn(value):
    while True:
        time.sleep(0.0005)

checks.LIMIT_S = 0.3
checks.read_any = lambda *_: TypeAdapter(Annotated[int, BeforeValidator(turn)]).validate_python(1)
main()
"""


def test_a_check_that_hangs_changes_neither_exit_code_nor_output(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HANGS, "doctor", str(tmp_path / "station.yaml"), "--json", *LIGHT]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert (ended.returncode, ended.stderr) == (2, "")
    assert "was not read within" in ended.stdout
    json.loads(ended.stdout)


@pytest.mark.parametrize(
    ("finding", "code", "verdict"),
    [
        (ok("disk", "has room"), 0, "all is well: 1 ok"),
        (unknown("disk", "does not answer", means="m", remedy="r"), 1, "it works, but: 1 unknown"),
        (warning("disk", "fills", means="m", remedy="r"), 1, "it works, but: 1 warning"),
        (broken("disk", "is full", means="m", remedy="r"), 2, "something is broken: 1 broken"),
    ],
)
def test_the_worst_finding_decides_the_exit_code(
    finding: Finding, code: int, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "diagnose", lambda *_, **__: (Subject(), [Checked("disks", (finding,), 0.1)]))
    ended = CliRunner().invoke(app, ["doctor"])
    assert ended.exit_code == code
    assert verdict in ended.stdout
    assert all(part in ended.stdout for part in (finding.name, finding.seen, finding.means, finding.remedy))


def test_machines_are_told_the_same(tmp_path: Path) -> None:
    file = FaultyStation(tmp_path).write(supervison={})
    ended = CliRunner().invoke(app, ["doctor", str(file), "--json", *LIGHT])
    told = json.loads(ended.stdout)
    assert (told["exit_code"], ended.exit_code) == (2, 2)
    first = told["findings"][0]
    assert (first["check"], first["severity"]) == ("configuration", "broken")
    assert "supervison" in first["seen"]
    assert {"means", "remedy"} <= set(first)


def skipping(file: Path | None, *names: str) -> Result:
    options = [option for name in names for option in ("--skip", name)]
    return CliRunner().invoke(app, ["doctor", *([str(file)] if file else []), "--json", *options])


def test_a_name_that_no_check_has_is_refused_with_those_there_are(tmp_path: Path) -> None:
    ended = skipping(FaultyStation(tmp_path).write(), "capactiy", "model")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "no check 'capactiy'" in ended.stderr
    assert all(name in ended.stderr for name in ("capacity", "model", "disks", "source 0-files"))


def test_every_name_that_the_report_gives_can_be_left_out(tmp_path: Path) -> None:
    file = FaultyStation(tmp_path).write(publishers=[{"kind": "redis_streams", "url": "redis://127.0.0.1:1"}])
    first = json.loads(skipping(file, "model").stdout)
    names = set(first["took_s"])
    assert {"source 0-files", "publisher redis", "disks"} <= names
    assert json.loads(skipping(file, "model", *names).stdout)["findings"] == []


def test_what_goes_with_the_model_is_named(tmp_path: Path) -> None:
    file = FaultyStation(tmp_path).write()
    assert json.loads(skipping(file, "model").stdout)["skipped"] == ["model", "fit", "coverage", "capacity"]
    shown = CliRunner().invoke(app, ["doctor", str(file), "--skip", "model"])
    assert "left out: model, fit, coverage, capacity" in " ".join(shown.stdout.split())


def test_a_name_of_another_role_can_be_left_out_of_a_line_for_all(tmp_path: Path) -> None:
    assert json.loads(skipping(FaultyStation(tmp_path).write(), "model", "kafka").stdout)["skipped"][-1] == "kafka"


def test_a_refused_file_is_told_of_whatever_is_left_out(tmp_path: Path) -> None:
    file = FaultyStation(tmp_path).write(supervison={})
    ended = skipping(file, "model", "configuration", "source 0-files")
    assert ended.exit_code == 2
    assert "supervison" in json.loads(ended.stdout)["findings"][0]["seen"]
