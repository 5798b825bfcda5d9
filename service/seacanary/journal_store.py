"""JournalStore: the journal's SQLite file, used from one thread; journal.py is its async face.

WAL lets readers look on while the station writes. synchronous=FULL makes every commit
wait for the disk: with NORMAL a power cut may take back the last commits, and an event
a publisher has already sent out would lose its place to another one.
"""

import fcntl
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from pydantic import ValidationError

from seacanary.errors import JournalError
from seacanary.events import EVENT, Event, JournalEntry

SCHEMA_VERSION = 1
# "SeaC", in SQLite's application_id: a file of another program is not written to.
APPLICATION_ID = 0x53656143

SCHEMA = """
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    entry_ms INTEGER NOT NULL,
    entry_step INTEGER NOT NULL,
    event TEXT NOT NULL
) STRICT;
CREATE TABLE cursors (publisher TEXT PRIMARY KEY, sequence INTEGER NOT NULL) STRICT;
CREATE TABLE dead_letters (
    publisher TEXT NOT NULL,
    sequence INTEGER NOT NULL REFERENCES events (sequence),
    reason TEXT NOT NULL,
    PRIMARY KEY (publisher, sequence)
) STRICT;
CREATE TABLE states (name TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT;
CREATE TABLE done_files (path TEXT PRIMARY KEY) STRICT;
"""

NO_CURSORS: Mapping[str, int] = MappingProxyType({})
ENTRY_COLUMNS = "sequence, entry_ms, entry_step, event"


