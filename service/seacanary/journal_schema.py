"""The journal's SQLite file: its tables, its versions, and who may open it to write."""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from seacanary.errors import JournalError, lasting
from seacanary.sqlite_versions import SqliteKind, for_sqlite, is_empty

SCHEMA_VERSION = 2
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
    refused_ms INTEGER,
    retry INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (publisher, sequence)
) STRICT;
CREATE TABLE states (name TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT;
CREATE TABLE done_files (path TEXT PRIMARY KEY) STRICT;
"""

# What brings a journal of the version named to the one after it.
MIGRATIONS = {
    1: """
ALTER TABLE dead_letters ADD COLUMN refused_ms INTEGER;
ALTER TABLE dead_letters ADD COLUMN retry INTEGER NOT NULL DEFAULT 0;
""",
}


# States are JSON in `states`: a change of one that defaults of its model do not bridge is a version of the journal too.
JOURNAL = SqliteKind("journal", APPLICATION_ID, SCHEMA_VERSION, SCHEMA, JournalError, MIGRATIONS)


def prepare(connection: sqlite3.Connection, path: Path, *, writing: bool) -> None:
    """Check that the file is a journal this version can use; who may write makes it one, or brings it up to date.

    Raises:
        JournalError: not a journal, damaged, or of a newer version.
    """
    new = writing and is_empty(connection)
    version = SCHEMA_VERSION if new else JOURNAL.check(connection, path)
    if writing:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        if new:
            JOURNAL.create(connection)
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise lasting(
            JournalError(
                f"{path}: the journal is damaged ({verdict}); restore a backup (docs/backup.md), or move it away and "
                "begin anew"
            )
        )
    if writing:
        JOURNAL.migrate(connection, version)


def locked(path: Path) -> IO[bytes]:
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


def uri_of(path: Path) -> str:
    """The path as SQLite's file: URIs want it."""
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into JournalError."""
    try:
        yield
    except sqlite3.DatabaseError as exc:
        raise for_sqlite(JournalError(f"{path}: {exc}"), exc) from exc
