"""`seacanary init` without a person: every question has a flag, and nothing is replaced in silence."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml
from typer.testing import CliRunner

from redis_server import free_port
from seacanary.cli import app
from seacanary.config import read_config
from seacanary.doctor.findings import ok
from seacanary.init.metering import FLOOR_DB, Level, bar_of, level_of
from seacanary.sources.devices import DeviceList
from webhook_receiver import SECRET

QUICK = ["--yes", "--untried", "--name", "pier-7", "--source", "simulated"]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def init(*arguments: str, said: str | None = None) -> Any:
    return CliRunner().invoke(app, ["init", *arguments], input=said)


def test_flags_answer_every_question() -> None:
    secret, url = Path("hook-secret"), Path("ntfy-url")
    secret.write_text(SECRET)
    url.write_text("json://127.0.0.1/")
    ended = init(
        "s.yaml", *QUICK, "--position=48.14,-69.72", "--source", "{kind: files, path: sounds, watch: true}",
        "--model", "bundled", "--jsonl", "none", "--redis", "redis://u:s3cret@host/1", "--webhook", "https://h.example/a",
        "--webhook-secret-file", str(secret), "--webhook-public", "--notify-file", str(url), "--species", "beluga",
        "--state", "/var/lib/seacanary",
    )  # fmt: skip
    assert ended.exit_code == 0, ended.output
    config = read_config(Path("s.yaml"))
    assert [source.kind for source in config.sources] == ["simulated", "files"]
    assert [publisher.kind for publisher in config.publishers] == ["redis_streams", "webhook", "notify"]
    assert (config.station.latitude, config.station.longitude) == (48.14, -69.72)
    assert [rule.name for rule in config.alerts.rules] == ["beluga"]
    assert config.journal.path == Path("/var/lib/seacanary/journal.db")
    assert "s3cret" not in Path("s.yaml").read_text() + ended.output
    assert Path("secrets/redis-password").read_text() == "s3cret\n"


def test_the_least_there_is() -> None:
    assert init(*QUICK).exit_code == 0
    written = yaml.safe_load(Path("station.yaml").read_text())
    assert set(written) == {"station", "sources", "journal", "effort", "publishers"}


def test_what_is_there_is_not_replaced_without_a_word() -> None:
    Path("station.yaml").write_text("mine\n")
    refused = init(*QUICK)
    assert refused.exit_code == 2
    assert "is there already" in refused.output
    assert Path("station.yaml").read_text() == "mine\n"
    replaced = init(*QUICK, "--force")
    assert replaced.exit_code == 0
    assert "the old one stays as station.yaml.old-" in replaced.output
    assert init(*QUICK, "--force").exit_code == 0
    assert sorted(path.read_text() == "mine\n" for path in Path().glob("station.yaml.old-*")) == [False, True]


def test_a_person_may_say_no_to_replacing() -> None:
    Path("station.yaml").write_text("mine\n")
    refused = init(*QUICK[1:], said="n\n")
    assert refused.exit_code == 2
    assert "stays as it is" in refused.output
    assert Path("station.yaml").read_text() == "mine\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name", "pier 7"], "--name: got 'pier 7'"),
        (["--position", "here"], "--position: got 'here'"),
        (["--source", "{kind: files}"], "path: Field required"),
        (["--redis", "http://host"], "scheme must be one of redis"),
        (["--webhook", "https://h.example/"], "--webhook-secret-file"),
    ],
)
def test_a_flag_that_cannot_be_taken_is_named(arguments: list[str], message: str) -> None:
    refused = init(*QUICK, *arguments)
    assert refused.exit_code == 2
    assert message in refused.output.replace("\n", " ")
    assert not Path("station.yaml").exists()


def test_without_a_device_and_a_person_a_source_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seacanary.init.trials.apart", lambda *_, **__: no_devices())
    refused = init("--yes", "--untried")
    assert refused.exit_code == 2
    assert "give --source" in refused.output


def no_devices() -> DeviceList:
    return DeviceList(devices=(), problems=())


def test_what_does_not_work_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seacanary.init.interview.load_model", lambda _: (None, []))
    recording()
    port = free_port()
    tried = ["--yes", "--name", "x", "--source", "{kind: files, path: sounds}", "--redis", f"redis://127.0.0.1:{port}"]
    refused = init(*tried)
    assert refused.exit_code == 2
    assert "Connection refused" in refused.output
    assert "--untried" in refused.output
    assert not Path("station.yaml").exists()


def test_a_person_is_asked_again_until_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seacanary.init.interview.load_model", lambda _: (None, [ok("model", "fine")]))
    recording()
    answers = [
        "pier 7", "pier-7", "91, 0", "", "none",  # name; position; file for events
        f"redis://127.0.0.1:{free_port()}", "", "leave it out",  # Redis; its password; what next
        "none", "none",  # webhook; channel
    ]  # fmt: skip
    ended = init("--model", "bundled", "--source", "{kind: files, path: sounds}", said="\n".join(answers) + "\n")
    assert ended.exit_code == 0, ended.output
    assert "Error: got 'pier 7'" in ended.output
    assert "degrees north, then east" in ended.output
    assert "broken" in ended.output
    config = read_config(Path("station.yaml"))
    assert (config.station.name, config.publishers) == ("pier-7", ())


def test_two_sources_cannot_share_a_name() -> None:
    refused = init(*QUICK, "--source", "simulated")
    assert refused.exit_code == 2
    assert "another source has hydrophones of that name: simulated" in refused.output


def recording() -> None:
    Path("sounds").mkdir()
    soundfile.write("sounds/20260501_120000.wav", np.zeros(8000), 8000)


def test_levels_are_of_full_scale() -> None:
    sine = np.sin(2 * np.pi * np.arange(4800) / 48).astype(np.float32)
    full = level_of("h1", sine)
    assert (round(full.rms_db, 2), round(full.peak_db, 2)) == (-3.01, 0.0)
    assert level_of("h1", np.zeros(10, np.float32)) == Level("h1", FLOOR_DB, FLOOR_DB)
    assert round(level_of("h1", sine / 10).rms_db, 2) == -23.01


def test_the_bar_grows_with_the_level() -> None:
    lengths = [bar_of(Level("h1", level_db, level_db)).plain.count("█") for level_db in (-200.0, -96.0, -48.0, 0.0)]
    assert lengths == [0, 0, 16, 32]
