"""FleetStore: the parts of all hours in a SQLite file, so that a worker answers for years of a fleet in little memory.

The topic is the truth: a file that is lost, or that belongs to a topic made anew, is filled again from it.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any, Self

from seacanary.cluster.fleet_hours import HourPart, HydrophoneHour, added_up
from seacanary.errors import SeaCanaryError
from seacanary.sqlite_versions import SqliteKind, for_sqlite, is_empty

HOUR = timedelta(hours=1)
FILE_VERSION = 1
# "SeaF", in SQLite's application_id.
APPLICATION_ID = 0x53656146
SCHEMA = """
CREATE TABLE parts (
    hour TEXT NOT NULL, station TEXT NOT NULL, hydrophone TEXT NOT NULL, key TEXT NOT NULL,
    changes INTEGER NOT NULL, part BLOB NOT NULL,
    PRIMARY KEY (hour, station, hydrophone, key)
) WITHOUT ROWID;
CREATE TABLE hydrophones (
    station TEXT NOT NULL, hydrophone TEXT NOT NULL,
    first_hour TEXT NOT NULL, last_hour TEXT NOT NULL, heard_until TEXT NOT NULL, told_ms INTEGER NOT NULL,
    PRIMARY KEY (station, hydrophone)
) WITHOUT ROWID;
CREATE TABLE species (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE place (next_offset INTEGER NOT NULL, told_ms INTEGER);
INSERT INTO place VALUES (0, NULL);
"""
ADD_PART = """
INSERT INTO parts VALUES (:hour, :station, :hydrophone, :key, :changes, :part)
ON CONFLICT DO UPDATE SET changes = excluded.changes, part = excluded.part WHERE excluded.changes > changes
"""
ADD_HYDROPHONE = """
INSERT INTO hydrophones VALUES (:station, :hydrophone, :hour, :hour, :until, :told_ms)
ON CONFLICT DO UPDATE SET first_hour = min(first_hour, excluded.first_hour),
last_hour = max(last_hour, excluded.last_hour), heard_until = max(heard_until, excluded.heard_until),
told_ms = max(told_ms, excluded.told_ms)
"""
OF_HOURS = """
SELECT part FROM parts
WHERE hour > :since AND hour < :until
AND (hour, station, hydrophone) > (:after_hour, :after_station, :after_hydrophone)
AND (:station IS NULL OR station = :station) AND (:hydrophone IS NULL OR hydrophone = :hydrophone)
ORDER BY hour, station, hydrophone, key
"""


class FleetStoreError(SeaCanaryError):
    """The file of hours cannot be read or written now."""

    may_pass = True


# The first such files had the same tables and no version.
FLEET = SqliteKind("file of hours", APPLICATION_ID, FILE_VERSION, SCHEMA, FleetStoreError, {0: ""}, oldest=0)


@dataclass(frozen=True, slots=True)
class Told:
    """A part as the topic told it.

    Attributes:
        part: of an hour.
        told_ms: when the brokers took the record, ms since 1970.
    """

    part: HourPart
    told_ms: int


@dataclass(frozen=True, slots=True)
class HoursAsked:
    """Which hours; None: all.

    Attributes:
        since, until: hours of which any instant lies in [since, until).
        after: go on behind this hour of this station and hydrophone.
        limit: so many hours of hydrophones at most.
    """

    since: datetime
    until: datetime
    station: str | None = None
    hydrophone: str | None = None
    after: tuple[datetime, str, str] | None = None
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class KnownHydrophone:
    """What is known of a hydrophone at a glance.

    Attributes:
        first_hour, last_hour: the earliest and latest told of.
        heard_until: UTC of the end of its latest audio.
        told_ms: when the brokers took the latest word of it, ms since 1970.
    """

    station: str
    hydrophone: str
    first_hour: datetime
    last_hour: datetime
    heard_until: datetime
    told_ms: int


class FleetStore:
    """Parts by hour. Used from one thread at a time; every method may raise FleetStoreError."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection, self._path = connection, path

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open, making the file if there is none, and bringing an older one up to date.

        Raises:
            FleetStoreError: it cannot be used, or a newer version has written it; without it, it is filled again.
        """
        with _translated(path):
            connection = sqlite3.connect(path, check_same_thread=False)
            try:
                _prepare(connection, path)
            except BaseException:
                connection.close()
                raise
        return cls(connection, path)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    @property
    def next_offset(self) -> int:
        """The record of the topic that comes next."""
        return int(self._place()[0])

    @property
    def told_ms(self) -> int | None:
        """When the brokers took the newest record in here, ms since 1970; None: there is none."""
        told_ms: int | None = self._place()[1]
        return told_ms

    def take(self, told: Sequence[Told], *, next_offset: int) -> None:
        """Enter what the topic holds up to an offset."""
        rows = [_row(one) for one in told]
        species = {(name,) for one in told for name in one.part.species}
        with _translated(self._path), self._connection as connection:
            connection.executemany(ADD_PART, rows)
            connection.executemany(ADD_HYDROPHONE, rows)
            connection.executemany("INSERT OR IGNORE INTO species VALUES (?)", species)
            newest_ms = max((one.told_ms for one in told), default=None)
            connection.execute(
                "UPDATE place SET next_offset = ?, told_ms = coalesce(?, told_ms)", (next_offset, newest_ms)
            )

    def clear(self) -> None:
        """Forget it all, to be filled again from the topic's beginning."""
        with _translated(self._path), self._connection as connection:
            for table in ("parts", "hydrophones", "species"):
                connection.execute(f"DELETE FROM {table}")
            connection.execute("UPDATE place SET next_offset = 0, told_ms = NULL")

    def hours(self, asked: HoursAsked) -> list[HydrophoneHour]:
        """Hours of hydrophones, by hour, station and hydrophone."""
        after = ("", "", "") if asked.after is None else (_text(asked.after[0]), *asked.after[1:])
        values = {
            "since": _text(asked.since - HOUR),
            "until": _text(asked.until),
            "station": asked.station,
            "hydrophone": asked.hydrophone,
            **dict(zip(("after_hour", "after_station", "after_hydrophone"), after, strict=True)),
        }
        found: list[HydrophoneHour] = []
        with _translated(self._path):
            rows = self._connection.execute(OF_HOURS, values)
            parts = (HourPart.decoded(text) for (text,) in rows)
            for _, same in groupby(parts, lambda part: (part.hour, part.station, part.hydrophone)):
                found.append(added_up(same))
                if len(found) == asked.limit:
                    break
        return found

    def hydrophones(self) -> list[KnownHydrophone]:
        """All that were ever told of, by station and name."""
        with _translated(self._path):
            rows = self._connection.execute("SELECT * FROM hydrophones ORDER BY station, hydrophone").fetchall()
        return [
            KnownHydrophone(
                station=station,
                hydrophone=name,
                first_hour=datetime.fromisoformat(first_hour),
                last_hour=datetime.fromisoformat(last_hour),
                heard_until=datetime.fromisoformat(heard_until),
                told_ms=told_ms,
            )
            for station, name, first_hour, last_hour, heard_until, told_ms in rows
        ]

    def species(self) -> list[str]:
        """All that were ever listened for."""
        with _translated(self._path):
            return [name for (name,) in self._connection.execute("SELECT name FROM species ORDER BY name")]

    def _place(self) -> tuple[int, int | None]:
        with _translated(self._path):
            place: tuple[int, int | None] = self._connection.execute("SELECT * FROM place").fetchone()
        return place


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    version = FILE_VERSION
    if is_empty(connection):
        FLEET.create(connection)
    else:
        version = FLEET.check(connection, path)
    # Losing the latest commits with the power harms nothing: they are read again.
    connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
    FLEET.migrate(connection, version)


def _row(told: Told) -> dict[str, Any]:
    part = told.part
    return {
        "hour": _text(part.hour),
        "station": part.station,
        "hydrophone": part.hydrophone,
        "key": part.key,
        "changes": part.changes,
        "part": part.encoded(),
        "until": _text(part.until),
        "told_ms": told.told_ms,
    }


def _text(when: datetime) -> str:
    """Text that sorts as the instants do."""
    return when.astimezone(UTC).isoformat(timespec="microseconds")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as exc:
        raise for_sqlite(FleetStoreError(f"{path}: {exc}"), exc) from exc
