"""A live station over a real socket: what it says when the sound stops coming."""

import asyncio
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from fakes import write_tiny_model
from redis_server import free_port
from seacanary.config import StationConfig, parse_config
from seacanary.detection import Detector
from seacanary.events import PresenceEvent
from seacanary.metrics import Metrics
from seacanary.station import Station, StationSummary

pytestmark = pytest.mark.system

RATE_HZ = 8000
LOUD, QUIET = 0.9, 0.01


def config(folder: Path, port: int) -> StationConfig:
    write_tiny_model(folder / "model")
    source = {"kind": "tcp", "mode": "connect", "port": port, "hydrophones": ["h1"], "sample_rate_hz": RATE_HZ}
    tree = {
        "station": {"name": "live"},
        "model": {"path": str(folder / "model")},
        "sources": [source],
        "supervision": {"stall_s": 0.4, "first_wait_s": 0.05, "longest_wait_s": 0.2},
        "presence": {"rule": {"hold_s": 1.0}},
        "journal": {"path": str(folder / "journal.db")},
        "publishers": [{"kind": "jsonl", "path": str(folder / "events.jsonl")}],
    }
    return parse_config(tree, where="test")


class Hydrophone:
    """A recorder on the network: sends 16-bit noise in real time at the level it is told."""

    def __init__(self) -> None:
        self.level: float | None = QUIET
        self.connections = 0
        self.over = False

    async def serve(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        rng = np.random.default_rng(self.connections)
        try:
            while not (writer.is_closing() or self.over):
                if self.level is not None:
                    pcm = (rng.choice([-1, 1], RATE_HZ // 50) * self.level * 32767).astype("<i2")
                    writer.write(pcm.tobytes())
                    await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            pass  # the station hung up
        finally:
            writer.close()


@asynccontextmanager
async def running(
    folder: Path,
) -> AsyncIterator[tuple[Station, Hydrophone, Metrics, list[PresenceEvent], asyncio.Task[StationSummary]]]:
    port = free_port()
    hydrophone = Hydrophone()
    server = await asyncio.start_server(hydrophone.serve, "127.0.0.1", port)
    settings = config(folder, port)
    events: list[PresenceEvent] = []
    metrics = Metrics()
    station = Station(settings, detector=Detector.load(settings.model), metrics=metrics, on_events=events.extend)
    task = asyncio.create_task(station.run())
    try:
        yield station, hydrophone, metrics, events, task
    finally:
        station.stop()
        await asyncio.wait({task}, timeout=10)
        hydrophone.over = True
        metrics.close()
        server.close()
        await asyncio.sleep(0.1)


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def kinds(events: list[PresenceEvent]) -> list[tuple[str, str | None]]:
    return [(e.kind, e.reason) for e in events if e.species == "beluga"]


async def test_a_stalled_stream_is_reopened_and_its_presence_ends_as_lost_not_as_quiet(tmp_path: Path) -> None:
    async with running(tmp_path) as (station, hydrophone, metrics, events, task):
        await until(lambda: station.view().get("h1") is not None)
        hydrophone.level = LOUD
        await until(lambda: kinds(events) == [("started", None)])
        hydrophone.level = None
        await until(lambda: kinds(events)[-1:] == [("ended", "lost_coverage")])
        hydrophone.level = QUIET
        await until(lambda: hydrophone.connections >= 2)
        hydrophone.level = LOUD
        await until(lambda: kinds(events)[-1:] == [("started", None)])
        station.stop()
        summary = await task
    assert kinds(events) == [
        ("started", None), ("ended", "lost_coverage"), ("started", None), ("ended", "station_stopped"),
    ]  # fmt: skip
    ledger = summary.ledger["h1"]
    assert ledger.balanced
    assert ledger.pending == 0
    assert ledger.lost > 0.5 * RATE_HZ
    assert ledger.elapsed == ledger.captured + ledger.lost
    restarts = metrics.registry.get_sample_value(
        "seacanary_source_restarts_total", {"source": "0-tcp", "reason": "stalled"}
    )
    assert restarts is not None
    assert restarts >= 1


async def test_metrics_are_served_and_agree_with_the_ledger(tmp_path: Path) -> None:
    async with running(tmp_path) as (station, hydrophone, metrics, events, task):
        port = metrics.serve(station._config.metrics.model_copy(update={"port": 0}))
        hydrophone.level = LOUD
        await until(lambda: kinds(events) == [("started", None)])
        station.stop()
        summary = await task
        page = await asyncio.to_thread(
            lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
        )
    samples = {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for family in text_string_to_metric_families(page)
        for s in family.samples
    }
    ledger = summary.ledger["h1"]
    for what in ("elapsed", "captured", "lost", "analysed", "shed", "unobserved"):
        assert samples[f"seacanary_samples_{what}_total", (("hydrophone", "h1"),)] == getattr(ledger, what)
    assert samples["seacanary_capture_to_event_seconds_count", ()] > 0
    labels = (("hydrophone", "h1"), ("kind", "started"), ("species", "beluga"))
    assert samples["seacanary_events_total", labels] == 1
    assert all(name.startswith(("seacanary_", "process_", "python_")) for name, _ in samples)


async def crash_while_present(folder: Path) -> PresenceEvent:
    """Run a station until a beluga is present, then end it without a clean stop; returns what it told."""
    async with running(folder) as (_, hydrophone, _, events, task):
        hydrophone.level = LOUD
        await until(lambda: kinds(events) == [("started", None)])
        task.cancel()
        await asyncio.wait({task})
    return next(event for event in events if event.species == "beluga")


async def test_a_presence_is_taken_up_again_after_a_crash(tmp_path: Path) -> None:
    before = await crash_while_present(tmp_path)
    async with running(tmp_path) as (station, hydrophone, _, events, task):
        hydrophone.level = LOUD
        await until(lambda: station.view().get("h1") is not None and station.view()["h1"].totals.analysed > RATE_HZ)
        station.stop()
        await task
    after = next(event for event in events if event.species == "beluga")
    assert kinds(events)[0] in [("ended", "station_stopped"), ("ended", "lost_coverage")]
    assert (after.epoch, after.onset_sample) == (before.epoch, before.onset_sample)


async def test_a_presence_ends_although_its_hydrophone_never_comes_back(tmp_path: Path) -> None:
    before = await crash_while_present(tmp_path)
    settings = config(tmp_path, free_port())  # nobody sends there
    later: list[PresenceEvent] = []
    station = Station(settings, detector=Detector.load(settings.model), metrics=Metrics(), on_events=later.extend)
    task = asyncio.create_task(station.run())
    await until(lambda: kinds(later) == [("ended", "lost_coverage")])
    station.stop()
    await task
    after = next(event for event in later if event.species == "beluga")
    assert (after.epoch, after.onset_sample) == (before.epoch, before.onset_sample)


async def test_presences_of_a_hydrophone_that_is_gone_are_closed(tmp_path: Path) -> None:
    first = await crash_while_present(tmp_path)
    renamed = config(tmp_path, free_port())
    section = renamed.sources[0].model_copy(update={"hydrophones": ("h2",)})
    renamed = renamed.model_copy(update={"sources": (section,)})
    later: list[PresenceEvent] = []
    station = Station(renamed, detector=Detector.load(renamed.model), metrics=Metrics(), on_events=later.extend)
    task = asyncio.create_task(station.run())
    await until(lambda: kinds(later) == [("ended", "lost_coverage")])
    station.stop()
    await task
    ended = next(event for event in later if event.species == "beluga")
    assert (ended.epoch, ended.onset_sample) == (first.epoch, first.onset_sample)
