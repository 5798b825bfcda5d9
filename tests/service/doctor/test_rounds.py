"""Rounds of light checks beside a running process, and what its /health says of them."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from faulty_station import FaultyStation
from seacanary.config import read_config
from seacanary.doctor.examining import Check
from seacanary.doctor.findings import Finding, warning
from seacanary.doctor.rounds import Rounds, examined, light_checks
from seacanary.doctor.subject import Running, Subject
from seacanary.health import Health, HealthBoard, Vitals
from seacanary.roles import read_any

FULL = warning("disk", "nearly full", means="evidence is deleted", remedy="make room")
PATIENT_S = 30.0
EXAMPLES = Path(__file__).parents[3] / "deploy" / "kafka"


@contextmanager
def making(*checks: Check) -> Iterator[Rounds]:
    with closing(Rounds(Subject, checks=lambda _: list(checks), first_s=0.0, every_s=0.01)) as rounds:
        yield rounds


def seen(rounds: Rounds, wanted: str) -> dict[str, Any]:
    """Details, once a finding says that."""
    until_s = time.monotonic() + PATIENT_S
    while time.monotonic() < until_s:
        details: dict[str, Any] = rounds.details()
        if any(wanted in finding["seen"] for finding in details["findings"]):
            return details
        time.sleep(0.005)
    raise AssertionError(f"nothing like {wanted!r} in {rounds.details()}")


def test_what_a_round_finds_is_told_as_the_doctor_tells_it() -> None:
    with making(Check("disks", lambda: [FULL])) as rounds:
        details = seen(rounds, "nearly full")
    assert details["findings"] == [FULL.model_dump()]
    assert details["examined_s_ago"] >= 0


def test_a_check_that_fails_leaves_the_others() -> None:
    def fail() -> Iterable[Finding]:
        raise ZeroDivisionError

    with making(Check("clock", fail), Check("disks", lambda: [FULL])) as rounds:
        details = seen(rounds, "nearly full")
    assert "could not be made" in details["findings"][0]["seen"]


def test_a_check_that_hangs_is_told_of_while_it_hangs_and_holds_one_thread() -> None:
    over, calls = threading.Event(), []

    def hang() -> Iterable[Finding]:
        calls.append(1)
        over.wait(PATIENT_S)
        return [FULL]

    with making(Check("disks", hang, limit_s=0.05)) as rounds:
        assert seen(rounds, "no answer within 0.05 s")["examined_s_ago"] is None
        assert len(calls) == 1
        over.set()
        assert len(seen(rounds, "nearly full")["findings"]) == 1


def test_rounds_end_with_their_owner() -> None:
    calls: list[int] = []

    def look() -> Iterable[Finding]:
        calls.append(1)
        return [FULL]

    with making(Check("disks", look)) as rounds:
        seen(rounds, "nearly full")
    made = len(calls)
    time.sleep(0.1)
    assert len(calls) == made


def test_a_running_station_is_examined_without_touching_what_it_has_open(tmp_path: Path) -> None:
    source = {"kind": "tcp", "port": 9, "hydrophones": ["h1"], "sample_rate_hz": 48_000}
    config = read_config(FaultyStation(tmp_path).write(sources=[source]))
    health = {"sources": {"0-tcp": {"state": "lost", "live": True, "reason": "no route"}}, "streams": {}}
    checks = light_checks(Subject(config=config, running=Running(holds=True, health=health)))
    findings = [finding for check in checks for finding in check.look()]
    assert [finding.seen for finding in findings if finding.severity == "broken"] == ["no route"]
    assert {"versions", "source 0-tcp", "folder of journal"} <= {finding.name for finding in findings}


def test_details_of_health_carry_them(tmp_path: Path) -> None:
    board = HealthBoard("station")
    board.post(Vitals(details={"streams": {}}))
    config = read_config(FaultyStation(tmp_path).write())
    with examined(lambda: config, board.read) as read:
        health: Health = read()
    assert health.is_ready
    assert {"streams", "findings", "examined_s_ago"} <= set(health.as_json())


def test_rounds_after_a_reload_examine_what_is_in_force_then(tmp_path: Path) -> None:
    board = HealthBoard("station")
    board.post(Vitals(details={"sources": {"0-tcp": {"state": "lost", "live": True, "reason": "no route"}}}))
    source = {"kind": "tcp", "port": 9, "hydrophones": ["h1"], "sample_rate_hz": 48_000}
    in_force = [read_config(FaultyStation(tmp_path).write())]
    with examined(lambda: in_force[-1], board.read, first_s=0.0, every_s=0.01) as read:
        at_the_start = findings_of(read, bool)
        in_force.append(read_config(FaultyStation(tmp_path).write(sources=[source])))
        later = findings_of(read, lambda findings: "no route" in findings)
    assert "no route" not in at_the_start
    assert "no route" in later


def findings_of(read: Callable[[], Health], wanted: Callable[[list[str]], bool]) -> list[str]:
    """What the details say was seen, once it is as wanted."""
    until_s, seen_of = time.monotonic() + PATIENT_S, list[str]()
    while time.monotonic() < until_s and not wanted(seen_of):
        findings: Any = read().as_json()["findings"]
        seen_of = [finding["seen"] for finding in findings]
        time.sleep(0.005)
    return seen_of


@pytest.mark.parametrize("role", ["edge", "worker"])
def test_every_role_can_be_examined_beside_its_process(role: str) -> None:
    config = read_any(EXAMPLES / f"{role}.yaml")
    subject = Subject(config=config, running=Running(holds=True, health={}))
    findings = [finding for check in light_checks(subject) for finding in check.look()]
    assert {"versions", "clock"} <= {finding.name for finding in findings}
