"""Alerting: reads the journal, asks every rule's AlertBook, and appends the alerts they make.

Alerts, the books' states and the cursor go into the journal in one transaction, so a crash at any
instant repeats no alert and loses none.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Never, TypeVar
from uuid import UUID

from pydantic import ValidationError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from seacanary.alerts.book import AlertBook
from seacanary.alerts.book_state import BookState
from seacanary.alerts.bout import Cause
from seacanary.alerts.report import AlertReport, closed, count_alerts
from seacanary.alerts.rules import AlertsSection
from seacanary.errors import JournalError
from seacanary.events import AlertEvent, JournalEntry
from seacanary.journal import Journal

__all__ = ["CURSOR", "AlertReport", "Alerting", "count_alerts"]

T = TypeVar("T")

log = logging.getLogger(__name__)

CURSOR = "@alerts"
STATE_PREFIX = "@alerts/"
BATCH = 200
LONGEST_SLEEP_S = 60.0  # the clock that ticks are due by may be set meanwhile
SET_BACK = timedelta(seconds=5)  # a clock slewed back by less than this is waited for


class Alerting:
    """The rules of a station at work, for as long as run() runs."""

    def __init__(
        self,
        journal: Journal,
        section: AlertsSection,
        *,
        station: str,
        hold_s: float,
        on_step: Callable[[AlertReport], None] = lambda _: None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            journal: what to read and to append to.
            section: the rules.
            station: its name, for the alerts' ids.
            hold_s: longest quiet after which a presence of this station ends.
            on_step: told on the loop of whatever came of a batch or a tick.
            now_s: the system clock, seconds since 1970.
        """
        self._journal, self._section, self._on_step, self._now_s = journal, section, on_step, now_s
        self._station = station
        self._books = self._books_of(section, hold_s)
        self._held_back: dict[tuple[str, Cause], int] = {}
        self._journal_failures = 0
        self._sequence: int | None = None  # None: not begun
        self._turn = asyncio.Lock()  # who has it is between two entries of the journal
        self._changed = asyncio.Event()

    async def run(self) -> Never:
        """Alert until cancelled, from where the last run stopped; without a rule, do nothing."""
        try:
            while True:
                self._changed.clear()
                async with self._turn:
                    came = await self._step()
                if not came:
                    await self._sleep()
        finally:
            self._sequence = None  # what is stored is what the next run begins with

    async def _step(self) -> bool:
        """Take what comes next; False if there is nothing."""
        if not self._books:
            return False
        if self._sequence is None:
            self._sequence = await self._begin()
        batch = await self._read_after(self._sequence, BATCH)
        if batch:
            self._sequence = await self._take(batch)
        else:
            await self._tick(self._sequence)
        return bool(batch)

    async def change(self, section: AlertsSection, *, hold_s: float) -> None:
        """Judge by other rules from the next journal entry on; returns once they hold and that is stored.

        A rule that keeps its name keeps its state. Of one that is gone, the state goes; without any rule left,
        the journal waits, as it would for a station that was started so.

        Args:
            section: the rules.
            hold_s: longest quiet after which a presence of this station ends.
        """
        async with self._turn:
            before, self._section, self._books = self._books, section, self._books_of(section, hold_s)
            if not self._books:
                self._sequence = None
            elif self._sequence is not None:
                await self._carry_over(before, self._sequence)
        self._changed.set()

    async def _carry_over(self, before: Mapping[str, AlertBook], sequence: int) -> None:
        for name, book in self._books.items():
            if name in before:
                book.restore(before[name].snapshot())
                book.let_strangers_go()
        self._held_back = self._held_back_so_far()
        gone = before.keys() - self._books.keys()
        await self._store([], sequence, dropped=[STATE_PREFIX + name for name in gone])
        self._on_step(closed(gone, before))

    def _books_of(self, section: AlertsSection, hold_s: float) -> dict[str, AlertBook]:
        return {rule.name: AlertBook(rule, self._station, hold_s=hold_s) for rule in section.rules}

    async def drain(self, timeout_s: float) -> bool:
        """Wait until run() has judged all events there are now; False if the time was too short."""
        if not self._books:
            return True
        try:
            async with asyncio.timeout(timeout_s):
                head = self._journal.head
                await self._of_journal(lambda: self._journal.wait_delivered(CURSOR, head))
        except TimeoutError:
            return False
        return True

    async def _begin(self) -> int:
        """Take up the books' states.

        Returns:
            Sequence to go on after. At the very first start, events from before max_age_s are passed over.
        """
        states = await self._of_journal(self._journal.states)
        stored = {name: state for name, state in states.items() if name.startswith(STATE_PREFIX)}
        for name, book in self._books.items():
            _restore(book, name, stored.get(STATE_PREFIX + name, ""))
            book.let_strangers_go()
            book.resume(self._now())
        self._held_back = self._held_back_so_far()
        gone = [name for name in stored if name.removeprefix(STATE_PREFIX) not in self._books and stored[name]]
        for name in gone:
            log.info("no alert rule goes with the state %s any more: it is dropped", name)
        sequence = await self._of_journal(lambda: self._journal.cursor(CURSOR))
        if not stored:
            sequence = await self._first_recent()
        await self._store([], sequence, dropped=gone)
        return sequence

    async def _first_recent(self) -> int:
        """Sequence of the last event that is too old for an alert; 0 if none is."""
        oldest_ms = (self._now_s() - self._section.max_age_s) * 1000
        low, high = 0, self._journal.head
        while low < high:  # entry times never go back
            middle = (low + high) // 2
            [entry] = await self._read_after(middle, 1)
            low, high = (middle + 1, high) if entry.entry_ms < oldest_ms else (low, middle)
        if low:
            log.info("alerts begin: the first %d events of the journal are passed over as too old", low)
        return low

    async def _take(self, batch: Sequence[JournalEntry]) -> int:
        alerts: list[AlertEvent] = []
        led_to: dict[UUID, int] = {}
        for entry in batch:
            made = self._alerts_of(entry)
            led_to |= {alert.id: entry.entry_ms for alert in made}
            alerts += made
        sequence = batch[-1].sequence
        if alerts or not all(isinstance(entry.event, AlertEvent) for entry in batch):
            await self._store(alerts, sequence, led_to=led_to)
        else:  # its own alerts change no state
            await self._of_journal(lambda: self._journal.move_cursor(CURSOR, sequence))
        return sequence

    def _alerts_of(self, entry: JournalEntry) -> list[AlertEvent]:
        if isinstance(entry.event, AlertEvent):
            return []
        now_ms = round(self._now().timestamp() * 1000)
        late = now_ms - entry.entry_ms > self._section.max_age_s * 1000
        # Entry times never go back: after the clock was set back they stand still until it has caught up.
        entry = replace(entry, entry_ms=min(entry.entry_ms, now_ms))
        return [alert for book in self._books.values() for alert in book.take(entry, late=late)]

    async def _tick(self, sequence: int) -> None:
        now = self._now()
        due = [book for book in self._books.values() if book.next_due is not None and book.next_due <= now]
        if due:
            await self._store([alert for book in due for alert in book.tick(now)], sequence)

    async def _sleep(self) -> None:
        """Wait for an event, until a rule is due, or until the rules are others."""
        if self._sequence is None:
            await self._changed.wait()
            return
        due = [book.next_due for book in self._books.values() if book.next_due is not None]
        wait_s = min([LONGEST_SLEEP_S, *((instant - self._now()).total_seconds() for instant in due)])
        news = [
            asyncio.ensure_future(self._journal.wait_beyond(self._sequence)),
            asyncio.ensure_future(self._changed.wait()),
        ]
        try:
            await asyncio.wait(news, timeout=max(0.0, wait_s), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiting in news:
                waiting.cancel()

    async def _store(
        self,
        alerts: Sequence[AlertEvent],
        sequence: int,
        *,
        led_to: Mapping[UUID, int] | None = None,
        dropped: Sequence[str] = (),
    ) -> None:
        """Alerts, states and cursor into the journal, all or none, until it works."""
        states = dict.fromkeys(dropped, "") | self._states()
        entries = await self._of_journal(
            lambda: self._journal.append(alerts, states=states, cursors={CURSOR: sequence})
        )
        self._report(entries, led_to or {})

    def _report(self, entries: Sequence[JournalEntry], led_to: Mapping[UUID, int]) -> None:
        held_back, before = self._held_back_so_far(), self._held_back
        self._held_back = held_back
        alerts = [entry.event for entry in entries if isinstance(entry.event, AlertEvent)]
        latency_s = {e.event.id: (e.entry_ms - led_to[e.event.id]) / 1000 for e in entries if e.event.id in led_to}
        report = AlertReport(
            alerts=alerts,
            latency_s=latency_s,
            held_back={key: count - before.get(key, 0) for key, count in held_back.items()},
            told_of={(name, s): told for name, book in self._books.items() for s, told in book.told_of.items()},
            journal_failures=self._journal_failures,
        )
        self._journal_failures = 0
        for alert in alerts:
            log.info("alert %s (%s): %s", alert.rule, alert.notice, alert.text)
        self._on_step(report)

    def _states(self) -> dict[str, str]:
        return {STATE_PREFIX + name: book.snapshot().model_dump_json() for name, book in self._books.items()}

    def _held_back_so_far(self) -> dict[tuple[str, Cause], int]:
        return {(name, cause): n for name, book in self._books.items() for cause, n in book.held_back.items()}

    def _now(self) -> datetime:
        """The clock's time; where it was set back, the rules are told."""
        now = datetime.fromtimestamp(self._now_s(), UTC)
        for name, book in self._books.items():
            if book.now - now > SET_BACK:
                log.warning(
                    "alert rule %s: the clock was set back by %s; it counts on from there", name, book.now - now
                )
                book.set_back(now)
        return now

    async def _read_after(self, sequence: int, limit: int) -> list[JournalEntry]:
        return await self._of_journal(lambda: self._journal.read_after(sequence, limit))

    async def _of_journal(self, access: Callable[[], Awaitable[T]]) -> T:
        """Read or write the journal until it works, as delivery does: docs/decisions/0005 says why."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(JournalError),
            wait=wait_random_exponential(multiplier=0.5, max=10),
            before_sleep=self._note_journal_failure,
            reraise=True,
        )

        async def attempt() -> T:
            return await access()

        return await retrying(attempt)

    def _note_journal_failure(self, retry: RetryCallState) -> None:
        if retry.attempt_number == 1 and retry.outcome:
            log.error("alerts wait for the journal: %s", retry.outcome.exception())
        self._journal_failures += 1


def _restore(book: AlertBook, name: str, state: str) -> None:
    """Take up a stored state; one that cannot be read is logged, and the rule begins anew."""
    if not state:
        return
    try:
        book.restore(BookState.model_validate_json(state))
    except ValidationError as exc:
        log.error("alert rule %s begins anew, its stored state cannot be read: %s", name, exc)
