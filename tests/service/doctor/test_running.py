"""Whether a station runs: where that cannot be told, nothing of it is opened."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from faulty_station import FaultyStation
from planted_faults import tcp
from seacanary.config import read_config
from seacanary.doctor import checks
from seacanary.doctor.findings import Finding
from seacanary.doctor.running import is_held, look_for
from seacanary.doctor.subject import NOT_RUNNING
from seacanary.journal_store import JournalStore

QUIET = {"enabled": False}


@contextmanager
def recorder() -> Iterator[tuple[int, list[socket.socket]]]:
    """A recorder that takes one client: its port, and who has called."""
    callers: list[socket.socket] = []

    def serve() -> None:
        try:
            while True:
                callers.append(listener.accept()[0])
        except OSError:  # closed below
            return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        waiting = threading.Thread(target=serve)
        waiting.start()
        yield listener.getsockname()[1], callers
        listener.shutdown(socket.SHUT_RDWR)
        waiting.join()
    for caller in callers:
        caller.close()


@contextmanager
def a_process(*words: str) -> Iterator[int]:
    """One that is called so, and does nothing."""
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()", *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.terminate()


def check_left_alone(findings: list[Finding], why: str) -> None:
    """It says why it does not know, and has not tried the source."""
    told = {finding.name: finding for finding in findings}
    assert (told["station"].severity, told["source 0-tcp"].severity) == ("unknown", "unknown")
    assert why in told["station"].seen
    assert "not tried" in told["source 0-tcp"].seen
    assert all(told[name].remedy for name in ("station", "source 0-tcp"))


def lock_that_cannot_be_asked(journal: Path) -> None:
    """As another user's: it cannot be opened."""
    journal.with_name(journal.name + ".lock").mkdir(parents=True)


def test_a_recorder_is_not_called_while_the_lock_cannot_be_asked(station: FaultyStation) -> None:
    lock_that_cannot_be_asked(station.journal)
    with recorder() as (port, callers):
        findings = station.found(metrics=QUIET, sources=[tcp(port)])
    check_left_alone(findings, "journal.db.lock cannot be asked")
    assert callers == []


def test_a_recorder_is_not_called_while_a_process_runs_on_the_file(station: FaultyStation) -> None:
    """From another folder a relative journal.path names another file, and that one's lock is free."""
    with recorder() as (port, callers):
        file = station.write(metrics=QUIET, sources=[tcp(port)])
        with a_process("seacanary", "run", str(file)) as process:
            findings = station.examined()
    check_left_alone(findings, f"process {process}")
    assert callers == []


def test_a_recorder_is_not_called_while_looking_hangs(station: FaultyStation, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(checks, "look_for", lambda *_, **__: over.wait(60) and NOT_RUNNING)
    monkeypatch.setattr(checks, "LOOK_S", 0.2)
    with recorder() as (port, callers):
        findings = station.found(metrics=QUIET, sources=[tcp(port)])
    over.set()
    check_left_alone(findings, "within 0.2 s")
    assert callers == []


@pytest.mark.parametrize(
    "words",
    [
        ("seacanary", "run", "/elsewhere/station.yaml"),
        ("seacanary", "check", "{file}"),
        ("less", "{file}"),
    ],
)
def test_other_processes_are_no_station_of_this_file(words: tuple[str, ...], station: FaultyStation) -> None:
    file = station.write(metrics=QUIET)
    with a_process(*(word.format(file=file) for word in words)):
        assert look_for(read_config(file), file=file) == NOT_RUNNING


def test_a_lock_is_held_free_or_cannot_be_asked(station: FaultyStation) -> None:
    assert not is_held(station.journal)
    with JournalStore.open(station.journal):
        assert is_held(station.journal)
    assert not is_held(station.journal)
    lock = station.journal.with_name(station.journal.name + ".lock")
    lock.unlink()
    lock.mkdir()
    with pytest.raises(OSError, match=r"journal\.db\.lock"):
        is_held(station.journal)
