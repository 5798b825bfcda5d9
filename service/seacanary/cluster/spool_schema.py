"""The image spool's SQLite file: its tables, its version, and who may open it."""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from seacanary.errors import SeaCanaryError
from seacanary.sqlite_versions import SqliteKind, for_sqlite, is_empty

SCHEMA_VERSION = 1
# "SeaI", in SQLite's application_id: a file of another program is not written to.
APPLICATION_ID = 0x53656149

# A number is never given twice, not even after its envelope is gone (AUTOINCREMENT).
# 'shed' is the LostEnvelope that stands for shed images. A record stands last: the rest is read without it.
SCHEMA = """
CREATE TABLE run (name TEXT NOT NULL) STRICT;
CREATE TABLE envelopes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    hydrophone TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('image', 'shed', 'other')),
    bytes INTEGER NOT NULL,
    spooled_s REAL NOT NULL,
    epoch TEXT,
    first_sample INTEGER,
    end_sample INTEGER,
    record BLOB NOT NULL
) STRICT;
CREATE INDEX by_hydrophone ON envelopes (hydrophone, number, kind, bytes);
CREATE INDEX images ON envelopes (kind, number);
CREATE TABLE hydrophones (
    name TEXT PRIMARY KEY,
    kept_epoch TEXT,
    kept_end_sample INTEGER,
    shed_images INTEGER NOT NULL DEFAULT 0,
    shed_samples INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE done_files (path TEXT PRIMARY KEY) STRICT;
"""


class SpoolError(SeaCanaryError):
    """The spool cannot be read or written."""

    may_pass = True


SPOOL = SqliteKind("image spool", APPLICATION_ID, SCHEMA_VERSION, SCHEMA, SpoolError)


def prepare(connection: sqlite3.Connection, path: Path, *, run: str) -> None:
    """Check that the file is a spool this version can use, and bring an older one up to date; fill an empty file.

    Its pages are not read through: that takes minutes when hours of audio wait. Each record has its checksum.

    Raises:
        SpoolError: not a spool, or of a newer version.
    """
    new = is_empty(connection)
    version = SCHEMA_VERSION if new else SPOOL.check(connection, path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {64 * 2**20}")
    if new:
        SPOOL.create(connection, rows=f"INSERT INTO run VALUES ('{run}');")
    SPOOL.migrate(connection, version)


def locked(path: Path) -> IO[bytes]:
    """Take the spool's lock, which the kernel gives back however the process ends.

    Raises:
        SpoolError: another process has it, or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(path.name + ".lock").open("ab")
    except OSError as exc:
        raise SpoolError(f"{path}: cannot be written here: {exc}") from exc
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        lock.close()
        raise SpoolError(f"{path}: another seacanary uses this spool") from exc
    return lock


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into SpoolError."""
    try:
        yield
    except sqlite3.DatabaseError as exc:
        raise for_sqlite(SpoolError(f"{path}: {exc}"), exc) from exc
