import asyncio
import random
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile

from byte_models import write_byte_model
from carriers import ListCarrier, away, first_away
from fakes import EPOCH
from seacanary.cluster.edge import Edge, EdgeSummary
from seacanary.cluster.edge_config import EdgeConfig
from seacanary.cluster.edge_images import Silences
from seacanary.cluster.envelope import EdgeClock, EndEnvelope, Envelope, ImageEnvelope, LostEnvelope
from seacanary.cluster.image_spool import ImageSpool
from seacanary.cluster.spool_schema import SpoolError
from seacanary.config import StationConfig
from seacanary.detection import Detector, DetectorSection
from seacanary.events import PresenceEvent
from seacanary.following import Follower
from seacanary.image_detection import ImageJudge, Transformer
from seacanary.metrics import Metrics
from seacanary.ntp import NtpState
from seacanary.station import Station

RATE_HZ = 8000


def tree(folder: Path, **changes: object) -> dict[str, object]:
    """A station with two hydrophones of recordings: calls, a gap between files, a short last file."""
    model = folder / "model"
    if not model.exists():
        write_byte_model(model)
        for place, name in enumerate(("north", "south")):
            record(folder / name, seed=place)
    return {
        "station": {"name": "pier"},
        "model": {"path": str(model)},
        "sources": [{"kind": "files", "path": str(folder / name), "name": name} for name in ("north", "south")],
        "presence": {"rule": {"hold_s": 0.5}},
        "metrics": {"enabled": False},
        **changes,
    }


