"""The roles on the command line, as far as no broker is needed: tests/system has the rest."""

import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from byte_models import write_byte_model
from documents import ROOT
from seacanary.cli import app
from seacanary.cluster import dead_letter_reading
from seacanary.cluster.dead_letter_reading import DeadLetter
from seacanary.cluster.section import KafkaSection

NOBODY = {"bootstrap_servers": ["127.0.0.1:1"], "request_timeout_s": 2}
LETTERS = [
    DeadLetter(3, datetime(2026, 5, 1, tzinfo=UTC), "no magic", "seacanary.images", 2, 17, b"pier/north", b"nonsense"),
    DeadLetter(8, datetime(2026, 5, 2, tzinfo=UTC), "[odd]", "seacanary.detections", 0, 4, b"\xff", None),
]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def write(path: Path, tree: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(tree))
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_byte_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def edge(model: Path, tmp_path: Path) -> Path:
    source = {"kind": "simulated", "hydrophones": ["north"], "sample_rate_hz": 8000}
    tree = {
        "station": {"name": "pier"},
        "model": {"path": str(model)},
        "sources": [source],
        "kafka": NOBODY,
        "edge": {"spool": str(tmp_path / "spool")},
        "metrics": {"enabled": False},
    }
    return write(tmp_path / "edge.yaml", tree)


@pytest.fixture
def worker(model: Path, tmp_path: Path) -> Path:
    tree = {
        "model": {"path": str(model)},
        "kafka": NOBODY,
        "worker": {"data": str(tmp_path / "data")},
        "metrics": {"enabled": False},
    }
    return write(tmp_path / "worker.yaml", tree)


def test_an_edge_without_brokers_keeps_its_images_and_says_how_many(edge: Path) -> None:
    ended = call("edge", edge, "--seconds", 1)
    assert ended.exit_code == 0
    assert "balanced" in ended.stdout
    waits = int(re.search(r"(\d+) records wait for kafka at 127.0.0.1:1 in ", ended.stdout)[1])  # type: ignore[index]
    again = json.loads(call("edge", edge, "--seconds", 1, "--json").stdout)
    assert again["type"] == "summary"
    assert again["balanced"]
    assert again["unsent"] > waits > 0
    assert again["ledger"]["north"]["analysed"] > 0


def test_an_edge_with_a_source_that_cannot_be_used_ends_with_1(edge: Path) -> None:
    tree = yaml.safe_load(edge.read_text())
    tree["sources"].append({"kind": "files", "path": "gone.wav", "name": "south"})
    write(edge, tree)
    ended = call("edge", edge, "--seconds", 1)
    assert ended.exit_code == 1
    assert "trouble: source 1-files: gone.wav" in ended.stdout


def test_a_worker_without_brokers_ends_with_1_for_its_supervisor_to_try_again(worker: Path) -> None:
    ended = call("worker", worker)
    assert ended.exit_code == 1
    assert "kafka at 127.0.0.1:1: KafkaConnectionError: Unable to bootstrap" in ended.stderr


@pytest.mark.parametrize("role", ["edge", "worker"])
def test_what_can_never_work_ends_with_2(role: str, edge: Path, worker: Path, tmp_path: Path) -> None:
    path = {"edge": edge, "worker": worker}[role]
    tree = yaml.safe_load(path.read_text())
    refused = call(role, write(path, tree | {"metrics": {"port": -1}}))
    assert (refused.exit_code, "metrics.port: got -1" in refused.stderr) == (2, True)
    no_model = call(role, write(path, tree | {"model": {"path": str(tmp_path)}}))
    assert (no_model.exit_code, "no such model file" in no_model.stderr) == (2, True)
    login = {"username": "u", "password_file": str(tmp_path / "gone")}
    no_password = call(role, write(path, tree | {"kafka": NOBODY | {"login": login}}))
    assert (no_password.exit_code, "kafka.login.password_file" in no_password.stderr) == (2, True)


def test_a_metrics_port_that_is_taken_is_said(worker: Path) -> None:
    tree = yaml.safe_load(worker.read_text()) | {"metrics": {"host": "192.0.2.1", "port": 9}}
    refused = call("worker", write(worker, tree))
    assert refused.exit_code == 2
    assert "metrics: cannot listen on 192.0.2.1:9" in refused.stderr


def test_check_finds_out_the_role_and_says_what_would_run(edge: Path, worker: Path) -> None:
    facts = json.loads(call("check", edge, "--json").stdout)
    assert (facts["role"], facts["hydrophones"], facts["brokers"]) == ("edge", ["north"], ["127.0.0.1:1"])
    facts = json.loads(call("check", worker, "--json").stdout)
    assert (facts["role"], facts["publishers"], facts["login"]) == ("worker", [], "no user, not encrypted")
    shown = call("check", worker).stdout
    assert "publishers: none" in shown
    wrong = call("check", worker, "--role", "edge")
    assert (wrong.exit_code, "it is for `seacanary worker`" in wrong.stderr) == (2, True)


