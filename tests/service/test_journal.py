"""Journal: what is in it stays, in order, once each, whatever the clock or the process does."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_samples import event
from seacanary.errors import JournalError
from seacanary.journal import Journal
from seacanary.journal_schema import MIGRATIONS, SCHEMA_VERSION
from seacanary.journal_store import DeadLetter, JournalStore


async def test_entries_come_back_as_they_went_in(tmp_path: Path) -> None:
    async with await Journal.open(tmp_path / "deep" / "journal.db") as journal:
        written = await journal.append([event(1), event(2), event(3)])
        assert [entry.sequence for entry in written] == [1, 2, 3]
        assert await journal.read_after(1, 10) == written[1:]
        assert await journal.read_after(0, 2) == written[:2]
        assert [entry async for entry in journal.entries()] == written
        assert journal.head == 3


async def test_a_repeated_event_is_stored_once_and_leaves_no_hole(tmp_path: Path) -> None:
    async with await Journal.open(tmp_path / "journal.db") as journal:
        await journal.append([event(1), event(1)])
        assert await journal.append([event(1)]) == []
        [entry] = await journal.append([event(1), event(2)])
        assert (entry.sequence, entry.event) == (2, event(2))


async def test_events_states_and_done_files_are_stored_together_or_not_at_all(tmp_path: Path) -> None:
    async with await Journal.open(tmp_path / "journal.db") as journal:
        await journal.append([event(1)], states={"north/beluga": "{}"}, done=["a.wav"])
        broken = {"north/beluga": object()}
        with pytest.raises(JournalError):
            await journal.append([event(2)], states=broken, done=["b.wav"])  # type: ignore[arg-type]
        assert await journal.states() == {"north/beluga": "{}"}
        assert await journal.done_files() == {"a.wav"}
        assert journal.head == 1
        [entry] = await journal.append([event(3)])
        assert entry.sequence == 2


async def test_everything_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await Journal.open(path) as journal:
        [written] = await journal.append([event(1)], states={"north/beluga": "s"})
        await journal.mark_done("a.wav")
        await journal.move_cursor("redis", 1)
    async with await Journal.open(path) as journal:
        assert await journal.read_after(0, 10) == [written]
        assert await journal.states() == {"north/beluga": "s"}
        assert await journal.done_files() == {"a.wav"}
        assert (await journal.cursor("redis"), await journal.cursor("webhook")) == (1, 0)
        [following] = await journal.append([event(2)])
        assert following.sequence == 2


@settings(deadline=None, max_examples=25)  # each waits for the disk
@given(clock=st.lists(st.lists(st.floats(0, 5), min_size=1, max_size=5), min_size=1, max_size=4))
def test_entry_ids_only_grow_whatever_the_clock_does(
    tmp_path_factory: pytest.TempPathFactory, clock: list[list[float]]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.db"
    ids: list[tuple[int, int]] = []
    onset = 0
    for times in clock:  # the journal is reopened between these
        store = JournalStore.open(path)
        for now in times:
            onset += 1
            entries = store.append([event(onset)], states={}, done=(), now=lambda now=now: now)  # type: ignore[misc]
            ids += [(entry.entry_ms, entry.entry_step) for entry in entries]
        store.close()
    assert ids == sorted(set(ids))
    assert len(ids) == onset


async def test_ids_of_one_millisecond_are_told_apart(tmp_path: Path) -> None:
    async with await Journal.open(tmp_path / "journal.db", now=lambda: 7.0) as journal:
        entries = await journal.append([event(1), event(2)])
    assert [(entry.entry_ms, entry.entry_step) for entry in entries] == [(7000, 0), (7000, 1)]


async def test_waiting_ends_when_an_event_comes(tmp_path: Path) -> None:
    async with await Journal.open(tmp_path / "journal.db") as journal, asyncio.timeout(5):
        waiting = asyncio.create_task(journal.wait_beyond(1))
        await journal.append([event(1)])
        await asyncio.sleep(0.01)
        assert not waiting.done()
        await journal.append([event(2)])
        await waiting


async def test_a_dead_letter_is_kept_with_its_reason_and_passed(tmp_path: Path) -> None:
    async with await Journal.open(tmp_path / "journal.db", now=lambda: 7.0) as journal:
        [first, _] = await journal.append([event(1), event(2)])
        await journal.dead_letter("webhook", first, "410 Gone")
        assert await journal.cursor("webhook") == 1
        letter = DeadLetter("webhook", first, "410 Gone", refused_ms=7000, retry=False)
        assert await journal.dead_letters("webhook") == await journal.dead_letters() == [letter]
        assert await journal.dead_letters("redis") == []


async def test_the_loop_is_free_while_the_disk_works(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await Journal.open(path) as journal:
        hold = sqlite3.connect(path, isolation_level=None)
        hold.execute("BEGIN IMMEDIATE")  # the journal's write must wait for this
        appending = asyncio.create_task(journal.append([event(1)]))
        await asyncio.sleep(0.05)
        assert not appending.done()
        hold.execute("ROLLBACK")
        hold.close()
        assert len(await appending) == 1


async def test_a_reader_sees_what_a_running_station_writes(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await Journal.open(path) as journal, await Journal.open_to_read(path) as reader:
        written = await journal.append([event(1)])
        assert await reader.read_after(0, 10) == written
        with pytest.raises(JournalError, match="readonly"):
            await reader.append([event(2)])


async def test_two_stations_cannot_write_one_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await Journal.open(path):
        with pytest.raises(JournalError, match="another seacanary is writing"):
            await Journal.open(path)
    async with await Journal.open(path):
        pass


# --- files that cannot be used -----------------------------------------------


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"these are notes, not a database" * 100)
    with pytest.raises(JournalError, match=r"journal\.db: file is not a database"):
        await Journal.open(path)
    assert path.read_bytes().startswith(b"these are notes")


async def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(JournalError, match="not a seacanary journal"):
        await Journal.open(path)
    assert path.read_bytes() == before


async def test_a_newer_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await (await Journal.open(path)).aclose()
    with sqlite3.connect(path) as newer:
        newer.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    newer.close()
    with pytest.raises(JournalError, match=r"version 3.*knows up to 2"):
        await Journal.open(path)


async def test_a_damaged_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await Journal.open(path) as journal:
        await journal.append([event(onset) for onset in range(200)])
    whole = bytearray(path.read_bytes())
    whole[4096 : len(whole) - 4096] = b"\xff" * (len(whole) - 8192)
    path.write_bytes(whole)
    with pytest.raises(JournalError, match=r"journal\.db: .*(damaged|malformed)"):
        await Journal.open(path)


async def test_no_journal_to_read_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="there is no journal here"):
        await Journal.open_to_read(tmp_path / "journal.db")


async def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="cannot be written here"):
        await Journal.open(tmp_path / "file" / "journal.db")


async def test_a_consumer_moves_its_cursor_with_the_events_it_makes(tmp_path: Path) -> None:
    async with await Journal.open(tmp_path / "journal.db") as journal:
        await journal.append([event(1)])
        await journal.append([event(2)], states={"alerts": "one"}, cursors={"alerts": 1})
        assert await journal.cursor("alerts") == 1
        await asyncio.wait_for(journal.wait_delivered("alerts", 1), 1)
        assert [entry.event async for entry in journal.entries()] == [event(1), event(2)]


async def test_a_reader_that_is_new_begins_behind_what_there_is_and_one_that_is_not_stays(tmp_path: Path) -> None:
    async with await Journal.open(tmp_path / "journal.db") as journal:
        await journal.begin(["early"])
        await journal.append([event(1), event(2)])
    async with await Journal.open(tmp_path / "journal.db") as journal:  # early was killed before its first delivery
        await journal.begin(["early", "late"])
        assert [await journal.cursor(name) for name in ("early", "late", "asks-for-all")] == [0, 2, 0]


# --- dead letters, marked by a second process while a station writes ----------


async def test_dead_letters_are_marked_while_the_station_holds_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await Journal.open(path) as journal:
        written = await journal.append([event(n) for n in range(1, 5)])
        for entry in written:
            await journal.dead_letter("webhook", entry, "400 Bad Request")
        with JournalStore.open_to_mark(path) as other:
            assert other.mark_for_retry("webhook", [3, 1, 99]) == 2
            assert other.mark_for_retry("redis", [1]) == 0
            assert other.drop_dead_letters("webhook", [2]) == 1
            assert [letter.retry for letter in other.dead_letters()] == [True, True, False]
        assert await journal.to_retry("webhook", 10) == [written[0], written[2]]
        assert await journal.to_retry("webhook", 1) == [written[0]]
        await journal.append([event(5)])
        assert [e.sequence for e in await journal.read_after(0, 10)] == [1, 2, 3, 4, 5]


async def test_what_is_tried_again_is_settled_or_put_back_and_no_cursor_moves(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await Journal.open(path, now=lambda: 9.0) as journal:
        written = await journal.append([event(1), event(2), event(3)])
        for entry in written[:2]:
            await journal.dead_letter("webhook", entry, "400 Bad Request")
        await journal.move_cursor("webhook", 3)
        with JournalStore.open_to_mark(path) as other:
            other.mark_for_retry("webhook", [1, 2])
        await journal.drop_dead_letter("webhook", written[0])
        await journal.put_back("webhook", written[1], "404 Not Found")
        await journal.put_back("webhook", written[2], "it never was a dead letter")
        letter = DeadLetter("webhook", written[1], "404 Not Found", refused_ms=9000, retry=False)
        assert await journal.dead_letters("webhook") == [letter]
        assert await journal.cursor("webhook") == 3


async def test_marks_wait_for_a_write_under_way(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await Journal.open(path) as journal:
        [first] = await journal.append([event(1)])
        await journal.dead_letter("webhook", first, "410 Gone")

    def mark() -> int:
        with JournalStore.open_to_mark(path) as other:
            return other.mark_for_retry("webhook", [1])

    with closing(sqlite3.connect(path, isolation_level=None)) as hold:
        hold.execute("BEGIN IMMEDIATE")
        marking = asyncio.create_task(asyncio.to_thread(mark))
        await asyncio.sleep(0.05)
        assert not marking.done()
        hold.execute("ROLLBACK")
    assert await marking == 1


def test_marks_need_a_journal(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="there is no journal here"):
        JournalStore.open_to_mark(tmp_path / "journal.db")
    assert list(tmp_path.iterdir()) == []


# --- a journal of version 1 ---------------------------------------------------

VERSION_1 = """
CREATE TABLE events (sequence INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, entry_ms INTEGER NOT NULL,
    entry_step INTEGER NOT NULL, event TEXT NOT NULL) STRICT;
