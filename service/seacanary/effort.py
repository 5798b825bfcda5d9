"""Listening effort: when each hydrophone was listened to, kept in files that outlive the process.

An hour without presences says something only beside the time that was listened. Each month is a CSV file to which a row
is added for every hydrophone and interval; nothing in it is ever written anew. What is in no row was not listened to:
nobody was there to write it. So a crash costs an interval of what is said to have been heard, and never adds any.
"""

import asyncio
import csv
import io
import logging
import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, Never, Self

from pydantic import BaseModel, ConfigDict, Field

from seacanary.errors import SeaCanaryError
from seacanary.ledger import LedgerTotals

log = logging.getLogger(__name__)

EVERY = timedelta(minutes=10)  # an hour is a whole number of them
LOOK_S = 1.0
ROWS_KEPT = 100_000  # that could not be written yet


class EffortError(SeaCanaryError):
    """A file of effort cannot be written."""


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


@dataclass(frozen=True, slots=True)
class Interval:
    """One hydrophone in one interval, as the file has it.

    Attributes:
        begin, end: UTC, ISO 8601.
        hydrophone: name.
        sample_rate_hz: what it cannot carry was not listened for.
        listened_s: analysed in the interval, seconds.
        shed_s: captured, but not analysed for want of time, seconds.
        unobserved_s: captured, but not analysed for another reason, seconds.
        lost_s: known never to have arrived, seconds; that is known once the hydrophone is back.
    """

    begin: str
    end: str
    hydrophone: str
    sample_rate_hz: int
    listened_s: float
    shed_s: float
    unobserved_s: float
    lost_s: float

    @classmethod
    def between(
        cls, begin: datetime, end: datetime, hydrophone: str, before: LedgerTotals, now: Account, *, rate_hz: int
    ) -> Self:
        """What an account has more at the end than at the beginning.

        Args:
            begin, end: UTC.
            hydrophone: name.
            before: at the beginning.
            now: at the end.
            rate_hz: the highest in between: so a change of rate counts as less time, never as more.
        """
        totals = now.totals
        return cls(
            begin.isoformat(timespec="seconds"),
            end.isoformat(timespec="seconds"),
            hydrophone,
            now.sample_rate_hz,
            listened_s=round((totals.analysed - before.analysed) / rate_hz, 3),
            shed_s=round((totals.shed - before.shed) / rate_hz, 3),
            unobserved_s=round((totals.unobserved - before.unobserved) / rate_hz, 3),
            lost_s=round((totals.lost - before.lost) / rate_hz, 3),
        )


HEADER = ",".join(field.name for field in fields(Interval)) + "\n"


class EffortLog:
    """Adds rows to the present month's file; what cannot be written waits, each interval by itself."""

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
        self._counted: dict[str, LedgerTotals] = {}
        self._rates_hz: dict[str, int] = {}
        self._since = now()
        self._unwritten = deque[Interval](maxlen=ROWS_KEPT)
        self._writing = asyncio.Lock()

    async def run(self) -> Never:
        """Add a row for each hydrophone at the end of each interval, until cancelled."""
        while True:
            end = _next(self._now())
            while self._now() < end:
                await asyncio.sleep(LOOK_S)
                self.look()
                if end - self._now() > EVERY:  # the clock was put back
                    end = _next(self._now())
            await self.note()

    def look(self) -> None:
        """See at which rates hydrophones are heard; once a second."""
        for name, account in self._accounts().items():
            self._rates_hz[name] = max(self._rates_hz.get(name, 0), account.sample_rate_hz)

    async def drain(self, timeout_s: float) -> bool:
        """Write what has come since the last interval; False if it cannot be written in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.note()
        except (TimeoutError, EffortError) as exc:
            log.warning("the listening effort of the last minutes is not written: %s", exc or "the disk hangs")
            return False
        return True

    async def note(self) -> None:
        """End an interval here, and write what is not written yet.

        Raises:
            EffortError: it cannot be written; it is tried again with the next.
        """
        self.look()
        now, accounts = self._now(), self._accounts()
        for name, account in accounts.items():
            before, rate_hz = self._counted.get(name, LedgerTotals()), self._rates_hz[name]
            self._unwritten.append(Interval.between(self._since, now, name, before, account, rate_hz=rate_hz))
            self._counted[name] = account.totals
        self._since = now
        self._rates_hz = {name: account.sample_rate_hz for name, account in accounts.items()}
        async with self._writing:
            for month, rows in groupby(tuple(self._unwritten), key=lambda row: row.begin[:7]):
                written = list(rows)
                await asyncio.to_thread(add_rows, self._folder / f"{month}.csv", written)
                for _ in written:
                    self._unwritten.popleft()


def _next(at: datetime) -> datetime:
    """The end of the interval that this lies in."""
    return at + EVERY - (at - datetime.min.replace(tzinfo=UTC)) % EVERY


def add_rows(file: Path, rows: Sequence[Interval]) -> None:
    """Add rows to a month's file and have them on the disk; all of them or none.

    Raises:
        EffortError: it cannot be written, or is another's; what was in it before is all that is in it.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(astuple(row) for row in rows)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        with file.open("r+b") as month:
            length = _whole_lines(month)
            month.seek(0)
            if length and month.readline() != HEADER.encode():
                raise EffortError(f"{file}: its first line is not that of a file of effort; move it away")
            _add(month, length, ("" if length else HEADER) + text.getvalue())
    except OSError as exc:
        raise EffortError(f"{file}: cannot be written: {exc.strerror or exc}") from exc


def _whole_lines(month: BinaryIO) -> int:
    """Bytes up to the end of the last whole line: a crash may have torn what comes after it."""
    size = month.seek(0, os.SEEK_END)
    month.seek(max(0, size - 4096))
    end = month.read().rfind(b"\n")
    return max(0, size - 4096) + end + 1 if end >= 0 else 0


def _add(month: BinaryIO, length: int, text: str) -> None:
    try:
        month.truncate(length)
        month.seek(length)
        month.write(text.encode())
        month.flush()
        os.fsync(month.fileno())
    except OSError:
        with suppress(OSError):
            month.truncate(length)
        raise


def is_month(name: str) -> bool:
    """Whether a file so named is one of effort."""
    return re.fullmatch(r"\d{4}-\d{2}\.csv", name) is not None


def months_in(folder: Path) -> Iterator[Path]:
    """Files of effort, in order of their months."""
    return (file for file in sorted(folder.glob("*.csv")) if is_month(file.name))
