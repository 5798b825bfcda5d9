"""Recordings of a station's hydrophones, and processes that hear them: the station, or an edge in its place."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from byte_models import write_byte_model
from cluster_scene import GUARD, PRESENCE, RATE_HZ, whistling
from fakes import EPOCH
from seacanary.cluster.image_spool import FILE
from seacanary.cluster.section import KafkaSection
from seacanary.events import PresenceEvent
from seacanary.journal import Journal

CHILD = Path(__file__).parent / "system" / "edge_child.py"
TAKE_S = 20.0  # of one recorded file


@dataclass(frozen=True)
class Site:
    """A station by its configuration, without what keeps or ships what it hears.

    Attributes:
        folder: where it keeps things.
        tree: station, sources, model, presence and all else that stations and edges have in common.
        station_only: what an edge leaves to others.
    """

    folder: Path
    tree: Mapping[str, Any]
    station_only: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sections(self) -> dict[str, Any]:
        """What its workers must have alike."""
        return {name: self.tree[name] for name in ("model", "presence", "guard") if name in self.tree}

    def events(self, *, seconds: float | None = None) -> list[PresenceEvent]:
        """The events of one station, `seacanary run`, that hears it all as fast as it can.

        Args:
            seconds: how long that may take, at most.
        """
        sources = [{**source, "pace": "fast"} for source in self.tree["sources"]]
        path = self.folder / "journal.db"
        tree = {**self.tree, **self.station_only, "sources": sources, "journal": {"path": str(path)}}
        config = self.folder / "station.json"  # JSON is YAML
        config.write_text(json.dumps(tree), encoding="utf-8")
        command = [sys.executable, "-m", "seacanary.cli", "run", str(config), "--json"]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False, timeout=seconds)
        assert done.returncode == 0, done.stderr[-3000:]
        summary = json.loads(done.stdout.splitlines()[-1])
        assert summary["balanced"], summary
        assert not summary["troubles"], summary
        return asyncio.run(_journalled(path))

    def edge(self, kafka: KafkaSection) -> "EdgeProcess":
        """An edge that hears it, and ships it."""
        return EdgeProcess(self.folder, self.tree, kafka)


class EdgeProcess:
    """An edge with its spool and log in one folder; it may be run more than once."""

    def __init__(self, folder: Path, tree: Mapping[str, Any], kafka: KafkaSection) -> None:
        self.folder = folder
        whole = {**tree, "kafka": kafka.model_dump(mode="json"), "edge": {"spool": str(folder / "spool")}}
        (folder / "edge.json").write_text(json.dumps(whole), encoding="utf-8")

    @contextmanager
    def running(self, *, within: Sequence[str] = (), extra: Mapping[str, str] | None = None) -> Any:
        """A run of it, killed on exit.

        Args:
            within: command that starts it elsewhere, such as in a network namespace.
            extra: environment besides the usual one.
        """
        with (self.folder / "edge.log").open("ab") as log:
            process = subprocess.Popen(
                [*within, sys.executable, CHILD, self.folder / "edge.json"],
                stdout=log,
                stderr=log,
                env={**environment(), **(extra or {})},
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def waiting(self) -> int:
        """Envelopes on disk."""
        return self._ask("SELECT count(*) FROM envelopes")

    def stored(self) -> int:
        """Envelopes that were ever put on disk."""
        return self._ask("SELECT coalesce(max(seq), 0) FROM sqlite_sequence")

    def shed(self) -> int:
        """Images that the spool had no room for."""
        return self._ask("SELECT coalesce(sum(shed_images), 0) FROM hydrophones")

    @property
    def log(self) -> str:
        """All that it has said."""
        return (self.folder / "edge.log").read_text(encoding="utf-8", errors="replace")

    def _ask(self, query: str) -> int:
        path = self.folder / "spool" / FILE
        if not path.exists():
            return 0
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            try:
                return int(connection.execute(query).fetchone()[0])
            except sqlite3.OperationalError:  # it is being made
                return 0


def environment() -> dict[str, str]:
    """For processes of a test: one thread each, as many of them share the machine."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)}


def small_site(
    folder: Path, *, station: str = "pier", hydrophones: int = 3, seconds: float, pace: str = "realtime", seed: int = 1
) -> Site:
    """A site for the tiny model: whistling bouts, samples missing here and there, a pause with a new epoch."""
    names = [f"h{place}" for place in range(hydrophones)]
    for place, name in enumerate(names):
        _record(folder / name, whistling(seconds, seed=seed + place), seed=seed + place)
    tree = {
        "station": {"name": station},
        "model": {"path": str(write_byte_model(folder / "model"))},
        "sources": [{"kind": "files", "name": name, "path": str(folder / name), "pace": pace} for name in names],
        "presence": PRESENCE.model_dump(mode="json"),
        "guard": GUARD.model_dump(mode="json"),
        "batching": {"queue_windows": 4096},  # a busy machine must not make the audio another
        "metrics": {"enabled": False},
    }
    return Site(folder, tree)


def _record(folder: Path, pcm: np.ndarray[Any, np.dtype[np.float32]], *, seed: int) -> None:
    """Files that follow one another, in the middle with a pause; what is missing is not a number."""
    folder.mkdir(parents=True)
    random, take = np.random.default_rng(seed), round(TAKE_S * RATE_HZ)
    for place, first in enumerate(range(0, pcm.size, take)):
        samples = pcm[first : first + take].copy()
        begin = int(random.integers(samples.size))
        samples[begin : begin + int(random.integers(1, RATE_HZ // 2))] = np.nan
        pause_s = 7.0 * (2 * first >= pcm.size)
        start = EPOCH + timedelta(seconds=place * TAKE_S + pause_s)
        soundfile.write(folder / f"{start:%Y%m%d_%H%M%S}.wav", samples, RATE_HZ, subtype="FLOAT")


async def _journalled(path: Path) -> list[PresenceEvent]:
    async with await Journal.open_to_read(path) as journal:
        return [entry.event async for entry in journal.entries() if isinstance(entry.event, PresenceEvent)]
