"""A whole station tells its supervisor how it fares. A datagram socket of the test stands in the place of systemd."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fakes import write_tiny_model
from noise_sender import NoiseSender
from whole_station import PATIENT

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

RATE_HZ = 8000
FED = "READY=1\nWATCHDOG=1\nSTATUS="


class Supervisor:
    """systemd's side: an inbox, and what came last."""

    def __init__(self, address: Path) -> None:
        self._inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._inbox.bind(str(address))
        self._inbox.settimeout(60)

    def until(self, right: Callable[[str], bool], *, within_s: float = 200) -> str:
        """The first notice from now on that is right."""
        deadline_s, seen = time.monotonic() + within_s, []
        while time.monotonic() < deadline_s:
            seen.append(self._inbox.recv(4096).decode())
            if right(seen[-1]):
                return seen[-1]
        raise AssertionError(seen[-5:])

    def drain(self) -> list[str]:
        """What came after the process has ended."""
        self._inbox.setblocking(False)
        notices = []
        while True:
            try:
                notices.append(self._inbox.recv(4096).decode())
            except BlockingIOError:
                return notices

    def close(self) -> None:
        self._inbox.close()


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with closing(Supervisor(tmp_path / "notify")) as inbox:
        yield inbox


@pytest.fixture
def sender() -> Iterator[NoiseSender]:
    with closing(NoiseSender(RATE_HZ)) as hydrophone:
        yield hydrophone


@pytest.fixture
def station(tmp_path: Path, supervisor: Supervisor, sender: NoiseSender) -> Iterator["subprocess.Popen[bytes]"]:
    write_tiny_model(tmp_path / "model")
    source = {"kind": "tcp", "mode": "connect", "port": sender.port, "hydrophones": ["h1"], "sample_rate_hz": RATE_HZ}
    tree = {
        "station": {"name": "watched"},
        "model": {"path": str(tmp_path / "model")},
        "sources": [source],
        "supervision": PATIENT,
        "journal": {"path": str(tmp_path / "journal.db")},
        "metrics": {"enabled": False},
    }
    (tmp_path / "station.json").write_text(json.dumps(tree))  # JSON is YAML
    process = subprocess.Popen(
        [sys.executable, "-m", "seacanary.cli", "run", str(tmp_path / "station.json"), "--json"],
        env=os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify")},
        stdout=subprocess.DEVNULL,
    )
    yield process
    process.kill()
    process.wait()


def is_fed(notice: str) -> bool:
    return notice.startswith(FED)


def is_hungry(notice: str) -> bool:
    return not notice.startswith("READY=1") and notice.startswith("STATUS=")


def test_a_hydrophone_that_hangs_ends_the_feeding_until_it_is_heard_again(
    station: "subprocess.Popen[bytes]", supervisor: Supervisor, sender: NoiseSender
) -> None:
    assert is_hungry(supervisor.until(lambda _: True))  # it has only begun
    assert supervisor.until(is_fed) == FED + "all is well"
    sender.sending.clear()
    assert "hydrophone h1 has delivered no samples" in supervisor.until(is_hungry)
    sender.sending.set()
    supervisor.until(is_fed)
    station.terminate()
    assert station.wait(60) == 0
    assert supervisor.drain()[-1] == "STOPPING=1"


@pytest.mark.slow
def test_a_journal_that_is_stuck_ends_the_feeding_while_sound_is_heard(
    tmp_path: Path, station: "subprocess.Popen[bytes]", supervisor: Supervisor
) -> None:
    supervisor.until(is_fed)
    with closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # nobody else can write now
        assert "the journal could not be written" in supervisor.until(is_hungry)
        other.execute("ROLLBACK")
    assert supervisor.until(is_fed) == FED + "all is well"
