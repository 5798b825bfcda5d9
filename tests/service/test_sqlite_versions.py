"""Files of every earlier version are read and brought up to date; those of a newer one are refused and left alone."""

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from pathlib import Path

import pytest

from old_files import (
    HOURS_0,
    JOURNALS,
    SPOOL_1,
    STARTED,
    STATES,
    made,
    make_newer,
    old_journal,
    tables_of,
    version_of,
)
from seacanary.cluster.fleet_store import FLEET, FleetStore
from seacanary.cluster.image_spool import ImageSpool
from seacanary.cluster.spool_schema import SPOOL
from seacanary.errors import JournalError, SeaCanaryError
from seacanary.events import EVENT
from seacanary.guard import GuardMemory
from seacanary.journal_schema import JOURNAL, SCHEMA_VERSION
from seacanary.journal_store import JournalStore
from seacanary.presence_state import TrackerState
from seacanary.sqlite_versions import SqliteKind


def spool_in(path: Path) -> AbstractContextManager[ImageSpool]:
    return closing(ImageSpool.open(path.parent, bound_bytes=10**6))


def fleet_in(path: Path) -> AbstractContextManager[FleetStore]:
    return closing(FleetStore.open(path))


FILES: list[tuple[SqliteKind, str, Callable[[Path], AbstractContextManager[object]]]] = [
    (JOURNAL, "journal.db", JournalStore.open),
    (JOURNAL, "journal.db", JournalStore.open_to_read),
    (JOURNAL, "journal.db", JournalStore.open_to_mark),
    (SPOOL, "images.db", spool_in),
    (FLEET, "hours.db", fleet_in),
]


@pytest.mark.parametrize(("kind", "name", "opened"), FILES)
def test_a_file_of_a_newer_version_is_refused_and_left_alone(
    kind: SqliteKind, name: str, opened: Callable[[Path], AbstractContextManager[object]], tmp_path: Path
) -> None:
    path = tmp_path / name
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        kind.create(connection)
    before = make_newer(path, kind.version + 1).read_bytes()
    with pytest.raises(kind.error) as refused:
        opened(path)
    said = str(refused.value)
    assert all(part in said for part in (str(path), f"version {kind.version + 1}", f"knows up to {kind.version}"))
    assert "Install that newer version again" in said
    assert path.read_bytes() == before


def test_every_version_of_the_journal_that_ever_was_is_among_those_tried() -> None:
    assert sorted(JOURNALS) == list(range(1, SCHEMA_VERSION + 1))
    assert sorted(JOURNAL.migrations) == list(range(1, SCHEMA_VERSION))


@pytest.mark.parametrize("version", JOURNALS)
def test_a_journal_of_any_version_is_taken_up_with_all_it_holds(version: int, tmp_path: Path) -> None:
    old = old_journal(tmp_path / "journal.db", version)
    with JournalStore.open(old) as store:
        [entry] = store.read_after(0, 9)
        assert (entry.entry_ms, entry.event) == (1795274989613, EVENT.validate_json(STARTED))
        assert store.states() == STATES
        assert (store.cursor("jsonl"), store.cursor("webhook")) == (1, 1)
        [letter] = store.dead_letters()
        assert (letter.reason, letter.refused_ms, letter.retry) == ("410 Gone", None, False)
        assert store.done_files() == {"/recordings/a.wav"}
    assert version_of(old) == SCHEMA_VERSION
    JournalStore.open(tmp_path / "new.db").close()
    assert tables_of(old) == tables_of(tmp_path / "new.db")


def test_states_of_the_first_version_are_understood() -> None:
    tracker = TrackerState.model_validate_json(STATES["north/porpoise"])
    assert tracker.presence is not None
    assert tracker.presence.onset_sample == 297984
    assert GuardMemory.model_validate_json(STATES["north/guard"]).analysed_until == 1572864


def test_a_spool_of_the_first_version_is_taken_up(tmp_path: Path) -> None:
    made(tmp_path / "images.db", SPOOL_1)
    with spool_in(tmp_path / "images.db") as spool:
        assert [(item.number, item.hydrophone, item.record) for item in spool.take(limit_bytes=9)] == [
            (7, "north", b"\1\2\3")
        ]
    assert version_of(tmp_path / "images.db") == SPOOL.version


def test_a_file_of_hours_from_before_versions_is_taken_up(tmp_path: Path) -> None:
    old = made(tmp_path / "hours.db", HOURS_0)
    with fleet_in(old) as store:
        assert (store.next_offset, store.told_ms, store.species()) == (42, 1000, ["beluga"])
    assert version_of(old) == FLEET.version
    with fleet_in(old) as store:
        assert store.next_offset == 42


def test_another_programs_file_is_not_taken_for_hours_from_before_versions(tmp_path: Path) -> None:
    theirs = made(tmp_path / "hours.db", "CREATE TABLE bookmarks (url TEXT); PRAGMA application_id = 77;")
    with pytest.raises(SeaCanaryError, match="not a seacanary file of hours"):
        FleetStore.open(theirs)


def test_a_journal_without_a_version_is_called_damaged(tmp_path: Path) -> None:
    old = make_newer(old_journal(tmp_path / "journal.db", 1), 0)
    with pytest.raises(JournalError, match="damaged"):
        JournalStore.open(old)


def rows_of(connection: sqlite3.Connection) -> Iterable[tuple[int, str]]:
    return connection.execute("SELECT * FROM t").fetchall()


def test_migrations_follow_one_another_from_any_version_and_fail_as_one(tmp_path: Path) -> None:
    steps = {1: "ALTER TABLE t ADD COLUMN b TEXT DEFAULT 'x';", 2: "UPDATE t SET b = b || 'y';"}
    kind = SqliteKind("test", 5, 3, "CREATE TABLE t (a, b);", SeaCanaryError, steps)
    broken = replace(kind, migrations=steps | {2: "UPDATE t SET b = 'z'; UPDATE nowhere SET b = 1;"})
    old = "CREATE TABLE t (a); INSERT INTO t VALUES (1); PRAGMA application_id = 5; PRAGMA user_version = 1;"
    path = made(tmp_path / "t.db", old)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        with pytest.raises(sqlite3.OperationalError, match="nowhere"):
            broken.migrate(connection, broken.check(connection, path))
        connection.rollback()
        assert (kind.check(connection, path), rows_of(connection)) == (1, [(1,)])
        kind.migrate(connection, 1)
        assert (kind.check(connection, path), rows_of(connection)) == (3, [(1, "xy")])
