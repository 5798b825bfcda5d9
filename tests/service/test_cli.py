import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml
from typer.testing import CliRunner, Result

from damaged import READABLE, REFUSED
from fakes import write_tiny_model
from old_files import make_newer
from seacanary.cli import app
from seacanary.journal_schema import locked
from seacanary.journal_store import JournalStore
from webhook_receiver import SECRET

RATE_HZ = 8000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model"))


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def recording(path: Path, *, loud_s: tuple[float, float] | None, seconds: float = 4.0, rate: int = RATE_HZ) -> Path:
    pcm = np.random.default_rng(1).normal(0, 0.01, round(seconds * rate))
    if loud_s:
        pcm[round(loud_s[0] * rate) : round(loud_s[1] * rate)] = 0.9
    soundfile.write(path, pcm, rate, subtype="PCM_16")
    return path


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def of_type(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [o for o in objects if o["type"] == kind]


def test_analyze_reports_calls_presences_and_a_balanced_ledger(model: Path, tmp_path: Path) -> None:
    path = recording(tmp_path / "20260501_120000.wav", loud_s=(1.0, 2.0))
    result = call("analyze", path, "--model", model, "--windows")
    assert result.exit_code == 0
    objects = lines(result)
    (beluga,) = [o for o in of_type(objects, "detection") if o["species"] == "beluga"]
    assert beluga["onset_s"] == pytest.approx(1.0, abs=0.01)
    assert beluga["offset_s"] == pytest.approx(2.0, abs=0.01)
    assert beluga["onset"].startswith("2026-05-01T12:00:01")
    assert beluga["call_types"] == ["whistle"]
    assert beluga["band_hz"] == [0, 2000]
    assert {o["type"] for o in objects} == {"window", "detection", "started", "ended", "summary"}
    window = of_type(objects, "window")[0]
    assert set(window["probability"]) == {"whistle", "porpoise_click"}
    assert window["end_s"] - window["start_s"] == pytest.approx(0.128)
    summary = objects[-1]
    assert summary["type"] == "summary"
    ledger = summary["files"][0]["ledger"]["20260501_120000"]
    assert ledger["balanced"]
    assert ledger["analysed"] == ledger["elapsed"] == 4 * RATE_HZ


def test_a_silent_file_gives_no_findings_and_exit_code_0(model: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE_HZ), RATE_HZ)
    result = call("analyze", tmp_path / "silent.wav", "--model", model)
    assert result.exit_code == 0
    assert [o["type"] for o in lines(result)] == ["summary"]


def test_a_rate_that_cannot_carry_a_call_type_is_said_so(model: Path, tmp_path: Path) -> None:
    path = recording(tmp_path / "low.wav", loud_s=(1.0, 2.0), rate=4000)
    objects = lines(call("analyze", path, "--model", model, "--windows"))
    assert {o["species"] for o in of_type(objects, "detection")} == {"beluga"}
    assert all(o["unobserved"] == ["porpoise_click"] for o in of_type(objects, "window"))
    assert objects[-1]["files"][0]["unobserved_call_types"] == ["porpoise_click"]


def test_one_bad_file_is_reported_and_the_others_analysed(model: Path, tmp_path: Path) -> None:
    good = recording(tmp_path / "good.wav", loud_s=(1.0, 2.0))
    (tmp_path / "bad.wav").write_text("this is no sound")
    result = call("analyze", tmp_path / "bad.wav", good, "--model", model)
    assert result.exit_code == 1
    objects = lines(result)
    assert "bad.wav" in of_type(objects, "error")[0]["message"]
    assert of_type(objects, "detection")
    assert "bad.wav" in result.stderr
    assert call("analyze", tmp_path / "bad.wav", "--model", model).exit_code == 2


@pytest.mark.parametrize(
    ("form", "beginning"), [("csv", "type,file,hydrophone"), ("raven", "Selection\tView\tChannel")]
)
def test_tables_are_written_to_a_file(model: Path, tmp_path: Path, form: str, beginning: str) -> None:
    path = recording(tmp_path / "call.wav", loud_s=(1.0, 2.0))
    table = tmp_path / "out.txt"
    assert call("analyze", path, "--model", model, "--format", form, "--out", table).exit_code == 0
    written = table.read_text().splitlines()
    assert written[0].startswith(beginning)
    assert any("beluga" in line for line in written[1:])


