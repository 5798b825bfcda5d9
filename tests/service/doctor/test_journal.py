"""The doctor and the process that opens a file agree on it: what one refuses, the other calls broken."""

import sqlite3
from pathlib import Path

import pytest

from event_samples import event
from seacanary.doctor.findings import Finding
from seacanary.doctor.journal import examined
from seacanary.errors import JournalError
from seacanary.journal_schema import APPLICATION_ID, JOURNAL
from seacanary.journal_store import JournalStore

MARKED = f"PRAGMA application_id = {APPLICATION_ID};"
TABLE = "CREATE TABLE events (sequence INTEGER, event TEXT);"
FILES = {
    "empty": "",
    "marked and empty": f"{MARKED} PRAGMA user_version = 999;",
    "another program's": TABLE,
    "another program's, of a high version": f"{TABLE} PRAGMA application_id = 7; PRAGMA user_version = 999;",
    "older than any": f"{MARKED} {TABLE} PRAGMA user_version = 0;",
    "newer": f"{MARKED} {TABLE} PRAGMA user_version = 999;",
}
REMEDIES = {
    "another program's": "name another path",
    "another program's, of a high version": "name another path",
    "older than any": "restore a backup",
    "newer": "install that newer version again",
}


def file_made_by(script: str, folder: Path) -> Path:
    path = folder / "journal.db"
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()
    path.touch()
    return path


def broken_of(path: Path) -> list[Finding]:
    return [finding for finding in examined(path, JOURNAL, limit_s=10.0) if finding.severity == "broken"]


@pytest.mark.parametrize("name", FILES)
def test_what_the_station_refuses_is_broken_and_nothing_else(name: str, tmp_path: Path) -> None:
    path = file_made_by(FILES[name], tmp_path)
    found = broken_of(path)
    try:
        JournalStore.open(path).close()
        refused = None
    except JournalError as exc:
        refused = str(exc)
    assert [finding.seen for finding in found] == ([] if refused is None else [refused])


@pytest.mark.parametrize("name", REMEDIES)
def test_each_refusal_has_its_remedy(name: str, tmp_path: Path) -> None:
    (finding,) = broken_of(file_made_by(FILES[name], tmp_path))
    assert REMEDIES[name] in finding.remedy


def test_a_journal_of_today_is_well(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with JournalStore.open(path) as store:
        store.append([event(1)], states={}, done=())
    assert [finding.severity for finding in examined(path, JOURNAL, limit_s=10.0)] == ["ok"]
