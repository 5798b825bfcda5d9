"""Listening effort: every analysed second is in the row of its hour once, whatever ends the process."""

import asyncio
import csv
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import write_tiny_model
from faulty_station import pcm_sender
from seacanary.config import parse_config
from seacanary.detection import Detector
from seacanary.effort import Account, EffortError, EffortLog, EffortSection
from seacanary.ledger import LedgerTotals
from seacanary.metrics import Metrics
from seacanary.station import Station

RATE_HZ = 8000
BEGIN = datetime(2026, 11, 21, 13, 58, tzinfo=UTC)
PATIENT_S = 60.0


class Listening:
    """A process that listens: its ledger, its clock and its log of effort."""

    def __init__(self, folder: Path, at: datetime = BEGIN) -> None:
        self.at, self.analysed, self.lost = at, 0, 0
        self.log = EffortLog(EffortSection(path=folder), self._accounts, now=lambda: self.at)

    def _accounts(self) -> dict[str, Account]:
        elapsed = self.analysed + self.lost
        totals = LedgerTotals(elapsed=elapsed, captured=self.analysed, analysed=self.analysed, lost=self.lost)
        return {"north": Account(RATE_HZ, totals)}

    async def listen(self, minutes: float, *, lost_s: float = 0.0) -> None:
        self.at += timedelta(minutes=minutes)
        self.analysed += round((60 * minutes - lost_s) * RATE_HZ)
        self.lost += round(lost_s * RATE_HZ)


def rows(folder: Path, month: str = "2026-11") -> list[dict[str, str]]:
    with (folder / f"{month}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def listened_s(folder: Path) -> dict[str, float]:
    return {row["hour"]: float(row["listened_s"]) for row in rows(folder)}


async def test_each_minute_is_in_the_row_of_its_hour(tmp_path: Path) -> None:
    station = Listening(tmp_path)
    for lost_s in (0, 0, 12, 0):
        await station.listen(1, lost_s=lost_s)
        await station.log.note()
    assert listened_s(tmp_path) == {"2026-11-21T13:00:00+00:00": 120.0, "2026-11-21T14:00:00+00:00": 108.0}
    assert [float(row["lost_s"]) for row in rows(tmp_path)] == [0.0, 12.0]
    assert {(row["hydrophone"], row["sample_rate_hz"]) for row in rows(tmp_path)} == {("north", "8000")}


async def test_a_month_is_a_file(tmp_path: Path) -> None:
    station = Listening(tmp_path, datetime(2026, 11, 30, 23, 59, tzinfo=UTC))
    for _ in range(2):
        await station.listen(1)
        await station.log.note()
    assert [row["listened_s"] for month in ("2026-11", "2026-12") for row in rows(tmp_path, month)] == ["60.0", "60.0"]


@settings(max_examples=40, deadline=None)
@given(lives=st.lists(st.lists(st.tuples(st.integers(1, 59), st.booleans()), min_size=1, max_size=6), max_size=4))
def test_what_was_written_is_what_was_heard_however_often_a_process_dies(
    lives: Sequence[Sequence[tuple[int, bool]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("effort")

    async def live() -> float:
        heard_s, at = 0.0, BEGIN
        for life in lives:
            station = Listening(folder, at)
            for minutes, is_noted in life:
                await station.listen(minutes)
                if is_noted:
                    await station.log.note()
                    written_s = station.analysed / RATE_HZ
            heard_s += written_s if any(is_noted for _, is_noted in life) else 0.0
            at = station.at
        return heard_s

    heard_s = asyncio.run(live())
    assert sum(listened_s(folder).values() if heard_s else []) == pytest.approx(heard_s, abs=0.01)


async def test_what_cannot_be_written_is_counted_with_the_next(tmp_path: Path) -> None:
    station = Listening(tmp_path / "effort")
    (tmp_path / "effort").write_text("a file where the folder should be")
    await station.listen(1)
    with pytest.raises(EffortError, match="effort"):
        await station.log.note()
    (tmp_path / "effort").unlink()
    await station.log.note()
    assert listened_s(tmp_path / "effort") == {"2026-11-21T13:00:00+00:00": 60.0}


async def test_a_damaged_file_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "2026-11.csv").write_text("hour,hydrophone\n2026,north\n")
    station = Listening(tmp_path)
    await station.listen(1)
    with pytest.raises(EffortError, match=r"2026-11\.csv: cannot be gone on with"):
        await station.log.note()
    assert not await station.log.drain(1.0)
    assert (tmp_path / "2026-11.csv").read_text() == "hour,hydrophone\n2026,north\n"


async def test_a_station_leaves_what_it_has_heard(tmp_path: Path) -> None:
    with pcm_sender(RATE_HZ) as port:
        tree = {
            "station": {"name": "pier"},
            "model": {"path": str(write_tiny_model(tmp_path / "model"))},
            "sources": [{"kind": "tcp", "port": port, "hydrophones": ["north"], "sample_rate_hz": RATE_HZ}],
            "journal": {"path": str(tmp_path / "journal.db")},
            "effort": {"path": str(tmp_path / "effort")},
            "metrics": {"enabled": False},
        }
        config = parse_config(tree, where="test")
        station = Station(config, detector=Detector.load(config.model), metrics=Metrics())
        running = asyncio.create_task(station.run())
        async with asyncio.timeout(PATIENT_S):
            while not any(view.totals.analysed > RATE_HZ for view in station.view().values()):
                await asyncio.sleep(0.05)
        station.stop()
        ledger = (await running).ledger["north"]
    [file] = (tmp_path / "effort").glob("*.csv")
    heard_s = sum(float(row["listened_s"]) for row in rows(tmp_path / "effort", file.stem))
    assert heard_s == pytest.approx(ledger.analysed / RATE_HZ, abs=0.01)
