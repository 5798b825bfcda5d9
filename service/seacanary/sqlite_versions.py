"""Versions of the SQLite files a process keeps: which it can use, and how an older one becomes one of today."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from seacanary import __version__
from seacanary.errors import SeaCanaryError, lasting

ErrorT = TypeVar("ErrorT", bound=SeaCanaryError)

DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
NO_MIGRATIONS: Mapping[int, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SqliteKind:
    """A kind of file and its history.

    Attributes:
        name: in messages.
        application_id: in SQLite's header, so that a file of another program is not written to.
        version: the newest, which this program writes; in SQLite's user_version.
        schema: SQL that makes a file of that version.
        error: what is raised of a file that cannot be used.
        migrations: SQL that brings a file of the version named to the one after it.
        oldest: the first version that ever was; 0: files from before versions were counted have none.
    """

    name: str
    application_id: int
    version: int
    schema: str
    error: type[SeaCanaryError]
    migrations: Mapping[int, str] = field(default_factory=lambda: NO_MIGRATIONS)
    oldest: int = 1

    def check(self, connection: sqlite3.Connection, path: Path) -> int:
        """The file's version.

        Raises:
            SeaCanaryError: of the kind's type: the file is another program's, or of a version unknown here.
        """
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        unmarked = self.oldest == 0 and application_id == 0 and version == 0
        if application_id != self.application_id and not unmarked:
            raise lasting(self.error(f"{path}: this SQLite file is not a seacanary {self.name}; name another path"))
        if not self.oldest <= version <= self.version:
            raise lasting(self.error(f"{path}: {self.name} of version {version}, {self._why_not(version)}"))
        return int(version)

    def _why_not(self, version: int) -> str:
        knows = f"but this seacanary ({__version__}) knows up to {self.version}"
        if version < self.oldest:
            return f"{knows} from {self.oldest} on: the file is damaged; restore a backup"
        return (
            f"{knows}: a newer seacanary has written it. Nothing was changed. Install that newer version again, "
            "or restore a backup from before the upgrade (docs/backup.md)"
        )

    def create(self, connection: sqlite3.Connection, *, rows: str = "") -> None:
        """Lay out a new file in one transaction: a kill leaves none or a whole one.

        Args:
            connection: in autocommit mode, to an empty file.
            rows: SQL of what it holds from the beginning.
        """
        connection.executescript(f"BEGIN; {self.schema} {rows} {self._marks}; COMMIT;")

    def migrate(self, connection: sqlite3.Connection, version: int) -> None:
        """Bring an older file up to date in one transaction: a kill leaves the old one or the new one."""
        if version == self.version:
            return
        steps = "".join(self.migrations[step] for step in range(version, self.version))
        connection.executescript(f"BEGIN IMMEDIATE; {steps} {self._marks}; COMMIT;")

    @property
    def _marks(self) -> str:
        return f"PRAGMA application_id = {self.application_id}; PRAGMA user_version = {self.version}"


def for_sqlite(error: ErrorT, exc: sqlite3.Error) -> ErrorT:
    """An error of ours for one of SQLite's: a damaged file will be the same tomorrow, a full disk may not."""
    return lasting(error) if getattr(exc, "sqlite_errorcode", 0) & 0xFF in DAMAGED else error


def is_empty(connection: sqlite3.Connection) -> bool:
    """Whether a file has no table yet."""
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return not tables