def test_check_refuses_what_the_model_does_not_know(worker: Path, edge: Path) -> None:
    rule = {"thresholds": {"song": {"enter": 0.9}}}
    for path in (worker, edge):
        refused = call("check", write(path, yaml.safe_load(path.read_text()) | {"presence": rule}))
        assert refused.exit_code == 2
        assert "song" in refused.stderr


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The brokers hold LETTERS; what is sent again is noted."""
    sent: list[object] = []

    async def held(section: KafkaSection) -> AsyncIterator[DeadLetter]:
        for letter in LETTERS:
            yield letter

    async def replay(section: KafkaSection, numbers: Sequence[int] | None = None) -> int:
        sent.append(numbers)
        return len(LETTERS) if numbers is None else len(numbers)

    monkeypatch.setattr(dead_letter_reading, "dead_letters", held)
    monkeypatch.setattr(dead_letter_reading, "replay", replay)
    return sent


def test_dead_letters_are_listed_from_the_file_of_either_role(edge: Path, worker: Path, letters: list[object]) -> None:
    for path in (edge, worker):
        shown = call("deadletters", "list", path)
        assert shown.exit_code == 0
        assert "no magic" in shown.stdout
        assert "[odd]" in shown.stdout
    listed = [json.loads(line) for line in call("deadletters", "list", worker, "--json").stdout.splitlines()]
    assert listed[0] == {
        "number": 3,
        "refused": "2026-05-01T00:00:00+00:00",
        "reason": "no magic",
        "topic": "seacanary.images",
        "partition": 2,
        "offset": 17,
        "key": "pier/north",
        "bytes": 8,
    }
    assert (listed[1]["key"], listed[1]["bytes"]) == ("\\xff", 0)


def test_dead_letters_are_sent_again_by_number_or_all(worker: Path, letters: list[object]) -> None:
    passed_over = (
        "workers pass over those whose hydrophone has gone on since: "
        'seacanary_worker_records_total{stage="track",outcome="repeated"}\n'
    )
    assert call("deadletters", "replay", worker, 3).stdout == f"1 record sent again; {passed_over}"
    assert call("deadletters", "replay", worker, "--all").stdout == f"2 records sent again; {passed_over}"
    assert letters == [[3], None]
    assert call("deadletters", "replay", worker).exit_code == 2
    assert call("deadletters", "replay", worker, 3, "--all").exit_code == 2
    assert letters == [[3], None]


def test_dead_letters_need_brokers_and_a_file_that_names_them(worker: Path, edge: Path) -> None:
    nobody = call("deadletters", "list", worker)
    assert nobody.exit_code == 2
    assert "kafka at 127.0.0.1:1" in nobody.stderr
    tree = yaml.safe_load(edge.read_text())
    station = write(edge.with_name("station.yaml"), {name: tree[name] for name in ("station", "sources")})
    refused = call("deadletters", "list", station)
    assert (refused.exit_code, "name the file of an edge or a worker" in refused.stderr) == (2, True)


WITHOUT_THE_EXTRA = """
import json, sys
sys.modules.update(dict.fromkeys(["aiokafka", "faust", "mode", "rocksdict", "yarl"]))
from typer.testing import CliRunner
from seacanary.cli import app
for line in sys.stdin:
    ended = CliRunner().invoke(app, json.loads(line), catch_exceptions=False)
    print(json.dumps([ended.exit_code, ended.stderr]))
"""


def test_without_the_extra_what_needs_it_says_how_to_get_it_and_the_rest_works(edge: Path, worker: Path) -> None:
    needs = [
        ["edge", edge],
        ["worker", worker],
        ["deadletters", "list", edge],
        ["deadletters", "replay", edge, "--all"],
    ]
    works = [["--help"], ["edge", "--help"], ["check", edge], ["check", worker], ["schema", "worker"]]
    asked = "".join(json.dumps([str(word) for word in command]) + "\n" for command in needs + works)
    child = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_EXTRA], input=asked, capture_output=True, text=True, check=True
    )
    ended = [json.loads(line) for line in child.stdout.splitlines()]
    for code, message in ended[: len(needs)]:
        assert code == 2
        assert "is not installed; edges and workers need it: pip install 'seacanary[cluster]'" in message
    assert [code for code, _ in ended[len(needs) :]] == [0] * len(works)


@pytest.mark.parametrize("role", ["edge", "worker"])
def test_help_names_an_example_that_is_there_and_good(role: str) -> None:
    shown = call(role, "--help").stdout
    assert "Exit codes: 0" in shown
    [example] = re.findall(r"deploy/kafka/\w+\.yaml", shown)
    facts = json.loads(call("check", ROOT / example, "--json").stdout)
    assert facts["role"] == role