def config(tmp_path: Path, model: Path, **changes: object) -> Path:
    recording(tmp_path / "20260501_120000.wav", loud_s=(1.0, 2.0))
    tree = {
        "station": {"name": "test"},
        "model": {"path": str(model)},
        "sources": [{"kind": "files", "path": str(tmp_path / "20260501_120000.wav"), "name": "h1"}],
        "presence": {"rule": {"hold_s": 0.5}},
        "journal": {"path": str(tmp_path / "journal.db")},
        "publishers": [{"kind": "jsonl", "path": str(tmp_path / "events.jsonl")}],
        "metrics": {"port": 0},
        **changes,
    }
    path = tmp_path / "station.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def test_run_journals_publishes_and_closes_with_a_summary(model: Path, tmp_path: Path) -> None:
    result = call("run", config(tmp_path, model), "--json")
    assert result.exit_code == 0
    objects = lines(result)
    assert [o["type"] for o in objects if o.get("species") == "beluga"] == ["started", "ended"]
    assert objects[-1]["type"] == "summary"
    assert objects[-1]["balanced"]
    assert objects[-1]["unsent"] == {"jsonl": 0}
    published = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [p["id"] for p in published] == [o["id"] for o in objects[:-1]]
    assert all(p["specversion"] == "1.0" for p in published)


def test_live_and_offline_find_the_same_presences(model: Path, tmp_path: Path) -> None:
    live = lines(call("run", config(tmp_path, model, presence={}), "--json"))[:-1]
    offline = lines(call("analyze", tmp_path / "20260501_120000.wav", "--model", model))

    def key(o: dict[str, Any]) -> tuple[object, ...]:
        return (o["type"], o["species"], o["onset"], o["offset"], o["reason"])

    assert [key(o) for o in live] == [key(o) for o in offline if o["type"] in ("started", "updated", "ended")]


def test_a_second_run_over_a_finished_file_tells_nothing_twice(model: Path, tmp_path: Path) -> None:
    path = config(tmp_path, model)
    assert len(lines(call("run", path, "--json"))) > 1
    again = lines(call("run", path, "--json"))
    assert [o["type"] for o in again] == ["summary"]


def test_check_says_what_a_station_would_do(model: Path, tmp_path: Path) -> None:
    result = call("check", config(tmp_path, model), "--json")
    assert json.loads(result.stdout)["hydrophones"] == ["h1"]
    assert json.loads(result.stdout)["provider"] == "CPUExecutionProvider"


def test_a_bad_config_or_model_exits_with_2_and_a_message(model: Path, tmp_path: Path) -> None:
    bad = call("run", config(tmp_path, model, metrics={"port": -3}))
    assert bad.exit_code == 2
    assert "metrics.port: got -3" in bad.stderr
    missing = call("run", config(tmp_path, tmp_path / "nowhere"))
    assert missing.exit_code == 2
    assert "no such model file" in missing.stderr
    absent = call("run", config(tmp_path, model, sources=[{"kind": "files", "path": str(tmp_path / "gone.wav")}]))
    assert absent.exit_code == 2
    assert "gone.wav" in absent.stderr


def test_files_that_may_be_well_again_end_with_1_and_others_with_2(model: Path, tmp_path: Path) -> None:
    path = config(tmp_path, model)
    with locked(tmp_path / "journal.db"):  # an earlier process that has not ended yet
        assert call("run", path).exit_code == 1
    (tmp_path / "not mounted").write_text("")
    away = {"path": str(tmp_path / "not mounted" / "journal.db")}
    assert call("run", config(tmp_path, model, journal=away)).exit_code == 1
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = {"port": other.getsockname()[1]}
        assert call("run", config(tmp_path, model, metrics=taken)).exit_code == 1
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"no database" * 500)
    assert call("run", config(tmp_path, model, journal={"path": str(damaged)})).exit_code == 2
    (tmp_path / "journal.db").unlink(missing_ok=True)
    JournalStore.open(tmp_path / "journal.db").close()
    make_newer(tmp_path / "journal.db", 999)
    refused = call("run", config(tmp_path, model))
    assert (refused.exit_code, "a newer seacanary has written it" in refused.stderr) == (2, True)


def test_events_tail_shows_the_journal_and_replay_rewinds_a_publisher(model: Path, tmp_path: Path) -> None:
    path = config(tmp_path, model)
    events = lines(call("run", path, "--json"))[:-1]
    shown = lines(call("events", "tail", path, "-n", 2, "--json"))
    assert [o["id"] for o in shown] == [o["id"] for o in events[-2:]]
    (tmp_path / "events.jsonl").unlink()
    assert f"{len(events)} events" in " ".join(call("events", "replay", path, "jsonl").stdout.split())
    assert call("run", path, "--json").exit_code == 0
    filled = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [line["id"] for line in filled] == [event["id"] for event in events]
    assert call("events", "replay", path, "kafka").exit_code == 2


