"""Delivery: cursor, backoff and dead letters, once for every publisher.

The cursor moves only after the far side has acknowledged, so a crash at any
instant repeats at most one batch; each publisher recognises its repeats, or says which they are.
Events go in the journal's order: one that fails is waited for, until it is given up. A dead
letter that a person has asked to be tried again goes out of turn, once.
A journal that fails is tried on, as a far side is: an outage of the disk ends nothing.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from seacanary.errors import DeliveryError, DeliveryLost, DeliveryRejected, DeliveryRetryable, JournalError
from seacanary.events import JournalEntry
from seacanary.journal import Journal
from seacanary.publishers import Publisher, Rechecked, Selective
from seacanary.publishers.circuit import Circuit, DeliveryPolicy, PatientPolicy
from seacanary.publishers.delivery_status import DeliveryStatus

__all__ = ["Delivery", "DeliveryPolicy", "DeliveryStatus", "PatientPolicy"]

T = TypeVar("T")

# Entries looked through at once for those that a selective publisher carries.
READ_AHEAD = 200
# Dead letters tried again before newer events have their turn.
RETRIED_AT_ONCE = 20

log = logging.getLogger(__name__)


class _Left(Exception):
    """leave() was called, and nothing is under way."""


class Delivery:
    """Brings the journal's events to one publisher, in order, for as long as run() runs."""

    def __init__(
        self,
        journal: Journal,
        publisher: Publisher,
        *,
        policy: DeliveryPolicy,
        on_change: Callable[[DeliveryStatus], None],
        now_s: Callable[[], float] = time.time,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare.

        Args:
            journal: what is delivered.
            publisher: where to.
            policy: how patiently.
            on_change: learns of every step, on the loop.
            now_s: system clock, seconds since 1970, for the age of events.
            monotonic_s: a clock for intervals.
        """
        self._journal, self._publisher, self._policy = journal, publisher, policy
        self._on_change, self._now_s, self._monotonic_s = on_change, now_s, monotonic_s
        self._began_s = self._looked_s = monotonic_s()
        self._circuit = Circuit(policy)
        self._backoff = wait_random_exponential(multiplier=policy.first_wait_s, max=policy.longest_wait_s)
        self._leaving = asyncio.Event()
        self.status = DeliveryStatus(publisher.name)

    async def run(self) -> None:
        """Deliver until cancelled, or until leave() was called and nothing is under way."""
        sequence = await self._of_journal(lambda: self._journal.cursor(self._publisher.name))
        with suppress(_Left):
            while not self._leaving.is_set():
                try:
                    sequence = await self._step(sequence)
                except DeliveryLost as lost:
                    sequence = await self._go_back(sequence, lost)

    def leave(self) -> None:
        """Have run() return as soon as the attempt under way has had its answer and the cursor stands by it.

        Another delivery of the same name then goes on with the next event: none is lost, none is sent twice.
        """
        self._leaving.set()

    async def _step(self, sequence: int) -> int:
        """Deliver what comes next after a sequence, or wait for it; the sequence reached."""
        await self._retry_dead_letters()
        entries = await self._read_after(sequence, self._policy.batch if self._carries_all else READ_AHEAD)
        carried = [entry for entry in entries if self._carries(entry)]
        if carried:
            await self._report_lag(carried[0].sequence - 1)
            return await self._deliver(carried[: self._policy.batch])
        if entries:
            return await self._reach(entries[-1].sequence)
        await self._report_lag(sequence)
        return await self._idle(sequence)

    @property
    def _carries_all(self) -> bool:
        return not isinstance(self._publisher, Selective)

    def _carries(self, entry: JournalEntry) -> bool:
        return not isinstance(self._publisher, Selective) or self._publisher.carries(entry.event)

    async def drain(self, timeout_s: float) -> bool:
        """Wait until run() has delivered all there is now; False if the time was too short."""
        try:
            async with asyncio.timeout(timeout_s):
                head = self._journal.head
                await self._of_journal(lambda: self._journal.wait_delivered(self._publisher.name, head))
        except TimeoutError:
            return False
        return True

    async def _deliver(self, batch: Sequence[JournalEntry]) -> int:
        """Deliver a batch; one that is refused goes entry by entry, to find the culprit."""
        try:
            await self._persist(lambda: self._publisher.publish(batch), until=lambda: self._is_too_old(batch[0]))
        except DeliveryRejected as rejected:
            self._report(refused=self.status.refused + 1)
            if len(batch) > 1:
                return await self._deliver(batch[:1])
            await self._put_aside(batch[0], str(rejected))
            return batch[0].sequence
        except DeliveryRetryable as unwell:
            await self._put_aside(batch[0], f"given up after {self._policy.give_up_s:g} s: {unwell}")
            return batch[0].sequence
        self._report(acknowledged=self.status.acknowledged + 1)
        return await self._reach(batch[-1].sequence)

    async def _reach(self, sequence: int) -> int:
        await self._report_lag(sequence)
        await self._move_cursor(sequence)
        return sequence

    def _is_too_old(self, entry: JournalEntry) -> bool:
        """Whether to give an event up. A clock that has been set forward makes nothing older than this run."""
        age_s = min(self._now_s() - entry.entry_ms / 1000, self._monotonic_s() - self._began_s)
        return self._policy.give_up_s is not None and age_s >= self._policy.give_up_s

    async def _put_aside(self, entry: JournalEntry, reason: str) -> None:
        log.error("%s puts event %d aside: %s", self._publisher.name, entry.sequence, reason)
        await self._of_journal(lambda: self._journal.dead_letter(self._publisher.name, entry, reason))
        self._report(dead_letters=self.status.dead_letters + 1)

    async def _retry_dead_letters(self) -> None:
        """Now and then, offer what a person has asked to be tried again."""
        if self._circuit.state != "closed" or self._monotonic_s() - self._looked_s < self._policy.recheck_s:
            return
        self._looked_s = self._monotonic_s()
        name = self._publisher.name
        for entry in await self._of_journal(lambda: self._journal.to_retry(name, RETRIED_AT_ONCE)):
            if self._leaving.is_set() or not await self._retry_once(entry):
                return

    async def _retry_once(self, entry: JournalEntry) -> bool:
        """Offer a dead letter once; False if the far side is unwell, so that the next may wait."""
        name = self._publisher.name
        try:
            await self._attempt(lambda: self._publisher.publish([entry]))
        except DeliveryError as failed:
            reason, unwell = str(failed), isinstance(failed, DeliveryRetryable)
            log.warning("%s does not take event %d now either: %s", name, entry.sequence, reason)
            await self._of_journal(lambda: self._journal.put_back(name, entry, reason))
            self._report(failures=self.status.failures + unwell, refused=self.status.refused + (not unwell))
            return not unwell
        await self._of_journal(lambda: self._journal.drop_dead_letter(name, entry))
        log.info("%s has taken event %d after all", name, entry.sequence)
        self._report(acknowledged=self.status.acknowledged + 1)
        return True

    async def _idle(self, sequence: int) -> int:
        """Wait for an event; meanwhile ask now and then whether what was delivered is still there."""
        publisher = self._publisher
        delivered = await self._read_after(sequence - 1, 1) if sequence else []
        if isinstance(publisher, Rechecked) and delivered:
            await self._persist(lambda: publisher.recheck(delivered[0]))
        beyond = asyncio.ensure_future(self._journal.wait_beyond(sequence))
        leaving = asyncio.ensure_future(self._leaving.wait())
        try:
            await asyncio.wait({beyond, leaving}, timeout=self._policy.recheck_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            beyond.cancel()
            leaving.cancel()
        return sequence

    async def _rest(self, wait_s: float) -> None:
        """Wait while nothing is under way: whoever is to leave does so here.

        Raises:
            _Left: it does.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._leaving.wait()
                raise _Left

    async def _go_back(self, sequence: int, lost: DeliveryLost) -> int:
        oldest_kept = 0 if lost.keeps is None else self._journal.head - lost.keeps
        back_to = max(0, min(sequence, max(lost.held_until, oldest_kept)))
        log.warning("%s has lost events %d to %d: %s", self._publisher.name, back_to + 1, sequence, lost)
        await self._move_cursor(back_to)
        self._report(refills=self.status.refills + 1)
        # A far side that keeps losing must not be refilled in a hot loop.
        await self._rest(self._policy.first_wait_s)
        return back_to

    async def _persist(
        self, attempt: Callable[[], Awaitable[None]], *, until: Callable[[], bool] = lambda: False
    ) -> None:
        """Try until it works or `until` says that it was tried long enough.

        Raises:
            DeliveryRetryable: it was.
        """
        if self._circuit.state == "open":  # the event before was given up; this one does not hurry
            await self._rest(self._circuit.wait_s())
        while True:
            self._circuit.asking()
            self._report(circuit=self._circuit.state)
            try:
                await self._attempt(attempt)
            except DeliveryRetryable as unwell:
                self._circuit.failed()
                await self._note_failure(str(unwell))
                if until():
                    raise
                await self._rest(self._circuit.wait_s(unwell.after_s))
            except DeliveryError:
                self._note_answer()
                raise
            else:
                self._note_answer()
                return

    def _note_answer(self) -> None:
        self._circuit.answered()
        if self.status.trouble is not None:
            log.info("%s answers again", self._publisher.name)
        self._report(trouble=None, circuit=self._circuit.state)

    async def _attempt(self, attempt: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(self._policy.timeout_s):
                await attempt()
        except TimeoutError as exc:
            raise DeliveryRetryable(f"no acknowledgement within {self._policy.timeout_s} s") from exc

    async def _note_failure(self, trouble: str) -> None:
        """Log a trouble once, when it begins or changes; count every attempt."""
        if trouble != self.status.trouble:
            log.warning("%s does not take events: %s", self._publisher.name, trouble)
        self._report(failures=self.status.failures + 1, trouble=trouble, circuit=self._circuit.state)
        if self.status.delivered is not None:
            await self._report_lag(self.status.delivered)

    async def _report_lag(self, delivered: int) -> None:
        oldest = await self._read_after(delivered, 1)
        self._report(
            delivered=delivered,
            waiting=self._journal.head - delivered,
            oldest_waiting_ms=oldest[0].entry_ms if oldest else None,
        )

    async def _read_after(self, sequence: int, limit: int) -> list[JournalEntry]:
        return await self._of_journal(lambda: self._journal.read_after(sequence, limit))

    async def _move_cursor(self, sequence: int) -> None:
        await self._of_journal(lambda: self._journal.move_cursor(self._publisher.name, sequence))

    async def _of_journal(self, access: Callable[[], Awaitable[T]]) -> T:
        """Read or write the journal until it works: docs/decisions/0005 says why."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(JournalError),
            wait=self._backoff,
            before_sleep=self._note_journal_failure,
            reraise=True,
        )

        async def attempt() -> T:
            return await access()

        return await retrying(attempt)

    def _note_journal_failure(self, retry: RetryCallState) -> None:
        if retry.attempt_number == 1 and retry.outcome:
            log.error("%s waits for the journal: %s", self._publisher.name, retry.outcome.exception())
        self._report(journal_failures=self.status.journal_failures + 1)

    def _report(self, **changes: object) -> None:
        self.status = replace(self.status, **changes)  # type: ignore[arg-type]  # fields by name
        self._on_change(self.status)
