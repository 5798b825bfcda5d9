"""Delivery: cursor, backoff and dead letters, once for every publisher.

The cursor moves only after the far side has acknowledged, so a crash at any
instant repeats at most one batch; each publisher recognises its repeats.
A journal that fails is tried on, as a far side is: an outage of the disk ends nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Never, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from seacanary.errors import DeliveryLost, DeliveryRejected, DeliveryRetryable, JournalError
from seacanary.events import JournalEntry
from seacanary.journal import Journal
from seacanary.publishers import Publisher, Rechecked

T = TypeVar("T")

log = logging.getLogger(__name__)


class DeliveryPolicy(BaseModel):
    """How patiently events are delivered."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    batch: int = Field(200, ge=1, le=1000, description="events handed over at once, at most")
    timeout_s: float = Field(10.0, gt=0, description="longest wait for one acknowledgement")
    first_wait_s: float = Field(0.5, gt=0, description="upper bound of the first wait after a failure")
    longest_wait_s: float = Field(30.0, gt=0, description="upper bound of any wait after a failure")
    recheck_s: float = Field(15.0, gt=0, description="idle time after which the far side is asked for losses")


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """Where one publisher stands.

    Attributes:
        publisher: its name.
        delivered: sequence up to which everything is delivered.
        waiting: events after that.
        oldest_waiting_ms: when the first of them entered the journal, ms since 1970.
        failures: attempts that failed since the start.
        dead_letters: events put aside since the start.
        refills: times the far side was found to have lost entries since the start.
        journal_failures: reads and writes of the journal that failed since the start.
        trouble: why the last attempt failed; None when it did not.
    """

    publisher: str
    delivered: int = 0
    waiting: int = 0
    oldest_waiting_ms: int | None = None
    failures: int = 0
    dead_letters: int = 0
    refills: int = 0
    journal_failures: int = 0
    trouble: str | None = None

    def lag_s(self, now_s: float) -> float:
        """Age of the oldest event still waiting, seconds; 0 if none is."""
        return 0.0 if self.oldest_waiting_ms is None else max(0.0, now_s - self.oldest_waiting_ms / 1000)


class Delivery:
    """Brings the journal's events to one publisher, in order, for as long as run() runs."""

    def __init__(
        self,
        journal: Journal,
        publisher: Publisher,
        *,
        policy: DeliveryPolicy,
        on_change: Callable[[DeliveryStatus], None],
    ) -> None:
        """Deliver from `journal` to `publisher`; `on_change` learns of every step on the loop."""
        self._journal, self._publisher, self._policy = journal, publisher, policy
        self._on_change = on_change
        self._backoff = wait_random_exponential(multiplier=policy.first_wait_s, max=policy.longest_wait_s)
        self.status = DeliveryStatus(publisher.name)

    async def run(self) -> Never:
        """Deliver until cancelled."""
        sequence = await self._of_journal(lambda: self._journal.cursor(self._publisher.name))
        while True:
            await self._report_lag(sequence)
            batch = await self._read_after(sequence, self._policy.batch)
            try:
                sequence = await (self._deliver(batch) if batch else self._idle(sequence))
            except DeliveryLost as lost:
                sequence = await self._go_back(sequence, lost)

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
            await self._persist(lambda: self._publisher.publish(batch))
        except DeliveryRejected as rejected:
            if len(batch) > 1:
                return await self._deliver(batch[:1])
            await self._put_aside(batch[0], str(rejected))
            return batch[0].sequence
        await self._move_cursor(batch[-1].sequence)
        return batch[-1].sequence

    async def _put_aside(self, entry: JournalEntry, reason: str) -> None:
        log.error("%s refused event %d for good: %s", self._publisher.name, entry.sequence, reason)
        await self._of_journal(lambda: self._journal.dead_letter(self._publisher.name, entry, reason))
        self._report(dead_letters=self.status.dead_letters + 1)

    async def _idle(self, sequence: int) -> int:
        """Wait for an event; meanwhile ask now and then whether what was delivered is still there."""
        publisher = self._publisher
        delivered = await self._read_after(sequence - 1, 1) if sequence else []
        if isinstance(publisher, Rechecked) and delivered:
            await self._persist(lambda: publisher.recheck(delivered[0]))
        with suppress(TimeoutError):
            async with asyncio.timeout(self._policy.recheck_s):
                await self._journal.wait_beyond(sequence)
        return sequence

    async def _go_back(self, sequence: int, lost: DeliveryLost) -> int:
        oldest_kept = 0 if lost.keeps is None else self._journal.head - lost.keeps
        back_to = max(0, min(sequence, max(lost.held_until, oldest_kept)))
        log.warning("%s has lost events %d to %d: %s", self._publisher.name, back_to + 1, sequence, lost)
        await self._move_cursor(back_to)
        self._report(refills=self.status.refills + 1)
        # A far side that keeps losing must not be refilled in a hot loop.
        await asyncio.sleep(self._policy.first_wait_s)
        return back_to

    async def _persist(self, attempt: Callable[[], Awaitable[None]]) -> None:
        """Try until it works, with exponential backoff and full jitter."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(DeliveryRetryable),
            wait=self._backoff,
            before_sleep=self._note_failure,
            reraise=True,
        )
        await retrying(self._attempt, attempt)
        if self.status.trouble is not None:
            log.info("%s takes events again", self._publisher.name)
            self._report(trouble=None)

    async def _attempt(self, attempt: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(self._policy.timeout_s):
                await attempt()
        except TimeoutError as exc:
            raise DeliveryRetryable(f"no acknowledgement within {self._policy.timeout_s} s") from exc

    async def _note_failure(self, retry: RetryCallState) -> None:
        """Log a trouble once, when it begins or changes; count every attempt."""
        trouble = str(retry.outcome.exception()) if retry.outcome else "unknown"
        if trouble != self.status.trouble:
            log.warning("%s does not take events: %s", self._publisher.name, trouble)
        self._report(failures=self.status.failures + 1, trouble=trouble)
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
