"""Rows of the image spool: envelopes in and out of SQLite, with a running count of what waits."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seacanary.cluster.envelope import Envelope, ImageEnvelope, LostEnvelope
from seacanary.cluster.spool_schema import translated


class SpoolRows:
    """The tables of one spool. For one thread at a time.

    Attributes:
        count: envelopes that wait.
        size_bytes: of all their records.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection, self._path = connection, path
        self.count, self.size_bytes = (int(n) for n in self.one("SELECT count(*), total(bytes) FROM envelopes") or ())

    def insert(self, item: Envelope, record: bytes, *, spooled_s: float) -> None:
        """Add an envelope under its number."""
        epoch, first, end = _place(item)
        self._connection.execute("INSERT OR IGNORE INTO hydrophones (name) VALUES (?)", (item.hydrophone,))
        self._connection.execute(
            "INSERT INTO envelopes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (item.number, item.hydrophone, _kind(item), len(record), spooled_s, epoch, first, end, record),
        )
        self.count += 1
        self.size_bytes += len(record)

    def delete(self, number: int) -> None:
        """Remove an envelope, if it is there."""
        rows = self.all("DELETE FROM envelopes WHERE number = ? RETURNING bytes", number)
        self.count -= len(rows)
        self.size_bytes -= sum(row[0] for row in rows)

    def change(self, statement: str, *values: str | int) -> None:
        """Execute a statement that returns nothing."""
        self._connection.execute(statement, values)

    def all(self, query: str, *values: str | int) -> list[Sequence[Any]]:  # the schema types what SQLite holds
        """Every row of a query."""
        with translated(self._path):
            return self._connection.execute(query, values).fetchall()

    def one(self, query: str, *values: str | int) -> Sequence[Any] | None:
        """The first row of a query, None if it has none."""
        with translated(self._path):
            row: Sequence[Any] | None = self._connection.execute(query, values).fetchone()
        return row

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, on disk and in the counts.

        Raises:
            SpoolError: the disk is full or broken; nothing was changed.
        """
        before = self.count, self.size_bytes
        try:
            with translated(self._path):
                self._connection.execute("BEGIN IMMEDIATE")
                yield
                self._connection.execute("COMMIT")
        except BaseException:
            self.count, self.size_bytes = before
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


def _kind(item: Envelope) -> str:
    if isinstance(item, ImageEnvelope):
        return "image"
    return "shed" if isinstance(item, LostEnvelope) and item.lost.reason == "shed" else "other"


def _place(item: Envelope) -> tuple[str | None, int | None, int | None]:
    """Epoch and samples [first, end) of an image."""
    if isinstance(item, ImageEnvelope):
        return item.epoch.isoformat(), item.first_sample, item.end_sample
    return None, None, None
