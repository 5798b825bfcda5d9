"""Faults to plant in a station that has none, how each must show, and what they are planted with."""

import re
import subprocess
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from event_samples import event
from faulty_station import FaultyStation
from seacanary.config import read_config
from seacanary.doctor.findings import Finding, Severity
from seacanary.doctor.subject import Running, Subject
from seacanary.health import digest_of
from seacanary.journal_store import JournalStore
from webhook_receiver import SECRET

ALSA = {"kind": "alsa", "device": "hw:CARD=U", "hydrophones": ["deep"], "sample_rate_hz": 384_000}


class Expected(NamedTuple):
    """How a fault must show."""

    severity: Severity
    seen: str
    remedy: str


Plant = Callable[[FaultyStation, pytest.MonkeyPatch], list[Finding]]


class Faults(dict[str, tuple[Plant, Expected]]):
    """A table of faults, by name."""

    def fault(self, severity: Severity, *, seen: str, remedy: str) -> Callable[[Plant], Plant]:
        """Put a fault into the table; what it returns is what the doctor found."""

        def put(plant: Plant) -> Plant:
            self[plant.__name__] = (plant, Expected(severity, seen, remedy))
            return plant

        return put

    def check(self, name: str, station: FaultyStation, monkeypatch: pytest.MonkeyPatch) -> None:
        """Plant one: it is found, and its remedy named."""
        plant, expected = self[name]
        check_found(plant(station, monkeypatch), expected)


def check_found(findings: Sequence[Finding], expected: Expected) -> None:
    """One of them is the fault as it must show, and none tells a secret."""
    amiss = [finding for finding in findings if finding.severity != "ok"]
    hits = [finding for finding in amiss if re.search(expected.seen, finding.seen)]
    assert hits, f"not found among: {amiss}"
    assert hits[0].severity == expected.severity
    assert re.search(expected.remedy, hits[0].remedy)
    assert hits[0].means
    assert SECRET not in str(amiss)


def subject_of(station: FaultyStation, **sections: Any) -> Subject:
    path = station.write(**sections)
    return Subject(path, read_config(path))


def run_of(subject: Subject, **health: Any) -> Running:
    """A running station that says this of itself."""
    assert subject.config is not None
    well = {
        "ready": True, "running_s": 4000.0, "versions": {"seacanary": metadata.version("seacanary")},
        "config": digest_of(subject.config),
    }  # fmt: skip
    return Running(holds=True, health={**well, **health})


def here(monkeypatch: pytest.MonkeyPatch, *, listen_s: float = 2.0) -> None:
    """Load models and hear sources in this process, and not for long: what is apart is tested in test_apart.py."""
    for module in ("model", "sources"):
        monkeypatch.setattr(f"seacanary.doctor.{module}.apart", lambda call, limit_s: call())
    monkeypatch.setattr("seacanary.doctor.listening.LISTEN_S", listen_s)


def with_events(station: FaultyStation, *, entry_s: float, dead: bool = False) -> Path:
    """A journal of two events, of which the second was refused or waits."""
    with JournalStore.open(station.journal) as store:
        entries = store.append([event(1), event(2)], states={}, done=(), now=lambda: entry_s)
        store.move_cursor("jsonl", 1)
        if dead:
            store.dead_letter("jsonl", entries[1], "404 Not Found")
    return station.journal


def tcp(port: int) -> dict[str, Any]:
    return {"kind": "tcp", "port": port, "hydrophones": ["h1"], "sample_rate_hz": 48_000}


def hook(url: str) -> dict[str, Any]:
    return {"kind": "webhook", "name": "hook", "url": url, "secret": SECRET, "allow_private_networks": True}


def jsonl(station: FaultyStation) -> dict[str, Any]:
    return {"kind": "jsonl", "path": str(station.folder / "events.jsonl")}


def certificate(folder: Path) -> Path:
    """Key and self-signed certificate for this machine, in one file."""
    file = folder / "tls.pem"
    new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    command = ["openssl", *new, "-subj", "/CN=localhost", "-keyout", file, "-out", folder / "cert.pem"]
    subprocess.run(command, check=True, capture_output=True)
    file.write_bytes(file.read_bytes() + (folder / "cert.pem").read_bytes())
    return file
