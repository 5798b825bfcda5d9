"""A hydrophone that falls silent, or never spoke, is told of once; so is its return."""

import asyncio
from pathlib import Path

import pytest

from fakes import write_tiny_model
from faulty_station import pcm_sender
from redis_server import free_port
from seacanary import deafness
from seacanary.config import parse_config
from seacanary.detection import Detector
from seacanary.errors import JournalError
from seacanary.events import ConditionEvent
from seacanary.journal import Journal
from seacanary.metrics import Metrics
from seacanary.station import Station

RATE_HZ = 8000
PATIENT_S = 60.0


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deafness, "DEAF_S", 1.5)
    monkeypatch.setattr(deafness, "LOOK_S", 0.1)


def station(folder: Path, port: int, *others: dict[str, object]) -> Station:
    tree = {
        "station": {"name": "pier"},
        "model": {"path": str(write_tiny_model(folder / "model"))},
        "sources": [{"kind": "tcp", "port": port, "hydrophones": ["north"], "sample_rate_hz": RATE_HZ}, *others],
        "supervision": {"stall_s": 1.0, "first_wait_s": 0.1, "longest_wait_s": 0.2},
        "journal": {"path": str(folder / "journal.db")},
        "metrics": {"enabled": False},
    }
    settings = parse_config(tree, where="test")
    return Station(settings, detector=Detector.load(settings.model), metrics=Metrics())


async def told(folder: Path) -> list[tuple[str | None, str]]:
    try:
        async with await Journal.open_to_read(folder / "journal.db") as journal:
            events = [entry.event async for entry in journal.entries()]
    except JournalError:  # it is being made
        return []
    return [
        (event.hydrophone, event.change)
        for event in events
        if isinstance(event, ConditionEvent) and event.condition == "deaf"
    ]


async def until(folder: Path, count: int) -> list[tuple[str | None, str]]:
    async with asyncio.timeout(PATIENT_S):
        while len(await told(folder)) < count:
            await asyncio.sleep(0.05)
    return await told(folder)


async def test_who_falls_silent_is_told_of_once_and_so_is_the_return(tmp_path: Path) -> None:
    with pcm_sender(RATE_HZ) as port:
        running = station(tmp_path, port)
        task = asyncio.create_task(running.run())
        async with asyncio.timeout(PATIENT_S):
            while "north" not in running.view():
                await asyncio.sleep(0.05)
        assert await told(tmp_path) == []
    assert await until(tmp_path, 1) == [("north", "begun")]
    with pcm_sender(RATE_HZ, port=port):
        assert await until(tmp_path, 2) == [("north", "begun"), ("north", "ended")]
    running.stop()
    await task


async def test_who_is_deaf_still_after_a_restart_is_not_told_of_again(tmp_path: Path) -> None:
    port = free_port()
    for _ in range(2):
        running = station(tmp_path, port)
        task = asyncio.create_task(running.run())
        assert await until(tmp_path, 1) == [("north", "begun")]
        await asyncio.sleep(2.0)
        running.stop()
        await task
    with pcm_sender(RATE_HZ, port=port):
        running = station(tmp_path, port)
        task = asyncio.create_task(running.run())
        assert await until(tmp_path, 2) == [("north", "begun"), ("north", "ended")]
        running.stop()
        await task


async def test_who_never_spoke_is_deaf_and_who_has_ended_is_not(tmp_path: Path) -> None:
    short = {"kind": "simulated", "hydrophones": ["short"], "sample_rate_hz": RATE_HZ, "seconds": 0.5}
    running = station(tmp_path, free_port(), short)
    task = asyncio.create_task(running.run())
    assert await until(tmp_path, 1) == [("north", "begun")]
    await asyncio.sleep(1.0)
    assert await told(tmp_path) == [("north", "begun")]
    running.stop()
    await task
