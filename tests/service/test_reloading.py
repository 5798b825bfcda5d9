"""Reloading in one process: whatever a file or a publisher does, a request gets its answer and events go on."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from event_samples import event
from fakes import tiny_contract
from seacanary import beside as beside_module
from seacanary.beside import Beside, Part
from seacanary.conditions import ConditionLog
from seacanary.config import StationConfig, read_config
from seacanary.deliveries import Deliveries
from seacanary.events import Event
from seacanary.journal import Journal
from seacanary.metrics import Metrics
from seacanary.publishers.jsonl import JsonLines
from seacanary.reload import ReloadReport
from seacanary.reloading import Changeable, Reloading

PATIENT_S = 20.0


@dataclass
class Changing:
    """A station without ears, and its file."""

    file: Path
    journal: Journal
    reloading: Reloading

    def write(self, **sections: object) -> None:
        tree: Mapping[str, object] = {
            "station": {"name": "pier"},
            "sources": [{"kind": "simulated", "hydrophones": ["h1"]}],
            "journal": {"path": str(self.file.parent / "journal.db")},
            "publishers": [self.lines()],
            **sections,
        }
        self.file.write_text(json.dumps(tree))

    def lines(self, name: str = "one") -> dict[str, str]:
        return {"kind": "jsonl", "path": str(self.file.parent / f"{name}.jsonl")}

    async def reload(self) -> ReloadReport:
        self.reloading.ask()
        asked = self.reloading.details()["asked"]
        await until(lambda: self.latest.number == asked)
        return self.latest

    @property
    def latest(self) -> ReloadReport:
        return ReloadReport.model_validate(self.reloading.details()["latest"])

    async def delivered(self, name: str, number: int) -> None:
        """Journal an event, and wait until the file of that name has it."""
        one = event(number)
        await self.journal.append([one], states={}, done=())
        file = self.file.parent / f"{name}.jsonl"
        await until(lambda: file.exists() and str(one.id) in file.read_text())


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENT_S):
        while not holds():
            await asyncio.sleep(0.01)


async def nobody(_: Sequence[Event]) -> None:
    """Conditions are not looked at here."""


@asynccontextmanager
async def changing(
    folder: Path, heed: Callable[[StationConfig], Awaitable[None]] | None = None
) -> AsyncIterator[Changing]:
    metrics = Metrics()
    async with await Journal.open(folder / "journal.db") as journal:
        file = folder / "station.json"
        station = Changing(file, journal, None)  # type: ignore[arg-type]  # the file comes first
        station.write()
        config = read_config(file)
        station.reloading = Reloading(config, file, metrics=metrics, on_news=lambda: None)
        async with Deliveries.open(journal, config, links=None, on_change=lambda _: None) as deliveries:
            conditions = ConditionLog("pier", metrics=metrics, tell=nobody)
            beside = Beside(conditions, parts=[*deliveries.parts])
            if heed is not None:
                beside.parts.append(Part("heeding", asyncio.Event().wait, heed=heed))  # type: ignore[arg-type]
            changeable = Changeable(tiny_contract(), journal, beside, deliveries, use_presence=lambda _: None)
            beside.parts.append(station.reloading.part(changeable))
            running = asyncio.create_task(beside.run())
            yield station
            running.cancel()
            await asyncio.wait({running})


async def test_a_date_that_is_none_is_refused_like_every_other_mistake(tmp_path: Path) -> None:
    async with changing(tmp_path) as station:
        station.file.write_text("station: {name: pier}\nsince: 2026-02-30\n")
        report = await station.reload()
        assert report.outcome == "refused"
        assert "not valid YAML: day is out of range for month" in report.reason
        station.write()
        assert (await station.reload()).outcome == "applied"


async def test_what_no_check_has_foreseen_is_refused_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with changing(tmp_path) as station:
        with monkeypatch.context() as surprised:
            surprised.setattr("seacanary.reloading.plan_of", lambda *_, **__: 1 / 0)
            report = await station.reload()
        assert (report.outcome, report.reason) == ("refused", "ZeroDivisionError: division by zero")
        await station.delivered("one", 1)


async def test_a_publisher_that_cannot_be_closed_has_a_successor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_: JsonLines) -> None:
        raise ConnectionResetError

    async with changing(tmp_path) as station:
        await station.delivered("one", 1)
        with monkeypatch.context() as broken:
            broken.setattr(JsonLines, "aclose", refuse)
            station.write(publishers=[station.lines("other")])
            assert (await station.reload()).outcome == "applied"
        await station.delivered("other", 2)


async def test_a_request_is_carried_out_though_the_first_attempt_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside_module, "FIRST_WAIT_S", 0.01)
    heeded: list[str] = []

    async def heed(config: StationConfig) -> None:
        heeded.append(config.station.name)
        if len(heeded) == 1:
            raise OSError

    async with changing(tmp_path, heed) as station:
        station.write(publishers=[station.lines("other")])
        assert (await station.reload()).outcome == "applied"
        await station.delivered("other", 1)
    assert len(heeded) == 2
