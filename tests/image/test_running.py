"""The image at work: as its own user, with a root that cannot be written."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from container_root import ContainerRoot, inhabitant

pytestmark = pytest.mark.timeout(600)

DEMO_S = 20


def last_object(said: str) -> dict[str, Any]:
    lines = [line for line in said.splitlines() if line.startswith("{")]
    assert lines, said
    answer: dict[str, Any] = json.loads(lines[-1])
    return answer


def test_it_is_nobody_in_particular_and_writes_only_where_it_should(image: ContainerRoot, volume: Path) -> None:
    script = """
        id -u; id -G
        for place in / /opt/seacanary /etc/seacanary /usr/local/bin /var/lib/seacanary /tmp; do
          if touch $place/.x 2>/dev/null; then echo $place; fi
        done"""
    code, said = image.run("sh", "-c", script, volume=volume)
    assert (code, said.split()) == (0, ["10001", "10001", "/var/lib/seacanary", "/tmp"])


def test_the_demo_hears_whales_and_balances_its_account(image: ContainerRoot, volume: Path) -> None:
    command = [*image.config["Entrypoint"], "demo", "--seconds", str(DEMO_S), "--json"]
    code, said = image.run(*command, volume=volume, timeout=300)
    assert code == 0, said
    summary = last_object(said)
    assert summary["balanced"] is True
    assert summary["events"]["started"] > 0
    assert summary["troubles"] == []


def test_the_doctor_finds_nothing_broken(image: ContainerRoot, volume: Path, settings: Path) -> None:
    command = [*image.config["Entrypoint"], "doctor", "/etc/seacanary/station.yaml", "--json", "--skip", "capacity"]
    code, said = image.run(*command, volume=volume, settings=settings, timeout=300)
    assert code in (0, 1), said  # warnings are this machine's: its clock, its memory
    report = last_object(said)
    assert report["exit_code"] == code
    assert len(report["findings"]) > 10


def test_its_command_runs_a_station_that_is_healthy_and_ends_in_order(
    image: ContainerRoot, volume: Path, settings: Path
) -> None:
    whole = [*image.config["Entrypoint"], *image.config["Cmd"]]
    health_check = image.config["Healthcheck"]["Test"][1:]
    with image.started(*whole, volume=volume, settings=settings) as process:
        answers = []
        deadline_s = time.monotonic() + 240
        while not answers or answers[-1][0] != 0:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline_s, answers[-1]
            answers.append(image.beside(process, *health_check))
            time.sleep(0.5)
        assert json.loads(answers[-1][1])["ok"] is True
        assert image.beside(process, "cat", "/proc/1/comm") == (0, "tini\n")
        os.kill(inhabitant(process.pid), signal.SIGTERM)
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "balanced" in said or "captured" in said
    assert (volume / "state" / "journal.db").stat().st_uid == 10001


def test_a_health_check_of_nothing_says_so(image: ContainerRoot, volume: Path) -> None:
    code, said = image.run(*image.config["Healthcheck"]["Test"][1:], volume=volume)
    assert (code, said) == (1, "127.0.0.1:9108/healthz: [Errno 111] Connection refused\n")
