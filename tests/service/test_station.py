"""What a station does when its own disk fails."""

import asyncio
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pydantic import SecretStr

from fakes import EPOCH, write_tiny_model
from json_channel import JsonChannel
from seacanary.config import StationConfig, parse_config
from seacanary.detection import Detector
from seacanary.errors import JournalError
from seacanary.events import ConditionEvent, PresenceEvent
from seacanary.journal import Journal
from seacanary.metrics import Metrics
from seacanary.publishers.jsonl import JsonLines, JsonLinesSection
from seacanary.publishers.notify import NotifySection
from seacanary.station import Station

RATE_HZ = 8000


def config(folder: Path) -> StationConfig:
    write_tiny_model(folder / "model")
    recordings = folder / "recordings"
    recordings.mkdir()
    for number in range(3):
        pcm = np.random.default_rng(number).normal(0, 0.01, 2 * RATE_HZ)
        pcm[RATE_HZ // 2 : RATE_HZ] = 0.9
        start = EPOCH + timedelta(seconds=60 * number)
        soundfile.write(recordings / f"{start:%Y%m%d_%H%M%S}.wav", pcm, RATE_HZ)
    tree = {
        "station": {"name": "test"},
        "model": {"path": str(folder / "model")},
        "sources": [{"kind": "files", "path": str(recordings), "name": "h1"}],
        "presence": {"rule": {"hold_s": 0.5}},
        "journal": {"path": str(folder / "journal.db")},
    }
    return parse_config(tree, where="test")


async def test_a_journal_that_fails_for_a_while_loses_no_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A disk that is full for a moment cannot be had here without root, so the write is made to fail.
    real, failures = Journal.append, iter([True, True, False, True])

    async def failing(self: Journal, *arguments: object, **named: object) -> object:
        if next(failures, False):
            raise JournalError("disk full")
        return await real(self, *arguments, **named)  # type: ignore[arg-type]  # passed through as it came

    monkeypatch.setattr(Journal, "append", failing)
    settings, metrics = config(tmp_path), Metrics()
    events: list[PresenceEvent] = []
    station = Station(settings, detector=Detector.load(settings.model), metrics=metrics, on_events=events.extend)
    async with asyncio.timeout(30):
        summary = await station.run()
    assert summary.ledger["h1"].balanced
    assert [e.kind for e in events if e.species == "beluga"] == ["started", "ended"] * 3
    assert metrics.registry.get_sample_value("seacanary_journal_failures_total") == 3
    async with await Journal.open_to_read(settings.journal.path) as journal:
        assert [entry.event async for entry in journal.entries()] == events


async def test_files_heard_to_their_end_are_remembered(tmp_path: Path) -> None:
    settings = config(tmp_path)
    detector = Detector.load(settings.model)
    first = await Station(settings, detector=detector, metrics=Metrics()).run()
    assert first.events["started"] == 6
    async with await Journal.open_to_read(settings.journal.path) as journal:
        assert len(await journal.done_files()) == 3
    second = await Station(settings, detector=detector, metrics=Metrics()).run()
    assert second.ledger["h1"].elapsed == 0
    assert second.events == {}


async def test_a_publisher_that_fails_in_an_unforeseen_way_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def surprised(*_: object) -> None:
        raise TypeError("not foreseen")

    monkeypatch.setattr(JsonLines, "publish", surprised)
    settings = config(tmp_path).model_copy(update={"publishers": (JsonLinesSection(path=tmp_path / "events.jsonl"),)})
    monkeypatch.setattr("seacanary.station.DRAIN_S", 0.1)
    async with asyncio.timeout(30):
        summary = await Station(settings, detector=Detector.load(settings.model), metrics=Metrics()).run()
    assert summary.events["started"] == 6
    assert summary.unsent["jsonl"] >= 12
    async with await Journal.open_to_read(settings.journal.path) as journal:
        conditions = [entry.event async for entry in journal.entries() if isinstance(entry.event, ConditionEvent)]
    assert [event.condition for event in conditions] == ["part_failed_publisher_jsonl"]


async def test_people_who_are_new_to_an_old_journal_are_told_what_comes_and_nothing_else(tmp_path: Path) -> None:
    settings = config(tmp_path)
    detector = Detector.load(settings.model)
    await Station(settings, detector=detector, metrics=Metrics()).run()
    with JsonChannel() as channel:
        pager = NotifySection(name="pager", url=SecretStr(channel.url), events=("presence",))
        summary = await Station(
            settings.model_copy(update={"publishers": (pager,)}), detector=detector, metrics=Metrics()
        ).run()
        assert (summary.unsent, channel.titles) == ({"pager": 0}, [])
