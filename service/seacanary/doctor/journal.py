"""Integrity of the journal, the edge's spool and the fleet's hours. Who writes one is not held up: reads are short.

A reader of SQLite's WAL keeps no writer waiting, but while it reads the log cannot be folded in. So a check beside a
running process is broken off after seconds, and says how far it can be trusted.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pydantic import ValidationError

from seacanary.cluster.edge_config import EdgeConfig
from seacanary.cluster.fleet_store import FLEET
from seacanary.cluster.spool_schema import SPOOL
from seacanary.cluster.worker_config import WorkerConfig
from seacanary.doctor.findings import Finding, broken, ok, unknown, warning
from seacanary.doctor.running import SPOOL_FILE
from seacanary.doctor.subject import Subject
from seacanary.errors import SeaCanaryError
from seacanary.events import EVENT
from seacanary.journal_schema import JOURNAL, uri_of
from seacanary.sqlite_versions import SqliteKind, is_empty

BESIDE_S, ALONE_S = 4.0, 60.0
LIMIT_S = ALONE_S + 15
# SQLite calls back after so many steps of its machine: some milliseconds.
STEPS = 20_000
LATEST = 100
WAL_BYTES = 256 * 2**20


def journals(subject: Subject) -> Iterator[Finding]:
    """The journal of events; at an edge the spool of images, at a worker the hours of the fleet."""
    limit_s = BESIDE_S if subject.running.may_run else ALONE_S
    for path, kind in files_of(subject):
        yield from examined(path, kind, limit_s=limit_s)


def files_of(subject: Subject) -> Iterator[tuple[Path, SqliteKind]]:
    """The SQLite files that a process keeps, and what each should be."""
    config = subject.config
    if subject.journal is not None:
        yield subject.journal, JOURNAL
    if isinstance(config, EdgeConfig):
        yield config.edge.spool / SPOOL_FILE, SPOOL
    if isinstance(config, WorkerConfig) and "fleet" in config.worker.roles:
        yield config.worker.hours, FLEET


@contextmanager
def read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    with closing(sqlite3.connect(f"file:{uri_of(path)}?mode=ro", uri=True, timeout=5.0)) as connection:
        yield connection


def examined(path: Path, kind: SqliteKind, *, limit_s: float) -> Iterator[Finding]:
    """One file: its kind, its version, its pages and its latest events."""
    try:
        if not path.exists():
            yield ok(kind.name, f"{path} is not there yet; it is made at the first start")
            return
        with read_only(path) as connection:
            yield from _looked_at(connection, path, kind, limit_s=limit_s)
    except (sqlite3.DatabaseError, OSError) as exc:
        yield _unreadable(path, kind, exc)


def _looked_at(connection: sqlite3.Connection, path: Path, kind: SqliteKind, *, limit_s: float) -> Iterator[Finding]:
    if is_empty(connection):
        yield ok(kind.name, f"{path} is empty; it is laid out at the next start")
        return
    try:
        kind.check(connection, path)
    except kind.error as exc:
        yield _refused(connection, kind, exc)
        return
    yield _pages(connection, path, kind, limit_s=limit_s)
    yield from _log(path, kind)
    if kind is JOURNAL:
        yield from _latest(connection, path)


def _refused(connection: sqlite3.Connection, kind: SqliteKind, exc: SeaCanaryError) -> Finding:
    """As the process refuses it; what is in its header tells which remedy helps."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application_id != kind.application_id:
        remedy = "name another path"
    elif version > kind.version:
        remedy = "install that newer version again, or restore a backup from before the upgrade"
    else:
        remedy = "restore a backup, or move it away and begin anew"
    return broken(kind.name, str(exc), means="the process refuses to start rather than harm it", remedy=remedy)


def _pages(connection: sqlite3.Connection, path: Path, kind: SqliteKind, *, limit_s: float) -> Finding:
    with _broken_off(connection, limit_s):
        try:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.OperationalError as exc:
            if "interrupted" not in str(exc):
                raise
            return unknown(
                kind.name,
                f"no damage was found in {path} within {limit_s:g} s; it was not read to the end",
                means="it is large, or a running process must not be held up",
                remedy="stop the process and run the doctor again to have all of it read",
            )
    if verdict != "ok":
        return _damaged(path, kind, str(verdict))
    return ok(kind.name, f"{path}: {path.stat().st_size / 2**20:,.1f} MiB, undamaged")


@contextmanager
def _broken_off(connection: sqlite3.Connection, limit_s: float) -> Iterator[None]:
    """Interrupt whatever the connection does beyond the limit."""
    until_s = time.monotonic() + limit_s
    late: Callable[[], bool] = lambda: time.monotonic() > until_s  # noqa: E731  # its value is what SQLite asks for
    connection.set_progress_handler(late, STEPS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


def _log(path: Path, kind: SqliteKind) -> Iterator[Finding]:
    wal = path.with_name(path.name + "-wal")
    size = wal.stat().st_size if wal.exists() else 0
    if size > WAL_BYTES:
        yield warning(
            kind.name,
            f"its write-ahead log has grown to {size / 2**20:,.0f} MiB",
            means="some program has been reading it for very long, and keeps the log from being folded in",
            remedy=f"find the reader (`fuser {path}`) and end it; the log shrinks by itself then",
        )


def _latest(connection: sqlite3.Connection, path: Path) -> Iterator[Finding]:
    rows = connection.execute("SELECT sequence, event FROM events ORDER BY sequence DESC LIMIT ?", (LATEST,)).fetchall()
    for sequence, text in rows:
        try:
            EVENT.validate_json(text)
        except ValidationError:
            yield broken(
                "journal",
                f"entry {sequence} of {path} does not hold an event",
                means="publishers stop there and deliver nothing after it",
                remedy="another program has written into it, or a newer seacanary: upgrade, or restore a backup",
            )
            return


def _damaged(path: Path, kind: SqliteKind, how: str) -> Finding:
    return broken(
        kind.name,
        f"{path} is damaged: {how}",
        means="the process does not start with it; events in the damaged pages are lost",
        remedy=f"keep a copy, then `sqlite3 {path} .recover | sqlite3 NEW` for what can be saved, or move it away and "
        "begin anew; a disk that damages files is failing (dmesg, smartctl)",
    )


def _unreadable(path: Path, kind: SqliteKind, exc: Exception) -> Finding:
    said = str(exc)
    if isinstance(exc, PermissionError) or "unable to open" in said or "readonly" in said:
        return unknown(
            kind.name,
            f"{path} cannot be opened: {said}",
            means="this user may not read it, so nothing is known of it",
            remedy="run the doctor as the station's user",
        )
    return _damaged(path, kind, said)
