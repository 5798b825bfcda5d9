"""Runs `seacanary run` as systemd would: again, a moment after it has ended, until the soak is over."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.soaking.records import LEDGER, Counts, Life

AGAIN_AFTER_S = 1.0
STOPPING_S = 90.0


class Supervisor:
    """One process after the other.

    Attributes:
        lives: of the station so far, the present one last.
    """

    def __init__(
        self,
        config: Path,
        *,
        folder: Path,
        environment: Mapping[str, str],
        now_s: Callable[[], float],
        done_files: Callable[[], frozenset[str]],
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            config: the station's.
            folder: for what it writes.
            environment: beside this process's own.
            now_s: the soak's clock.
            done_files: reads the journal between two lives.
        """
        self._config, self._folder = config, folder
        self._environment = {**os.environ, **environment}
        self._now_s, self._done_files = now_s, done_files
        self._over = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self.lives: list[Life] = []

    def start(self) -> None:
        """Begin the first life."""
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """Of the present process, None between two."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal; whether there was a process to take it."""
        process = self._process
        if process is None or process.poll() is not None:
            return False
        if number == signal.SIGKILL:
            self.lives[-1].asked = "killed"
        process.send_signal(number)
        return True

    def stop(self) -> None:
        """End the station in order, and do not begin it again."""
        self._over.set()
        if self.lives and self.lives[-1].ended_s == 0:
            self.lives[-1].asked, self.lives[-1].told_s = "stopped", self._now_s()
            self.signal(signal.SIGTERM)
        self._thread.join(STOPPING_S)
        if self._thread.is_alive() and self._process is not None:
            self._process.kill()  # it did not end: the life shows it
            self._thread.join(10)

    def _run(self) -> None:
        while not self._over.is_set():
            self._live()
            self._over.wait(AGAIN_AFTER_S)

    def _live(self) -> None:
        number = len(self.lives)
        done_before = self._done_files()
        written, logged = self._folder / f"life-{number}.jsonl", self._folder / f"life-{number}.log"
        with written.open("wb") as out, logged.open("wb") as err:
            command = [sys.executable, "-m", "seacanary.cli", "run", str(self._config), "--json"]
            life = Life(number, self._now_s(), done_before=done_before)
            self._process = subprocess.Popen(command, stdout=out, stderr=err, env=self._environment)
            self.lives.append(life)
            life.code = self._process.wait()
            life.ended_s = self._now_s()
        _take_account(life, written)


def _take_account(life: Life, written: Path) -> None:
    """The closing account of a life that ended in order is its last reading, of what was captured until then."""
    lines = written.read_text(errors="replace").splitlines()
    summary = _summary(lines[-1]) if lines else None
    if summary is None:
        return
    life.closed = True
    for name, line in summary["ledger"].items():
        counts = Counts(life.told_s or life.ended_s, *(line[what] for what in LEDGER))
        life.counts.setdefault(name, []).append(counts)


def _summary(line: str) -> dict[str, Any] | None:
    try:
        read = json.loads(line)
    except ValueError:
        return None
    return read if isinstance(read, dict) and read.get("type") == "summary" else None


def now_since(began_s: float) -> Callable[[], float]:
    """The soak's clock."""
    return lambda: time.monotonic() - began_s