def record(folder: Path, *, seed: int) -> None:
    folder.mkdir()
    for number, seconds in enumerate((2.0, 1.53, 2.2, 0.05)):
        pcm = np.random.default_rng(10 * seed + number).normal(0, 0.01, round(seconds * RATE_HZ))
        pcm[RATE_HZ // 3 : RATE_HZ] *= 60
        start = EPOCH + timedelta(seconds=(0, 2, 60, 300)[number])
        soundfile.write(folder / f"{start:%Y%m%d_%H%M%S}.wav", pcm.clip(-1, 1), RATE_HZ)


@pytest.fixture
def made() -> Iterator[list[Transformer]]:
    transformers: list[Transformer] = []
    yield transformers
    for transformer in transformers:
        transformer.close()


class Run:
    """One edge on a folder, with its spool."""

    def __init__(
        self,
        folder: Path,
        carrier: ListCarrier,
        made: list[Transformer],
        *,
        bound_bytes: int | None = None,
        **changes: object,
    ) -> None:
        spool = {"spool": str(folder / "spool")}
        config = EdgeConfig.model_validate(tree(folder, **changes) | {"edge": spool})
        if bound_bytes is not None:  # less than a configuration may ask for
            small = config.edge.model_copy(update={"spool_limit_bytes": bound_bytes})
            config = config.model_copy(update={"edge": small})
        made.append(Transformer.load(config.model))
        self.metrics = Metrics()
        self.edge = Edge(
            config,
            transformer=made[-1],
            carrier=carrier,
            metrics=self.metrics,
            clock=lambda: NtpState(synchronised=False, estimated_error_s=0.5, maximum_error_s=3.0),
        )

    async def to_end(self) -> EdgeSummary:
        async with asyncio.timeout(50):
            return await self.edge.run()


def judged(folder: Path, envelopes: list[Envelope], config: StationConfig) -> dict[str, PresenceEvent]:
    """Events that a worker makes of envelopes, by id."""
    judge = ImageJudge.load(DetectorSection(path=folder / "model"))
    followers: dict[str, Follower] = {}
    events: list[PresenceEvent] = []
    for item in envelopes:
        follower = followers.setdefault(
            item.hydrophone,
            Follower(
                item.hydrophone,
                station=item.station,
                contract=judge.contract,
                presence=config.presence,
                guard=config.guard,
            ),
        )
        match item:
            case ImageEnvelope():
                events += follower.conclude(judge.judge([item])[0])
            case LostEnvelope():
                events += follower.conclude(item.lost)
            case EndEnvelope():
                events += follower.close(item.reason)
    judge.close()
    return {str(event.id): event for event in events}


async def of_a_station(folder: Path) -> tuple[dict[str, PresenceEvent], object]:
    """Events by id, and the ledger, of one machine that does it all."""
    config = StationConfig.model_validate(tree(folder) | {"journal": {"path": str(folder / "journal.db")}})
    events: list[PresenceEvent] = []
    detector = Detector.load(config.model)
    summary = await Station(config, detector=detector, metrics=Metrics(), on_events=events.extend).run()
    detector.close()
    return {str(event.id): event for event in events}, dict(summary.ledger)


async def test_images_of_an_edge_lead_to_the_events_and_the_ledger_of_a_station(
    tmp_path: Path, made: list[Transformer]
) -> None:
    carrier = ListCarrier()
    run = Run(tmp_path, carrier, made)
    summary = await run.to_end()
    events, ledger = await of_a_station(tmp_path)
    config = StationConfig.model_validate(tree(tmp_path))
    assert judged(tmp_path, carrier.envelopes, config) == events
    assert len(events) > 8
    assert dict(summary.ledger) == ledger
    assert summary.unsent == 0
    assert carrier.closed
    assert not summary.troubles


async def test_failing_brokers_change_no_event(tmp_path: Path, made: list[Transformer]) -> None:
    rng = random.Random(1)

    def maybe() -> None:
        if rng.random() < 0.2:
            away()

    carrier = ListCarrier(before=maybe, after=maybe)
    await Run(tmp_path, carrier, made).to_end()
    events, _ = await of_a_station(tmp_path)
    assert judged(tmp_path, carrier.once, StationConfig.model_validate(tree(tmp_path))) == events


async def test_what_no_broker_took_goes_out_at_the_next_start_and_no_file_is_read_twice(
    tmp_path: Path, made: list[Transformer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seacanary.cluster.edge.DRAIN_S", 0.1)  # nobody will answer
    first = await Run(tmp_path, ListCarrier(before=away), made).to_end()
    assert first.unsent > 50
    monkeypatch.undo()
    carrier = ListCarrier()
    second = await Run(tmp_path, carrier, made).to_end()
    assert second.unsent == 0
    assert all(totals.elapsed == 0 for totals in second.ledger.values())
    images = [item for item in carrier.envelopes if isinstance(item, ImageEnvelope)]
    assert len({(item.hydrophone, item.epoch, item.first_sample) for item in images}) == len(images)
    events, _ = await of_a_station(tmp_path)
    assert judged(tmp_path, carrier.envelopes, StationConfig.model_validate(tree(tmp_path))) == events


async def test_a_stopped_edge_reads_its_files_again_at_the_same_places(tmp_path: Path, made: list[Transformer]) -> None:
    carrier = ListCarrier()
    run = Run(tmp_path, carrier, made)
    stopping = asyncio.create_task(run.to_end())
    while not carrier.arrived:
        await asyncio.sleep(0.001)
    run.edge.stop()
    await stopping
    await Run(tmp_path, carrier, made).to_end()
    events, _ = await of_a_station(tmp_path)
    found = judged(tmp_path, carrier.once, StationConfig.model_validate(tree(tmp_path)))
    # What the stop ended early may be told again as it went on; what a station alone tells is all there.
    assert {event.id for event in events.values() if event.kind == "started"} <= {e.id for e in found.values()}


async def test_recordings_wait_for_room_so_that_nothing_of_them_is_shed(
    tmp_path: Path, made: list[Transformer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seacanary.cluster.image_spool.FULL_ENOUGH", 0.02)  # what is under way must find its place
    carrier = ListCarrier(before=first_away(4))
    run = Run(tmp_path, carrier, made, bound_bytes=80_000)
    await run.to_end()
    assert sum(len(item.record) for item in carrier.arrived) > 80_000
    assert not [item for item in carrier.envelopes if isinstance(item, LostEnvelope)]


async def test_envelopes_tell_of_the_clock_they_were_made_by(
    tmp_path: Path, made: list[Transformer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seacanary.cluster.edge.EXPORT_EVERY_S", 0.01)
    carrier = ListCarrier(ahead_s=-3600.0)
    source = {"kind": "simulated", "hydrophones": ["live"], "sample_rate_hz": 8000, "seconds": 1.5}
    run = Run(tmp_path, carrier, made, sources=[source])
    await run.to_end()
    clocks = [item.clock for item in carrier.envelopes if isinstance(item, ImageEnvelope)]
    assert clocks[0] == EdgeClock(synchronised=False, maximum_error_s=3.0, broker_ahead_s=None)
    assert clocks[-1] == EdgeClock(synchronised=False, maximum_error_s=3.0, broker_ahead_s=-3600.0)
    assert run.metrics.registry.get_sample_value("seacanary_brokers_clock_ahead_seconds") == -3600.0


async def test_a_hydrophone_the_station_no_longer_has_ends(tmp_path: Path, made: list[Transformer]) -> None:
    await Run(tmp_path, ListCarrier(), made).to_end()
    carrier = ListCarrier()
    only_north = [{"kind": "files", "path": str(tmp_path / "north"), "name": "north"}]
    await Run(tmp_path, carrier, made, sources=only_north).to_end()
    ends = {item.hydrophone: item.reason for item in carrier.envelopes if isinstance(item, EndEnvelope)}
    assert ends == {"south": "lost_coverage", "north": "stream_ended"}


async def test_metrics_show_what_waits_and_what_was_shipped(tmp_path: Path, made: list[Transformer]) -> None:
    carrier = ListCarrier()
    run = Run(tmp_path, carrier, made)
    await run.to_end()

    def value(name: str, **labels: str) -> float | None:
        return run.metrics.registry.get_sample_value(f"seacanary_{name}", labels)

    north = [item for item in carrier.arrived if item.hydrophone == "north"]
    images = [item for item in carrier.envelopes if isinstance(item, ImageEnvelope) and item.hydrophone == "north"]
    assert value("images_spooled_total", hydrophone="north") == len(images)
    assert value("images_shipped_total", hydrophone="north") == len(north)
    assert value("image_bytes_shipped_total", hydrophone="north") == sum(len(item.record) for item in north)
    assert value("image_spool_envelopes") == value("image_spool_bytes") == value("image_spool_age_seconds") == 0
    assert value("image_spool_shed_samples_total", hydrophone="north") == 0
    assert value("brokers_reached_state") == 1


async def test_a_spool_in_use_stops_the_start(tmp_path: Path, made: list[Transformer]) -> None:
    with (
        closing(ImageSpool.open(tmp_path / "spool", bound_bytes=10**6)),
        pytest.raises(SpoolError, match="another seacanary uses this spool"),
    ):
        await Run(tmp_path, ListCarrier(), made).to_end()


def test_a_silence_is_told_once_for_each_hold_it_outlasts() -> None:
    silences = Silences([10.0, 60.0])
    told = [silences.due({"h1": float(s), "h2": 0.0}) for s in range(0, 130)]
    assert {place: due for place, due in enumerate(told) if due} == {10: {"h1": 10.0}, 60: {"h1": 60.0}}
    assert silences.due({"h1": 0.5}) == {}  # heard again
    assert silences.due({"h1": 70.0}) == {"h1": 60.0}
