"""The parts beside listening, opened as a station opens them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fakes import blocks_of, write_tiny_model
from seacanary import beside_evidence
from seacanary.beside import Beside, Surroundings
from seacanary.beside_parts import Model, open_beside
from seacanary.config import StationConfig, parse_config
from seacanary.detection import Detector
from seacanary.events import ConditionEvent, Event
from seacanary.evidence import archive
from seacanary.journal import Journal
from seacanary.metrics import Metrics

RATE_HZ = 8000


def config(folder: Path, **sections: object) -> StationConfig:
    write_tiny_model(folder / "model")
    tree = {
        "station": {"name": "test"},
        "model": {"path": str(folder / "model")},
        "sources": [{"kind": "simulated", "hydrophones": ["h1"], "sample_rate_hz": RATE_HZ}],
        "journal": {"path": str(folder / "journal.db")},
        **sections,
    }
    return parse_config(tree, where="test")


@asynccontextmanager
async def opened(settings: StationConfig, metrics: Metrics | None = None) -> AsyncIterator[tuple[Beside, Journal]]:
    """The parts of one process, running."""
    async with await Journal.open(settings.journal.path) as journal:

        async def record(events: Sequence[Event], states: Mapping[str, str]) -> None:
            await journal.append(events, states=states)

        detector = Detector.load(settings.model)
        around = Surroundings(settings, journal, metrics or Metrics(), record)
        async with open_beside(around, Model(detector, lambda: 0), None) as beside:
            task = asyncio.create_task(beside.run())
            yield beside, journal
            await beside.drain(5.0)
            task.cancel()
            await asyncio.wait({task})
        detector.close()


async def changes(journal: Journal) -> list[tuple[str, str]]:
    events = [entry.event async for entry in journal.entries()]
    return [(event.condition, event.change) for event in events if isinstance(event, ConditionEvent)]


async def hear(beside: Beside, samples: NDArray[np.float32]) -> None:
    for block in blocks_of(samples, [RATE_HZ] * (samples.size // RATE_HZ), sample_rate_hz=RATE_HZ):
        beside.hear(block, live=True)
        await asyncio.sleep(0.01)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.02)


async def test_a_fault_that_lasts_over_a_restart_is_told_once(tmp_path: Path) -> None:
    settings, silence = config(tmp_path), np.zeros(10 * RATE_HZ, np.float32)
    for _ in range(2):
        metrics = Metrics()
        async with opened(settings, metrics) as (beside, journal):
            await hear(beside, silence)
            labels = {"condition": "silent", "hydrophone": "h1"}
            await until(lambda: metrics.registry.get_sample_value("seacanary_quality_state", labels) == 1)  # noqa: B023  # awaited here
            assert await changes(journal) == [("silent", "begun")]


async def test_the_usual_level_is_known_after_a_restart(tmp_path: Path) -> None:
    settings = config(tmp_path)
    async with opened(settings) as (beside, journal):
        await hear(beside, np.random.default_rng(1).normal(0, 0.01, 8 * RATE_HZ).astype(np.float32))
        await asyncio.sleep(0.3)
    async with await Journal.open_to_read(settings.journal.path) as journal:
        assert '"usual_db":{"value":-40.' in (await journal.states())["h1/quality"]


async def test_what_cannot_be_kept_is_told_and_its_end_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside_evidence, "LOOK_S", 0.05)
    monkeypatch.setattr(archive, "RETRY_S", 0.05)
    blocked = [tmp_path / "spool", tmp_path / "archive"]
    for path in blocked:
        path.write_text("a file stands in the way")
    spool = {"path": str(blocked[0]), "min_free_bytes": 0}
    sections = {
        "evidence": {"path": str(tmp_path / "evidence"), "spool": spool},
        "archive": {"path": str(blocked[1]), "min_free_bytes": 0},
        "retention": {"min_free_bytes": 0},
        "quality": {"enabled": False},
    }
    metrics = Metrics()

    def holds(condition: str) -> float | None:
        labels = {"condition": condition, "hydrophone": ""}
        return metrics.registry.get_sample_value("seacanary_condition_state", labels)

    async with opened(config(tmp_path, **sections), metrics) as (beside, journal):
        for expected in (1, 0):
            for _ in range(3):
                await hear(beside, np.zeros(RATE_HZ, np.float32))
            await until(lambda: [holds("spool_stopped"), holds("archive_stopped")] == [expected] * 2)  # noqa: B023  # awaited here
            for path in blocked:
                if path.is_file():
                    path.unlink()
        await until(lambda: journal.head == 4)
        assert sorted(await changes(journal)) == [
            (name, change) for name in ("archive_stopped", "spool_stopped") for change in ("begun", "ended")
        ]