class JournalStore:
    """Events in append order, with tracker states, done files and publishers' cursors.

    Every method may raise JournalError.
    """

    def __init__(self, connection: sqlite3.Connection, *, path: Path, lock: IO[bytes] | None) -> None:
        self._connection, self._path, self._lock = connection, path, lock
        last = connection.execute(
            "SELECT sequence, entry_ms, entry_step FROM events ORDER BY sequence DESC LIMIT 1"
        ).fetchone()
        self._last: tuple[int, int, int] = last or (0, 0, -1)

    @classmethod
    def open(cls, path: Path) -> "JournalStore":
        """Open to write, making the file if there is none; one process at a time.

        Raises:
            JournalError: in use, not a journal, damaged, or of a newer version.
        """
        lock = _locked(path)
        try:
            return cls._connected(path, f"file:{_uri(path)}?mode=rwc", lock=lock)
        except BaseException:
            lock.close()
            raise

    @classmethod
    def open_to_read(cls, path: Path) -> "JournalStore":
        """Look into a journal that a running station may be writing."""
        if not path.exists():
            raise JournalError(f"{path}: there is no journal here")
        return cls._connected(path, f"file:{_uri(path)}?mode=ro", lock=None)

    @classmethod
    def _connected(cls, path: Path, uri: str, *, lock: IO[bytes] | None) -> "JournalStore":
        with _translated(path):
            connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10.0)
            try:
                _prepare(connection, path, writing=lock is not None)
                return cls(connection, path=path, lock=lock)
            except BaseException:
                connection.close()
                raise

    def close(self) -> None:
        """Release file and lock; safe to call twice."""
        self._connection.close()
        if self._lock is not None:
            self._lock.close()

    @property
    def head(self) -> int:
        """Sequence of the newest entry this store has written, or found when opened; 0 if none."""
        return self._last[0]

    def append(
        self,
        events: Sequence[Event],
        *,
        states: Mapping[str, str],
        done: Iterable[str],
        cursors: Mapping[str, int] = NO_CURSORS,
        now: Callable[[], float] = time.time,
    ) -> list[JournalEntry]:
        """Store events, states, done files and cursors that move with them together, or none of them.

        Returns:
            Entries of the events that were new; one already stored is a repeat.
        """
        last, entries = self._last, list[JournalEntry]()
        with self._transaction() as connection:
            for event in events:
                entry = _following(last, round(now() * 1000), event)
                if _inserted(connection, entry):
                    entries.append(entry)
                    last = (entry.sequence, entry.entry_ms, entry.entry_step)
            connection.executemany("INSERT OR REPLACE INTO states VALUES (?, ?)", states.items())
            connection.executemany("INSERT OR IGNORE INTO done_files VALUES (?)", [(path,) for path in done])
            connection.executemany("INSERT OR REPLACE INTO cursors VALUES (?, ?)", cursors.items())
        self._last = last
        return entries

    def read_after(self, sequence: int, limit: int) -> list[JournalEntry]:
        """Up to `limit` entries after `sequence`, in order."""
        query = f"SELECT {ENTRY_COLUMNS} FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?"
        return [self._entry(row) for row in self._rows(query, sequence, limit)]

    def cursor(self, publisher: str) -> int:
        """Sequence up to which a publisher has delivered; 0 if it has not begun."""
        rows = self._rows("SELECT sequence FROM cursors WHERE publisher = ?", publisher)
        return int(rows[0][0]) if rows else 0

    def move_cursor(self, publisher: str, sequence: int) -> None:
        """Set how far a publisher has delivered: on, or back where the far side lost entries."""
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (publisher, sequence))

    def dead_letter(self, publisher: str, entry: JournalEntry, reason: str) -> None:
        """Put aside an entry its destination will never take, and go on behind it."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?)", (publisher, entry.sequence, reason)
            )
            connection.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (publisher, entry.sequence))

    def dead_letters(self, publisher: str) -> list[tuple[JournalEntry, str]]:
        """What a destination refused, in order, each with the reason."""
        query = (
            f"SELECT {ENTRY_COLUMNS}, reason FROM dead_letters JOIN events USING (sequence) "
            "WHERE publisher = ? ORDER BY sequence"
        )
        return [(self._entry(row), str(row[4])) for row in self._rows(query, publisher)]

    def states(self) -> dict[str, str]:
        """Tracker states by name, as last stored."""
        return {str(name): str(state) for name, state in self._rows("SELECT name, state FROM states")}

    def done_files(self) -> frozenset[str]:
        """Files that have been heard to their end."""
        return frozenset(str(row[0]) for row in self._rows("SELECT path FROM done_files"))

    def _rows(self, query: str, *values: str | int) -> list[Any]:
        with _translated(self._path):
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with _translated(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # A full disk may have rolled back already; then there is nothing to undo.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _entry(self, row: Sequence[Any]) -> JournalEntry:
        try:
            event = EVENT.validate_json(row[3])
        except ValidationError as exc:
            raise JournalError(f"{self._path}: entry {row[0]} does not hold an event: {exc}") from exc
        return JournalEntry(sequence=row[0], entry_ms=row[1], entry_step=row[2], event=event)


def _following(last: tuple[int, int, int], now_ms: int, event: Event) -> JournalEntry:
    """The entry after `last`; its ms never goes back, whatever the clock does."""
    sequence, last_ms, last_step = last
    entry_ms = max(now_ms, last_ms)
    step = last_step + 1 if entry_ms == last_ms else 0
    return JournalEntry(sequence=sequence + 1, entry_ms=entry_ms, entry_step=step, event=event)


def _inserted(connection: sqlite3.Connection, entry: JournalEntry) -> bool:
    row = (
        entry.sequence,
        str(entry.event.id),
        entry.entry_ms,
        entry.entry_step,
        entry.event.model_dump_json(),
    )
    query = "INSERT INTO events VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
    return connection.execute(query, row).rowcount == 1


def _prepare(connection: sqlite3.Connection, path: Path, *, writing: bool) -> None:
    """Check that the file is a journal this version can use; make it one if it is new."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application_id != APPLICATION_ID and (tables or not writing):
        raise JournalError(f"{path}: this SQLite file is not a seacanary journal; name another path")
    if version > SCHEMA_VERSION:
        raise JournalError(
            f"{path}: journal of version {version}, but this seacanary knows up to {SCHEMA_VERSION}; upgrade it"
        )
    if writing:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        if not tables:
            _create(connection)
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise JournalError(f"{path}: the journal is damaged ({verdict}); move it away and start again")


def _create(connection: sqlite3.Connection) -> None:
    """Lay out a new journal in one transaction: a kill leaves none or a whole one."""
    connection.executescript(
        f"BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
    )


def _locked(path: Path) -> IO[bytes]:
    """Take the writer's lock, which the kernel gives back however the process ends."""
    lock_path = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = lock_path.open("ab")
    except OSError as exc:
        raise JournalError(f"{path}: cannot be written here: {exc}") from exc
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        lock.close()
        raise JournalError(f"{path}: another seacanary is writing this journal") from exc
    return lock


def _uri(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as exc:
        raise JournalError(f"{path}: {exc}") from exc
