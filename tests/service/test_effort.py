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
BEGIN = datetime(2026, 11, 21, 13, 50, tzinfo=UTC)
PATIENT_S = 60.0


class Listening:
    """A process that listens: its ledger, its clock and its log of effort."""

    def __init__(self, folder: Path, at: datetime = BEGIN) -> None:
        self.at, self.rate_hz, self.analysed, self.lost = at, RATE_HZ, 0, 0
        self.log = EffortLog(EffortSection(path=folder), self._accounts, now=lambda: self.at)

    def _accounts(self) -> dict[str, Account]:
        elapsed = self.analysed + self.lost
        totals = LedgerTotals(elapsed=elapsed, captured=self.analysed, analysed=self.analysed, lost=self.lost)
        return {"north": Account(self.rate_hz, totals)}

    def listen(self, minutes: float, *, lost_s: float = 0.0) -> None:
        self.at += timedelta(minutes=minutes)
        self.analysed += round((60 * minutes - lost_s) * self.rate_hz)
        self.lost += round(lost_s * self.rate_hz)


def rows(folder: Path, month: str = "2026-11") -> list[dict[str, str]]:
    with (folder / f"{month}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def told(folder: Path, month: str = "2026-11") -> list[tuple[str, float]]:
    """Beginning, as hour and minute, and seconds that were listened."""
    return [(row["begin"][11:16], float(row["listened_s"])) for row in rows(folder, month)]


async def test_each_interval_is_a_row(tmp_path: Path) -> None:
    station = Listening(tmp_path)
    for lost_s in (0, 12):
        station.listen(10, lost_s=lost_s)
        await station.log.note()
    assert told(tmp_path) == [("13:50", 600.0), ("14:00", 588.0)]
    assert [float(row["lost_s"]) for row in rows(tmp_path)] == [0.0, 12.0]
    assert {(row["hydrophone"], row["sample_rate_hz"]) for row in rows(tmp_path)} == {("north", "8000")}


async def test_a_month_is_a_file(tmp_path: Path) -> None:
    station = Listening(tmp_path, datetime(2026, 11, 30, 23, 50, tzinfo=UTC))
    for _ in range(2):
        station.listen(10)
        await station.log.note()
    assert told(tmp_path) == [("23:50", 600.0)]
    assert told(tmp_path, "2026-12") == [("00:00", 600.0)]


@settings(max_examples=40, deadline=None)
@given(
    lives=st.lists(st.lists(st.tuples(st.integers(1, 59), st.booleans()), min_size=1, max_size=6), max_size=4),
    torn=st.integers(0, 60),
)
def test_what_was_written_is_what_was_heard_however_often_a_process_dies(
    lives: Sequence[Sequence[tuple[int, bool]]], torn: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, at, heard = tmp_path_factory.mktemp("effort"), BEGIN, list[float]()
    for life in lives:
        station, minutes_unnoted = Listening(folder, at), 0
        for minutes, is_noted in life:
            station.listen(minutes)
            minutes_unnoted += minutes
            if is_noted:
                asyncio.run(station.log.note())
                heard.append(60.0 * minutes_unnoted)
                minutes_unnoted = 0
        at = station.at
        if heard:  # killed in the middle of a row
            with (folder / "2026-11.csv").open("ab") as file:
                file.write(b"2026-11-21T13:50:00+00:00,2026-11-21T14:00:00+00:00,north,8000,600.0"[:torn])
    if heard:
        station = Listening(folder, at)
        asyncio.run(station.log.note())  # an interval of no time
        assert [listened_s for _, listened_s in told(folder)] == [*heard, 0.0]


async def test_what_cannot_be_written_waits_each_interval_by_itself(tmp_path: Path) -> None:
    station = Listening(tmp_path / "effort")
    (tmp_path / "effort").write_text("a file where the folder should be")
    for _ in range(2):
        station.listen(10)
        with pytest.raises(EffortError, match="effort"):
            await station.log.note()
    (tmp_path / "effort").unlink()
    station.listen(10)
    await station.log.note()
    assert told(tmp_path / "effort") == [("13:50", 600.0), ("14:00", 600.0), ("14:10", 600.0)]


@pytest.mark.parametrize("written", ["hour,hydrophone\n2026,north\n", "# moved the hydrophone\n"])
async def test_a_file_of_another_is_named_and_left_as_it_is(written: str, tmp_path: Path) -> None:
    (tmp_path / "2026-11.csv").write_text(written)
    station = Listening(tmp_path)
    station.listen(10)
    for _ in range(2):
        with pytest.raises(EffortError, match=r"2026-11\.csv: its first line is not that"):
            await station.log.note()
    assert not await station.log.drain(5.0)
    assert (tmp_path / "2026-11.csv").read_text() == written


async def test_what_a_person_has_written_below_stays(tmp_path: Path) -> None:
    station = Listening(tmp_path)
    station.listen(10)
    await station.log.note()
    with (tmp_path / "2026-11.csv").open("a") as file:
        file.write("# moved the hydrophone\n")
    before = (tmp_path / "2026-11.csv").read_text()
    station.listen(10)
    await station.log.note()
    assert (tmp_path / "2026-11.csv").read_text().startswith(before)


async def test_a_change_of_rate_never_adds_time(tmp_path: Path) -> None:
    station = Listening(tmp_path)
    station.listen(5)
    station.log.look()
    station.rate_hz = RATE_HZ // 8
    station.listen(5)
    await station.log.note()
    assert told(tmp_path) == [("13:50", 300.0 + 300.0 / 8)]


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
