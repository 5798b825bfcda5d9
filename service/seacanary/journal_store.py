"""JournalStore: the journal's SQLite file, used from one thread; journal.py is its async face.

WAL lets readers look on while the station writes. synchronous=FULL makes every commit
wait for the disk: with NORMAL a power cut may take back the last commits, and an event
a publisher has already sent out would lose its place to another one.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from pydantic import ValidationError

from seacanary.errors import JournalError
from seacanary.events import EVENT, Event, JournalEntry
from seacanary.journal_schema import SCHEMA_VERSION, locked, prepare, translated, uri_of

NO_CURSORS: Mapping[str, int] = MappingProxyType({})
ENTRY_COLUMNS = "sequence, entry_ms, entry_step, event"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that a destination would not take.

    Attributes:
        publisher: who was to deliver it.
        entry: the event and its place in the journal.
        reason: why it was put aside.
        refused_ms: when, ms since 1970; None: before that was noted.
        retry: whether a person has asked to have it tried again.
    """

    publisher: str
    entry: JournalEntry
    reason: str
    refused_ms: int | None
    retry: bool


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
        lock = locked(path)
        try:
            return cls._connected(path, "rwc", lock=lock)
        except BaseException:
            lock.close()
            raise

    @classmethod
    def open_to_read(cls, path: Path) -> "JournalStore":
        """Look into a journal that a running station may be writing."""
        if not path.exists():
            raise JournalError(f"{path}: there is no journal here")
        return cls._connected(path, "ro", lock=None)

    @classmethod
    def open_to_mark(cls, path: Path) -> "JournalStore":
        """Open for marks on dead letters, while a station may be running.

        The station's lock keeps a second writer of events away. These marks need none:
        they touch no table that the station keeps in memory, each is a transaction of its
        own, and SQLite lets one writer at a time into the WAL while the other waits.

        Raises:
            JournalError: as open(); an older journal is brought up to date first, if no station holds it.
        """
        with cls.open_to_read(path) as looked_into:
            [(version,)] = looked_into._rows("PRAGMA user_version")
        if version < SCHEMA_VERSION:
            cls.open(path).close()
        return cls._connected(path, "rw", lock=None)

    @classmethod
    def _connected(cls, path: Path, mode: str, *, lock: IO[bytes] | None) -> "JournalStore":
        uri = f"file:{uri_of(path)}?mode={mode}"
        with translated(path):
            connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10.0)
            try:
                prepare(connection, path, writing=lock is not None)
                return cls(connection, path=path, lock=lock)
            except BaseException:
                connection.close()
                raise

    def __enter__(self) -> "JournalStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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

    def take_back(self, entries: Iterable[JournalEntry], *, publisher: str) -> int:
        """Store entries with the places they had once, and that a publisher has delivered them; all or none.

        Returns:
            How many there were.

        Raises:
            JournalError: they do not follow on the newest, or cannot be stored.
        """
        last, count = self._last, 0
        with self._transaction() as connection:
            for entry in entries:
                place = (entry.sequence, entry.entry_ms, entry.entry_step)
                if place[0] != last[0] + 1 or place[1:] <= last[1:] or not _inserted(connection, entry):
                    raise JournalError(
                        f"{self._path}: entry {place} cannot follow {last}, or its event is here already"
                    )
                last, count = place, count + 1
            if count:
                connection.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (publisher, last[0]))
        self._last = last
        return count

    def read_after(self, sequence: int, limit: int) -> list[JournalEntry]:
        """Up to `limit` entries after `sequence`, in order."""
        query = f"SELECT {ENTRY_COLUMNS} FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?"
        return [self._entry(row) for row in self._rows(query, sequence, limit)]

    def cursor(self, publisher: str) -> int:
        """Sequence up to which a publisher has delivered; 0 if it has not begun."""
        rows = self._rows("SELECT sequence FROM cursors WHERE publisher = ?", publisher)
        return int(rows[0][0]) if rows else 0

    def begin(self, publishers: Iterable[str]) -> None:
        """Have publishers that were never here go on after the newest entry there is now."""
        with self._transaction() as connection:
            rows = [(publisher, self.head) for publisher in publishers]
            connection.executemany("INSERT OR IGNORE INTO cursors VALUES (?, ?)", rows)

    def move_cursor(self, publisher: str, sequence: int) -> None:
        """Set how far a publisher has delivered: on, or back where the far side lost entries."""
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (publisher, sequence))

    def dead_letter(
        self, publisher: str, entry: JournalEntry, reason: str, *, now: Callable[[], float] = time.time
    ) -> None:
        """Put aside an entry its destination will never take, and go on behind it."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?, ?, 0)",
                (publisher, entry.sequence, reason, round(now() * 1000)),
            )
            connection.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (publisher, entry.sequence))

    def put_back(
        self, publisher: str, entry: JournalEntry, reason: str, *, now: Callable[[], float] = time.time
    ) -> None:
        """Put aside again what was tried again in vain; nothing if it was dropped meanwhile."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE dead_letters SET reason = ?, refused_ms = ?, retry = 0 WHERE publisher = ? AND sequence = ?",
                (reason, round(now() * 1000), publisher, entry.sequence),
            )

    def dead_letters(self, publisher: str | None = None) -> list[DeadLetter]:
        """What a destination refused, or all of them, in order."""
        query = (
            f"SELECT {ENTRY_COLUMNS}, publisher, reason, refused_ms, retry FROM dead_letters JOIN events "
            "USING (sequence) WHERE ?1 IS NULL OR publisher = ?1 ORDER BY publisher, sequence"
        )
        return [
            DeadLetter(str(row[4]), self._entry(row), reason=str(row[5]), refused_ms=row[6], retry=bool(row[7]))
            for row in self._rows(query, publisher)
        ]

    def to_retry(self, publisher: str, limit: int) -> list[JournalEntry]:
        """Up to `limit` dead letters that are to be tried again, in order."""
        query = (
            f"SELECT {ENTRY_COLUMNS} FROM dead_letters JOIN events USING (sequence) "
            "WHERE publisher = ? AND retry ORDER BY sequence LIMIT ?"
        )
        return [self._entry(row) for row in self._rows(query, publisher, limit)]

    def mark_for_retry(self, publisher: str, sequences: Iterable[int]) -> int:
        """Have dead letters tried again by the station; how many of them there were."""
        return self._on_each("UPDATE dead_letters SET retry = 1", publisher, sequences)

    def drop_dead_letters(self, publisher: str, sequences: Iterable[int]) -> int:
        """Forget that entries were refused: delivered after all, or given up. How many of them there were."""
        return self._on_each("DELETE FROM dead_letters", publisher, sequences)

    def _on_each(self, statement: str, publisher: str, sequences: Iterable[int]) -> int:
        with self._transaction() as connection:
            return sum(
                connection.execute(f"{statement} WHERE publisher = ? AND sequence = ?", (publisher, sequence)).rowcount
                for sequence in sequences
            )

    def states(self) -> dict[str, str]:
        """Tracker states by name, as last stored."""
        return {str(name): str(state) for name, state in self._rows("SELECT name, state FROM states")}

    def done_files(self) -> frozenset[str]:
        """Files that have been heard to their end."""
        return frozenset(str(row[0]) for row in self._rows("SELECT path FROM done_files"))

    def _rows(self, query: str, *values: str | int | None) -> list[Any]:
        with translated(self._path):
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with translated(self._path):
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
