"""Evidence at the edge on a real Kafka: sound in, events of workers back, clips of the very sound."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import httpx
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from byte_models import write_byte_model
from cluster_scene import by_id
from edge_recordings import RATE_HZ, check_clips, record
from fakes import EPOCH
from kafka_cluster import Cluster
from kafka_server import KafkaServer, why_not
from redis_server import free_port
from seacanary.events import PresenceEvent
from seacanary.evidence.consumer import CURSOR
from seacanary.evidence.files import ClipFacts
from seacanary.journal import Journal

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(900)]

CHILD = Path(__file__).parent / "edge_child.py"
HYDROPHONES = ("north", "south")
LONGEST_WAIT_S = 240


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    if reason := why_not():
        pytest.skip(reason)
    with KafkaServer(tmp_path_factory.mktemp("kafka")) as server:
        yield server


class Site:
    """An edge that plays recordings; what it keeps, and its workers, lie in one folder."""

    def __init__(self, folder: Path, server: KafkaServer, *, seconds: float, **spool: object) -> None:
        self.folder, self.port = folder, free_port()
        self.truth: Mapping[str, NDArray[np.float32]] = {
            name: record(folder / name, seconds=seconds, seed=seed) for seed, name in enumerate(HYDROPHONES)
        }
        self.sections: dict[str, Any] = {
            "model": {"path": str(write_byte_model(folder / "model")), "sessions": 1},
            "presence": {"rule": {"hold_s": 0.5}},
        }
        prefix = f"{folder.name}."
        self.cluster = Cluster(
            server, self, folder, prefix=prefix, partitions=2, worker={"clips": True}, request_timeout_s=3.0
        )
        self._tree = self.sections | {
            "station": {"name": "pier"},
            "batching": {"queue_windows": 4096},
            "kafka": self.cluster.kafka.model_dump(mode="json"),
            "edge": {"spool": str(folder / "spool")},
            "evidence": {"path": str(folder / "evidence"), "longest_clip_s": 5, "silence_s": 2, "spool": spool},
            "retention": {"min_free_bytes": 0},
            "web": {"port": self.port},
            "metrics": {"enabled": False},
        }

    @contextmanager
    def edge(self, pace: Literal["realtime", "fast"]) -> Iterator[subprocess.Popen[bytes]]:
        """A run of the edge, whose pages are there; killed on exit."""
        sources = [
            {"kind": "files", "path": str(self.folder / name), "name": name, "pace": pace} for name in HYDROPHONES
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(CHILD.parents[1])}
        path = self.folder / "edge.json"
        path.write_text(json.dumps(self._tree | {"sources": sources}), encoding="utf-8")
        starts = self.log.count("pages at")
        with (self.folder / "edge.log").open("ab") as log:
            process = subprocess.Popen([sys.executable, str(CHILD), str(path)], stdout=log, stderr=log, env=environment)
        try:
            self.wait(lambda: self.log.count("pages at") > starts, "the edge's pages are there")
            yield process
        finally:
            process.kill()
            process.wait()

    @property
    def log(self) -> str:
        """All that edges have said."""
        path = self.folder / "edge.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def events(self) -> list[PresenceEvent]:
        """Of the topic, each once."""
        return list(by_id([event for event, _ in self.cluster.events()]).values())

    def clips(self) -> int:
        """Events that have been dealt with."""
        return len(list((self.folder / "evidence").rglob("*.json")))

    def checked(self) -> list[ClipFacts]:
        """Facts of every event's one clip, held against the recordings; the edge's journal has no other events."""
        events = self.events()
        stored, behind = asyncio.run(self._journalled())
        assert (by_id(stored), behind) == (by_id(events), 0)
        return check_clips(self.folder / "evidence", events, self.truth)

    async def _journalled(self) -> tuple[list[PresenceEvent], int]:
        async with await Journal.open_to_read(self.folder / "spool" / "journal.db") as journal:
            events = [entry.event async for entry in journal.entries() if isinstance(entry.event, PresenceEvent)]
            return events, journal.head - await journal.cursor(CURSOR)

    def get(self, path: str, **query: str) -> httpx.Response:
        """Ask the edge's web server."""
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", params=query, timeout=30)

    def wait(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something holds."""
        deadline_s = time.monotonic() + LONGEST_WAIT_S
        while not holds():
            assert time.monotonic() < deadline_s, f"waited in vain until {what}\n{self.log[-3000:]}"
            time.sleep(0.1)

    def wait_ended(self, process: subprocess.Popen[bytes]) -> None:
        """The recordings have been played, their events have come."""
        assert process.wait(LONGEST_WAIT_S) == 0, self.log[-3000:]


def utc(seconds: float) -> str:
    return (EPOCH + timedelta(seconds=seconds)).isoformat()


def heard_s(site: Site, hydrophone: str) -> float:
    """How far a hydrophone has been heard, in seconds of its recordings, within one."""
    much_later_s = 100_000
    answer = site.get(f"/api/audio/{hydrophone}", start=utc(much_later_s - 1), end=utc(much_later_s))
    assert answer.status_code == 416, answer.text
    return much_later_s - float(answer.headers["retry-after"])


def test_brokers_away_and_a_killed_edge_leave_each_event_its_one_clip(server: KafkaServer, tmp_path: Path) -> None:
    site = Site(tmp_path, server, seconds=180.0)
    with site.cluster, site.cluster.supervised(1):
        site.cluster.wait_ready()
        with site.edge("realtime"):
            site.wait(lambda: site.clips() >= 2, "the first clips are written")
            first = site.events()[0]
            server.kill()
            try:
                since_s = heard_s(site, "south") + 1
                site.wait(lambda: heard_s(site, "south") > since_s + 5, "sound goes on without brokers")
                stretch = site.get("/api/audio/south", start=utc(since_s), end=utc(since_s + 3.75))
                samples, _ = soundfile.read(BytesIO(stretch.content), dtype="float32")
                begins = round(since_s * RATE_HZ)
                np.testing.assert_array_equal(samples, site.truth["south"][begins : begins + 30_000])
                before = site.clips()
            finally:
                server.start()
            site.wait(lambda: site.clips() > before + 2, "clips come again")
        # killed in the middle of it all; the recordings are played again from their beginning
        with site.edge("fast") as process:
            site.wait(lambda: site.get(f"/api/events/{first.id}/clip").is_success, "the first event's clip")
            by_name = site.get(f"/evidence/{first.evidence}.flac")
            assert by_name.content == site.get(f"/api/events/{first.id}/clip").content
            site.wait_ended(process)
        facts = site.checked()
    assert len(facts) > 30
    assert {clip.outcome for clip in facts} == {"complete"}


def test_sound_that_made_room_before_its_event_came_is_noted(server: KafkaServer, tmp_path: Path) -> None:
    """Workers come when half of the sound is gone."""
    site = Site(tmp_path, server, seconds=60.0, max_bytes=2 << 20)  # 32 s of each
    with site.cluster:
        with site.edge("fast") as process:
            site.wait_ended(process)
        assert site.clips() == 0
        with site.cluster.supervised(1):
            site.cluster.wait_ready()
            site.cluster.wait_done()
            with site.edge("fast") as process:
                site.wait_ended(process)
            facts = site.checked()
    for name in HYDROPHONES:
        whole = [clip.outcome == "complete" for clip in facts if clip.event.hydrophone == name]
        assert whole == sorted(whole)
        assert 0 < sum(whole) < len(whole)
    assert site.log.count("was gone before its event came") == len(HYDROPHONES)
