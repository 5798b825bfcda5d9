"""An edge keeps the clips of events that are made elsewhere."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from byte_models import write_byte_model
from carriers import ListCarrier, away
from edge_recordings import check_clips, record
from seacanary import beside_evidence
from seacanary.cluster import edge, edge_events, edge_evidence
from seacanary.cluster.edge import Edge
from seacanary.cluster.edge_config import EdgeConfig
from seacanary.cluster.edge_events import Batch, EventsAway
from seacanary.cluster.event_journal import EventRecord
from seacanary.config import StationConfig
from seacanary.detection import Detector
from seacanary.events import PresenceEvent
from seacanary.evidence.names import stem_of
from seacanary.image_detection import Transformer
from seacanary.metrics import Metrics
from seacanary.station import Station

SECONDS = 25.0


@dataclass
class Workers:
    """What workers say, and whether anybody can hear it."""

    events: list[PresenceEvent] = field(default_factory=list)
    reachable: bool = True

    @asynccontextmanager
    async def events_of(self, *_: object) -> AsyncIterator["Workers"]:
        if not self.reachable:
            raise EventsAway("nobody answers")
        yield self

    async def begin(self, next_offset: int | None, *, since_ms: int) -> int:
        assert since_ms > 0
        self.place = next_offset or 0
        return self.place

    async def read(self) -> Batch:
        await asyncio.sleep(0.01)
        first, self.place = self.place, len(self.events)
        values = [event.model_dump_json().encode() for event in self.events[first:]]
        return Batch([EventRecord(first + i, 0, value) for i, value in enumerate(values)], self.place)

    async def end(self) -> int:
        return len(self.events)


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    workers = Workers()
    monkeypatch.setattr(edge_evidence, "events_of", workers.events_of)
    monkeypatch.setattr(edge_events, "FIRST_WAIT_S", 0.05)
    monkeypatch.setattr(edge_events, "LOOK_S", 0.05)
    monkeypatch.setattr(beside_evidence, "LOOK_S", 0.05)
    monkeypatch.setattr(edge, "LAST_EVENTS_S", 0.5)
    monkeypatch.setattr(edge, "DRAIN_S", 1.0)
    return workers


@dataclass
class Site:
    """One hydrophone's recordings and the configuration of whoever plays them."""

    folder: Path
    truth: dict[str, NDArray[np.float32]]
    tree: dict[str, Any]

    async def events(self) -> list[PresenceEvent]:
        """What workers will say: the events of a station, which name their clips."""
        config = StationConfig.model_validate(self.tree | {"journal": {"path": str(self.folder / "station.db")}})
        events: list[PresenceEvent] = []
        detector = Detector.load(config.model)
        await Station(config, detector=detector, metrics=Metrics(), on_events=events.extend).run()
        detector.close()
        return [event.model_copy(update={"evidence": stem_of(event)}) for event in events]

    async def run_edge(self, metrics: Metrics, carrier: ListCarrier, **spool: object) -> None:
        evidence = {"path": str(self.folder / "evidence"), "longest_clip_s": 5, "silence_s": 0.2, "spool": spool}
        kept = {"evidence": evidence, "retention": {"min_free_bytes": 0}, "quality": {"enabled": False}}
        tree = self.tree | kept | {"edge": {"spool": str(self.folder / "spool")}}
        config = EdgeConfig.model_validate(tree)
        transformer = Transformer.load(config.model)
        async with asyncio.timeout(60):
            await Edge(config, transformer=transformer, carrier=carrier, metrics=metrics).run()
        transformer.close()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return make_site(tmp_path, seconds=SECONDS)


def make_site(tmp_path: Path, *, seconds: float) -> Site:
    truth = record(tmp_path / "north", seconds=seconds, seed=1)
    tree = {
        "station": {"name": "pier"},
        "model": {"path": str(write_byte_model(tmp_path / "model")), "sessions": 1},
        "sources": [{"kind": "files", "path": str(tmp_path / "north"), "name": "north"}],
        "presence": {"rule": {"hold_s": 0.5}},
        "metrics": {"enabled": False},
    }
    return Site(tmp_path, {"north": truth}, tree)


def count(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"seacanary_{name}", {"hydrophone": "north", **labels}) or 0.0


async def test_each_event_of_the_workers_gets_its_clip_bit_by_bit(site: Site, workers: Workers) -> None:
    workers.events = await site.events()
    assert len(workers.events) > 6
    metrics = Metrics()
    await site.run_edge(metrics, ListCarrier())
    facts = check_clips(site.folder / "evidence", workers.events, site.truth)
    assert {clip.outcome for clip in facts} == {"complete"}
    assert count(metrics, "evidence_clips_total", outcome="complete") == len(facts)
    assert count(metrics, "evidence_spool_seconds") == pytest.approx(SECONDS)
    assert metrics.registry.get_sample_value("seacanary_events_reached_state") == 1


async def test_events_that_come_after_an_outage_find_their_audio(site: Site, workers: Workers) -> None:
    workers.events, workers.reachable = await site.events(), False
    metrics = Metrics()
    await site.run_edge(metrics, ListCarrier(before=away))
    assert count(metrics, "evidence_clips_total", outcome="complete") == 0
    workers.reachable = True
    for _ in range(2):  # the second time there is nothing left to do
        await site.run_edge(Metrics(), ListCarrier())
    facts = check_clips(site.folder / "evidence", workers.events, site.truth)
    assert {clip.outcome for clip in facts} == {"complete"}


async def test_audio_that_made_room_before_its_event_came_is_noted_and_counted(
    tmp_path: Path, workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    site = make_site(tmp_path, seconds=60.0)
    workers.events, workers.reachable = await site.events(), False
    await site.run_edge(Metrics(), ListCarrier(), max_bytes=1 << 20)  # 32 s
    workers.reachable = True
    metrics = Metrics()
    await site.run_edge(metrics, ListCarrier(), max_bytes=1 << 20)
    facts = check_clips(site.folder / "evidence", workers.events, site.truth)
    whole = [clip.outcome == "complete" for clip in facts]
    assert whole == sorted(whole)  # the oldest went first
    assert 0 < sum(whole) < len(whole)
    assert facts[0].outcome == "missed"
    assert count(metrics, "evidence_late_clips_total") == len(whole) - sum(whole)
    assert sum("was gone before its event came" in line.message for line in caplog.records) == 1