@pytest.mark.parametrize(
    ("publisher", "said"),
    [
        ({"kind": "jsonl", "path": "events.jsonl", "name": "it"}, "the destination still holds are not doubled"),
        ({"kind": "webhook", "url": "https://example.org", "secret": SECRET, "name": "it"}, "again, under their ids"),
        ({"kind": "notify", "url": "json://example.org", "name": "it"}, "people are told"),
    ],
)
def test_a_replay_says_who_is_told_again(publisher: dict[str, str], said: str, tmp_path: Path) -> None:
    JournalStore.open(tmp_path / "journal.db").close()
    path = tmp_path / "station.json"
    tree = {"station": {"name": "pier"}, "sources": [{"kind": "simulated", "hydrophones": ["h1"]}]}
    path.write_text(json.dumps(tree | {"journal": {"path": str(tmp_path / "journal.db")}, "publishers": [publisher]}))
    assert said in " ".join(call("events", "replay", path, "it").stdout.split())


@pytest.mark.parametrize("name", ["config", "edge", "worker", "events", "contract"])
def test_schemas_are_json_schemas_and_the_published_ones_are_current(name: str) -> None:
    printed = call("schema", name).stdout
    assert json.loads(printed)["$defs"]
    published = Path(__file__).parents[2] / "docs" / f"{name}.schema.json"
    assert published.read_text() == printed, "run `make docs`"


def test_help_teaches_and_version_is_told() -> None:
    assert "seacanary demo" in call("--help").stdout
    assert json.loads(call("version", "--json").stdout)["seacanary"]
    for command in ("run", "demo", "analyze", "devices", "check", "schema", "bench", "edge", "worker"):
        text = call(command, "--help").stdout
        assert "Exit codes" in text or command == "devices"


@pytest.mark.parametrize(("name", "make", "samples"), READABLE, ids=[case[0] for case in READABLE])
def test_odd_files_are_analysed_with_a_balanced_ledger(
    model: Path, tmp_path: Path, name: str, make: Callable[[Path], None], samples: int
) -> None:
    make(tmp_path / name)
    result = call("analyze", tmp_path / name, "--model", model)
    assert result.exit_code == 0
    (file,) = lines(result)[-1]["files"]
    ledgers = file["ledger"].values()
    assert all(ledger["balanced"] and not ledger["pending"] for ledger in ledgers)
    assert sum(ledger["captured"] for ledger in ledgers) == samples
    assert {ledger["elapsed"] for ledger in ledgers} == {round(file["duration_s"] * file["sample_rate_hz"])}


# A NUL cannot be in an argument of a program.
NAMEABLE = [case for case in REFUSED if "\0" not in case[0]]


@pytest.mark.parametrize(("name", "make", "message"), NAMEABLE, ids=[case[0][:30] for case in NAMEABLE])
def test_unusable_files_exit_with_2_and_one_clear_sentence(
    model: Path, tmp_path: Path, name: str, make: Callable[[Path], None], message: str
) -> None:
    make(tmp_path / name)
    result = call("analyze", tmp_path / name, "--model", model)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr
    assert re.search(message, result.stderr)


def test_a_file_whose_name_is_no_utf8_is_refused_in_words(model: Path, tmp_path: Path) -> None:
    plain = recording(tmp_path / "plain.wav", loud_s=None)
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/h\xff\xfe.wav"))
    plain.rename(odd)
    result = call("analyze", odd, "--model", model)
    assert result.exit_code == 2
    assert "cannot be opened" in of_type(lines(result), "error")[0]["message"]


def test_a_reader_that_goes_away_is_no_traceback(model: Path, tmp_path: Path) -> None:
    path = recording(tmp_path / "long.wav", loud_s=(1.0, 2.0), seconds=60)
    command = [sys.executable, "-m", "seacanary.cli", "analyze", "--windows", "--model", str(model), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert "Traceback" not in errors


def test_one_unusable_source_among_others_is_told_and_exits_with_1(model: Path, tmp_path: Path) -> None:
    good = {"kind": "files", "path": str(tmp_path / "20260501_120000.wav"), "name": "h1"}
    gone = {"kind": "files", "path": str(tmp_path / "gone.wav"), "name": "h2"}
    result = call("run", config(tmp_path, model, sources=[good, gone]), "--json")
    assert result.exit_code == 1
    summary = lines(result)[-1]
    assert any("gone.wav" in trouble for trouble in summary["troubles"])
    assert summary["ledger"]["h1"]["analysed"] == 4 * RATE_HZ
