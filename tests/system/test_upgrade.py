"""State of the first version is taken up by the present program; state of a newer one is refused, by name."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from old_files import STARTED, make_newer, old_journal, version_of
from seacanary.events import EVENT, PresenceEvent
from seacanary.journal_schema import SCHEMA_VERSION
from whole_station import PATIENT, journalled, whole_station

pytestmark = [pytest.mark.system]

TREE = {
    "station": {"name": "pier"},
    "sources": [{"kind": "simulated", "sample_rate_hz": 384000, "pace": "realtime", "hydrophones": ["north"]}],
    "supervision": PATIENT,
    "metrics": {"enabled": False},
}


async def test_a_presence_that_the_first_version_left_open_is_ended_by_this_one(tmp_path: Path) -> None:
    old_journal(tmp_path / "journal.db", 1)
    with whole_station(tmp_path, TREE):
        async with asyncio.timeout(240):
            while version_of(tmp_path / "journal.db") == 1:
                await asyncio.sleep(0.1)
            await asyncio.sleep(1)
    started, *others = await asyncio.to_thread(journalled, tmp_path)
    assert started == EVENT.validate_json(STARTED)
    assert isinstance(started, PresenceEvent)
    [ended] = [event for event in others if isinstance(event, PresenceEvent) and event.kind == "ended"]
    assert (ended.epoch, ended.onset_sample, ended.onset) == (started.epoch, started.onset_sample, started.onset)
    assert ended.reason in ("lost_coverage", "station_stopped")


@pytest.mark.parametrize("command", [["run"], ["events", "tail"]])
def test_a_station_does_not_start_on_the_journal_of_a_newer_version(command: list[str], tmp_path: Path) -> None:
    journal = make_newer(old_journal(tmp_path / "state" / "journal.db", SCHEMA_VERSION), SCHEMA_VERSION + 1)
    before = journal.read_bytes()
    (tmp_path / "station.yaml").write_text(
        f"station: {{name: pier}}\njournal: {{path: {journal}}}\n"
        "sources: [{kind: simulated, sample_rate_hz: 384000, hydrophones: [north]}]\nmetrics: {enabled: false}\n"
    )
    ended = subprocess.run(
        [sys.executable, "-m", "seacanary.cli", *command, str(tmp_path / "station.yaml")],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ended.returncode == 2
    said = " ".join(ended.stderr.split())
    assert f"{journal}: journal of version {SCHEMA_VERSION + 1}, but this seacanary" in said
    assert "restore a backup from before the upgrade" in said
    assert "Traceback" not in said
    assert journal.read_bytes() == before
