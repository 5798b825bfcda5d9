"""Listening effort: how long each hydrophone was heard in each UTC hour, kept in files that outlive the process.

An hour without presences says something only beside the time that was listened. Each month is a CSV file, written
anew every minute, so that a crash costs a minute of what is said to have been heard, never more, and never adds any.
What is in no row was not listened to: nobody was there to write it.
"""

import asyncio
import csv
import io
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Never

from pydantic import BaseModel, ConfigDict, Field

from seacanary.errors import SeaCanaryError
from seacanary.evidence.files import write_whole
from seacanary.ledger import LedgerTotals

log = logging.getLogger(__name__)

EVERY = timedelta(minutes=1)
HOUR = timedelta(hours=1)


class EffortError(SeaCanaryError):
    """A file of hours cannot be read or written."""


class EffortSection(BaseModel):
    """Where the listening effort is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path = Field(Path("state/effort"), description="folder of a CSV file for each month; made if missing")


@dataclass(frozen=True, slots=True)
class Account:
    """One live hydrophone's ledger so far.

    Attributes:
        sample_rate_hz: of the stream.
        totals: samples since this process began.
    """

    sample_rate_hz: int
    totals: LedgerTotals


@dataclass(slots=True)
class HourRow:
    """One hydrophone in one hour.

    Attributes:
        hour: its first instant, UTC, ISO 8601.
        hydrophone: name.
        sample_rate_hz: latest in that hour: what it cannot carry was not listened for.
        listened_s: analysed, seconds.
        shed_s: captured, but not analysed for want of time, seconds.
        unobserved_s: captured, but not analysed for another reason, seconds.
        lost_s: known never to have arrived, seconds; it is known once the hydrophone is back.
    """

    hour: str
    hydrophone: str
    sample_rate_hz: int
    listened_s: float = 0.0
    shed_s: float = 0.0
    unobserved_s: float = 0.0
    lost_s: float = 0.0

    def add(self, before: LedgerTotals, now: Account) -> None:
        """Count what has come since."""
        rate, totals = now.sample_rate_hz, now.totals
        self.sample_rate_hz = rate
        self.listened_s += (totals.analysed - before.analysed) / rate
        self.shed_s += (totals.shed - before.shed) / rate
        self.unobserved_s += (totals.unobserved - before.unobserved) / rate
        self.lost_s += (totals.lost - before.lost) / rate


class EffortLog:
    """The hours of the present month. One month's rows are in memory, and in one file."""

    def __init__(
        self,
        section: EffortSection,
        accounts: Callable[[], Mapping[str, Account]],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Prepare; nothing is read or written yet.

        Args:
            section: where files are kept.
            accounts: of each live hydrophone heard so far.
            now: the clock on the wall, UTC.
        """
        self._folder, self._accounts, self._now = section.path, accounts, now
        self._rows: dict[tuple[str, str], HourRow] = {}
        self._month = ""
        self._counted: dict[str, LedgerTotals] = {}
        self._since = now()
        self._noting = asyncio.Lock()

    async def run(self) -> Never:
        """Count and write at every full minute, until cancelled."""
        while True:
            now = self._now()
            await asyncio.sleep((_floor(now, EVERY) + EVERY - now).total_seconds())
            await self.note()

    async def drain(self, timeout_s: float) -> bool:
        """Write what has come since the last minute; False if it cannot be written in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.note()
        except (TimeoutError, EffortError) as exc:
            log.warning("the listening effort of the last minute is not written: %s", exc or "the disk hangs")
            return False
        return True

    async def note(self) -> None:
        """Count what has come since the last time into the hour it came in, and write the month's file.

        Raises:
            EffortError: the file cannot be read or written; nothing is counted, so it is tried again with the next.
        """
        async with self._noting:
            hour, now, accounts = _floor(self._since, HOUR), self._now(), dict(self._accounts())
            await asyncio.to_thread(self._open, f"{hour:%Y-%m}")
            rows = self._with(accounts, hour.isoformat())
            await asyncio.to_thread(self._write, rows)
            self._rows, self._since = rows, now
            self._counted = {name: account.totals for name, account in accounts.items()}

    def _with(self, accounts: Mapping[str, Account], hour: str) -> dict[tuple[str, str], HourRow]:
        """The rows, and in them what the accounts have more than when they were last counted."""
        rows = {key: replace(row) for key, row in self._rows.items()}
        for name, account in accounts.items():
            before = self._counted.get(name, LedgerTotals())
            if account.totals.elapsed < before.elapsed:  # a new ledger, as when the stream has another rate
                before = LedgerTotals()
            row = rows.setdefault((hour, name), HourRow(hour, name, account.sample_rate_hz))
            row.add(before, account)
        return rows

    @property
    def _file(self) -> Path:
        return self._folder / f"{self._month}.csv"

    def _open(self, month: str) -> None:
        """Go on with a month's file, or begin one."""
        if month == self._month:
            return
        self._month = month
        try:
            text = self._file.read_text(encoding="utf-8") if self._file.exists() else ""
            self._rows = {(row.hour, row.hydrophone): row for row in _rows_in(text)}
        except (OSError, ValueError, KeyError) as exc:
            self._month = ""
            raise EffortError(f"{self._folder / month}.csv: cannot be gone on with: {exc}; move it away") from exc

    def _write(self, rows: Mapping[tuple[str, str], HourRow]) -> None:
        try:
            write_whole(self._file, _text_of(rows.values()).encode())
        except OSError as exc:
            raise EffortError(f"{self._file}: cannot be written: {exc.strerror or exc}") from exc


def is_month(name: str) -> bool:
    """Whether a file so named is one of effort."""
    return re.fullmatch(r"\d{4}-\d{2}\.csv", name) is not None


def months_in(folder: Path) -> list[Path]:
    """Files of effort, in order of their months."""
    return sorted(file for file in folder.glob("*.csv") if is_month(file.name))


def _rows_in(text: str) -> Iterable[HourRow]:
    for row in csv.DictReader(io.StringIO(text)):
        seconds = (float(row[name]) for name in ("listened_s", "shed_s", "unobserved_s", "lost_s"))
        yield HourRow(row["hour"], row["hydrophone"], int(row["sample_rate_hz"]), *seconds)


def _text_of(rows: Iterable[HourRow]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(field.name for field in fields(HourRow))
    for row in sorted(rows, key=lambda row: (row.hour, row.hydrophone)):
        values = astuple(row)
        table.writerow((*values[:3], *(round(seconds, 3) for seconds in values[3:])))
    return text.getvalue()


def _floor(at: datetime, step: timedelta) -> datetime:
    """The latest whole step."""
    return at - (at - datetime.min.replace(tzinfo=UTC)) % step
