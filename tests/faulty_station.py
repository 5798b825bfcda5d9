"""A station's configuration in a folder, to plant faults in, and what the doctor finds."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml

from seacanary.doctor.checks import diagnose
from seacanary.doctor.findings import Finding
from seacanary.doctor.report import findings_of

RATE_HZ = 8000
# Both load and run the model in processes of their own, which takes seconds.
HEAVY = frozenset({"model", "capacity"})


@dataclass(frozen=True)
class FaultyStation:
    """A station without a fault, until one is planted.

    Attributes:
        folder: of all its files.
    """

    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "station.yaml"

    @property
    def journal(self) -> Path:
        return self.folder / "state" / "journal.db"

    def write(self, **sections: Any) -> Path:
        """Its configuration, with sections put in or in place of what is there."""
        recordings = self.folder / "recordings"
        if not recordings.exists():
            recordings.mkdir()
            pcm = np.random.default_rng(1).normal(0, 0.01, RATE_HZ)
            soundfile.write(recordings / "20260501_120000.wav", pcm, RATE_HZ)
        tree = {
            "station": {"name": "test"},
            "sources": [{"kind": "files", "path": str(recordings), "name": "h1"}],
            "journal": {"path": str(self.journal)},
            "metrics": {"port": 0},
        }
        self.file.write_text(yaml.safe_dump({**tree, **sections}), encoding="utf-8")
        return self.file

    def found(
        self, *, heavy: bool = False, send: bool = False, skip: Sequence[str] = (), **sections: Any
    ) -> list[Finding]:
        """What the doctor finds; the model and what is measured are left out unless they are asked for."""
        self.write(**sections)
        return self.examined(heavy=heavy, send=send, skip=skip)

    def examined(self, *, heavy: bool = False, send: bool = False, skip: Sequence[str] = ()) -> list[Finding]:
        """As found, with the file as it is."""
        left_out = frozenset(skip) | (frozenset() if heavy else HEAVY)
        _, report = diagnose(self.file, send=send, skip=left_out)
        return findings_of(report)


def wrong(findings: Sequence[Finding]) -> list[Finding]:
    """Findings that something is not well; the clock of a test machine is its own affair."""
    return [finding for finding in findings if finding.severity != "ok" and finding.name != "clock"]


@contextmanager
def pcm_sender(rate_hz: float, *, level: float = 0.1, port: int = 0) -> Iterator[int]:
    """A sender of mono 16-bit audio over TCP at its own pace; the port it listens on, 0: a free one."""
    listener = socket.create_server(("127.0.0.1", port))
    over = threading.Event()

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    send(connection)

    def send(connection: socket.socket) -> None:
        noise = (np.random.default_rng(1).normal(0, level / 4, round(rate_hz)).clip(-1, 1) * 32_000).astype("<i2")
        began_s, sent = time.monotonic(), 0
        while not over.wait(0.02):
            due = round((time.monotonic() - began_s) * rate_hz)
            connection.sendall(np.resize(noise, due - sent).tobytes())
            sent = due

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        listener.close()
