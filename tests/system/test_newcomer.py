"""A newcomer's first hour: init at a real terminal, then check, doctor and run, with the installed command."""

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hydro_device import build_plugin, write_alsa_conf
from redis_server import free_port
from seacanary.config import read_config
from terminal_session import TerminalSession
from webhook_receiver import Receiver

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(600)]

SEACANARY = str(Path(sys.executable).with_name("seacanary"))
RUN_S = 45


def seacanary(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SEACANARY, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=300)


def describe_the_station(session: TerminalSession) -> None:
    """A name that is none first; a simulated sea, whatever this machine has."""
    session.answer("Name of the station", "pier 7")
    session.expect("such as pier-7")
    session.answer("Name of the station", "pier-7")
    session.answer("Position", "48.14, -69.72")
    if session.expect("Hear how loud", "What to listen to") == "Hear how loud":
        session.answer("", "n")
        session.expect("What to listen to")
    session.answer("", "simulated")
    session.answer("Name of the simulated hydrophone", "north")
    session.expect("dBFS, peak")
    session.answer("Another source?", "")
    session.answer("Folder of the model", "")
    session.expect("ok")


def name_destinations(session: TerminalSession, receiver: Receiver) -> str:
    """A Redis that is away, and a webhook that answers; the webhook's secret, as it was shown."""
    session.answer("A file for events", "")
    session.answer("A Redis for events", f"redis://127.0.0.1:{free_port()}/0")
    session.answer_unseen("Its password", "")
    session.expect("do: see whether Redis runs")
    session.answer("What next", "leave")
    session.answer("A webhook that alerts are sent to", receiver.url)
    session.answer("Is it in your own network?", "")
    session.answer_unseen("The secret that requests are signed with", "")
    session.expect("The receiver must know this secret: ")
    session.answer("Give it to the receiver now", "")
    session.expect("is taken")
    session.answer("A channel to people", "")
    session.answer("Tell of which species", "")
    return session.seen.partition("must know this secret: ")[2].split()[0]


def test_a_station_from_nothing_to_its_first_events(tmp_path: Path) -> None:
    config = tmp_path / "station.yaml"
    with Receiver() as receiver:
        with TerminalSession([SEACANARY, "init"], folder=tmp_path) as session:
            describe_the_station(session)
            secret = name_destinations(session, receiver)
            session.expect("Written: station.yaml, secrets/webhook-secret")
            assert session.ended() == 0
        assert receiver.received[0].verified(secret)["type"] == "org.seacanary.station.condition.v1"
        assert secret not in config.read_text()
        assert (tmp_path / "secrets" / "webhook-secret").read_text() == f"{secret}\n"
        assert [stat.S_IMODE(path.stat().st_mode) for path in (config, tmp_path / "secrets" / "webhook-secret")] == [
            0o600,
            0o600,
        ]
        config.write_text(config.read_text() + "\nmetrics: {port: 0}\n")  # other tests may have the usual one
        checked = seacanary("check", "station.yaml", folder=tmp_path)
        assert (checked.returncode, checked.stderr) == (0, "")
        assert "hydrophones: north" in checked.stdout
        told = examined(tmp_path)
        assert [finding["seen"] for finding in told["findings"] if finding["severity"] == "broken"] == []
        run = seacanary("run", "station.yaml", "--seconds", str(RUN_S), "--json", folder=tmp_path)
        lines = [json.loads(line) for line in run.stdout.splitlines()]
        assert run.returncode == 0, run.stderr
        assert lines[-1]["type"] == "summary"
        assert lines[-1]["balanced"]
        assert [line for line in lines if line["type"] == "started" and line["hydrophone"] == "north"]
        alerts = [request.verified(secret) for request in receiver.received[1:]]
        assert any(alert["type"].startswith("org.seacanary.alert.") for alert in alerts)
    events = [json.loads(line) for line in (tmp_path / "state" / "events.jsonl").read_text().splitlines()]
    assert {event["data"]["hydrophone"] for event in events if "presence" in event["type"]} == {"north"}


def examined(folder: Path) -> dict[str, Any]:
    """What the doctor says; how fast this machine is beside other tests is not the question."""
    doctor = seacanary("doctor", "station.yaml", "--json", "--skip", "capacity", folder=folder)
    told: dict[str, Any] = json.loads(doctor.stdout)
    assert doctor.returncode == told["exit_code"]
    return told


def test_devices_of_this_machine_are_found_and_heard(tmp_path: Path) -> None:
    noise = np.random.default_rng(3).normal(0, 0.05, 4 * 96_000 * 2)
    (noise * 2**15).astype("<i2").tofile(tmp_path / "stereo96.raw")
    conf = write_alsa_conf(tmp_path, build_plugin(tmp_path), {"stereo96": (96_000, 2, "S16_LE")})
    environment = {"ALSA_CONFIG_PATH": str(conf)}
    flags = ["--position=", "--model=bundled", "--redis=none", "--webhook=none", "--jsonl=none"]
    with TerminalSession([SEACANARY, "init", *flags], folder=tmp_path, environment=environment) as session:
        session.answer("Name of the station", "pier-7")
        session.expect("stereo96")
        session.answer("Hear how loud each is?", "y")
        session.expect("channel 1")
        session.expect("dBFS, peak")
        session.answer("What to listen to", number_of("stereo96", session))
        session.answer("Hydrophones on it", "north, south")
        session.answer("Sample rate", "96 kHz")
        session.expect("dBFS, peak")
        session.answer("Another source?", "")
        session.answer("A channel to people", "")
        assert session.ended() == 0
    (source,) = read_config(tmp_path / "station.yaml").sources
    assert source.hydrophone_names == ("north", "south")


def number_of(device: str, session: TerminalSession) -> str:
    """How the table of devices numbers one."""
    rows = [line.split() for line in session.seen.splitlines() if "soundcard" in line and device in line]
    return rows[0][0]