CREATE TABLE cursors (publisher TEXT PRIMARY KEY, sequence INTEGER NOT NULL) STRICT;
CREATE TABLE dead_letters (publisher TEXT NOT NULL, sequence INTEGER NOT NULL REFERENCES events (sequence),
    reason TEXT NOT NULL, PRIMARY KEY (publisher, sequence)) STRICT;
CREATE TABLE states (name TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT;
CREATE TABLE done_files (path TEXT PRIMARY KEY) STRICT;
PRAGMA application_id = 0x53656143;
PRAGMA user_version = 1;
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A journal as the first version left it: one event, refused by a webhook."""
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(VERSION_1)
        row = (1, str(event(1).id), 1000, 0, event(1).model_dump_json())
        connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?)", row)
        connection.execute("INSERT INTO dead_letters VALUES ('webhook', 1, '410 Gone')")
        connection.execute("INSERT INTO cursors VALUES ('webhook', 1)")
    return path


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


@pytest.mark.parametrize("opener", [JournalStore.open, JournalStore.open_to_mark])
def test_an_older_journal_is_brought_up_to_date(old: Path, opener: Callable[[Path], JournalStore]) -> None:
    with opener(old) as store:
        [letter] = store.dead_letters()
        assert (letter.reason, letter.refused_ms, letter.retry) == ("410 Gone", None, False)
        assert store.mark_for_retry("webhook", [1]) == 1
        assert store.cursor("webhook") == 1
        assert [entry.event for entry in store.to_retry("webhook", 9)] == [event(1)]
    assert version_of(old) == SCHEMA_VERSION


def test_reading_leaves_an_older_journal_as_it_is(old: Path) -> None:
    with JournalStore.open_to_read(old) as store:
        assert [entry.event for entry in store.read_after(0, 9)] == [event(1)]
    assert version_of(old) == 1


def test_a_migration_that_fails_half_way_leaves_the_old_journal(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = "ALTER TABLE dead_letters ADD COLUMN retry INTEGER; ALTER TABLE nowhere ADD COLUMN retry INTEGER;"
    with monkeypatch.context() as patched:
        patched.setitem(MIGRATIONS, 1, broken)
        with pytest.raises(JournalError, match="nowhere"):
            JournalStore.open(old)
    assert version_of(old) == 1
    JournalStore.open(old).close()
    assert version_of(old) == SCHEMA_VERSION


def test_a_migrated_journal_has_the_tables_of_a_new_one(old: Path, tmp_path: Path) -> None:
    JournalStore.open(old).close()
    JournalStore.open(tmp_path / "new.db").close()
    assert columns_of(old) == columns_of(tmp_path / "new.db")


def columns_of(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: connection.execute(f"PRAGMA table_info({table})").fetchall() for table in sorted(tables)}
