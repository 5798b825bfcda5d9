"""Journalling: a station's events, states and finished files into its journal, in order, until it works."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from seacanary.batching import FileDone
from seacanary.errors import JournalError
from seacanary.events import Event, PresenceEvent
from seacanary.hydrophone import Hydrophone
from seacanary.journal import Journal
from seacanary.metrics import Metrics

log = logging.getLogger(__name__)

Written = TypeVar("Written")

# States are stored with every event and, while something is going on, this often.
STATES_EVERY_S = 5.0
EVENTS_KEPT = 12


class Journalling:
    """The one writer of events; a journal that fails is tried again, and what comes waits in order."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        on_events: Callable[[Sequence[PresenceEvent]], None],
        give_up: Callable[[], bool],
        complete: Callable[[PresenceEvent], PresenceEvent] = lambda event: event,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare.

        Args:
            metrics: what to count on.
            on_events: told of events once they are in the journal.
            give_up: whether a failing journal is not to be tried again (the station stops).
            complete: adds to an event what its hydrophone does not know: where its clip will be.
            monotonic_s: a clock for intervals.
        """
        self._metrics, self._on_events, self._complete = metrics, on_events, complete
        self._give_up, self._monotonic_s = give_up, monotonic_s
        self._writing = asyncio.Lock()
        self._stored_at_s: dict[str, float] = {}
        self._read_files: dict[str, list[FileDone]] = {}
        self.kinds: dict[str, int] = {}
        self.recent = deque[PresenceEvent](maxlen=EVENTS_KEPT)

    @property
    def busy(self) -> bool:
        """Whether a write is under way, or stuck."""
        return self._writing.locked()

    async def take(self, journal: Journal, events: Sequence[PresenceEvent], hydrophone: Hydrophone) -> None:
        """Store events with the state that led to them; or the state alone, if that is due."""
        if not events and not self._states_are_due(hydrophone):
            return
        states = hydrophone.states()  # before anything else can move on: states must not run ahead of events
        events = [self._complete(event) for event in events]
        began_s = self._monotonic_s()
        async with self._writing:
            entries = await self._persistently(lambda: journal.append(events, states=states))
        self._stored_at_s[hydrophone.name] = self._monotonic_s()
        self._metrics.stage_duration.labels("journal").observe(self._monotonic_s() - began_s)
        self._tell([entry.event for entry in entries if isinstance(entry.event, PresenceEvent)])

    async def record(self, journal: Journal, events: Sequence[Event], states: Mapping[str, str]) -> None:
        """Store events that no hydrophone's state goes with, a condition or a review, and states of other parts."""
        async with self._writing:
            await self._persistently(lambda: journal.append(events, states=states))

    async def file_done(self, journal: Journal, done: FileDone) -> None:
        """Mark the files of an epoch as done when another has begun.

        After a crash the epoch is read again from its first file, so that windows lie
        where they lay before; what was analysed before is recognised and not told again.
        """
        epochs = [file.epoch for file in self._read_files.get(done.feed, []) if file.epoch is not None]
        refused = done.epoch is None
        if epochs and not refused and epochs[-1] != done.epoch:
            await self.feed_done(journal, done.feed)
        self._read_files.setdefault(done.feed, []).append(done)

    async def feed_done(self, journal: Journal, feed: str) -> None:
        """Mark all files that a feed has read as done."""
        paths = [file.path for file in self._read_files.pop(feed, [])]
        async with self._writing:
            await self._persistently(lambda: journal.append((), done=paths))

    def _tell(self, events: Sequence[PresenceEvent]) -> None:
        for event in events:
            self._metrics.events.labels(event.hydrophone, event.species, event.kind).inc()
            self.kinds[event.kind] = self.kinds.get(event.kind, 0) + 1
        self.recent.extend(events)
        if events:
            self._on_events(events)

    def _states_are_due(self, hydrophone: Hydrophone) -> bool:
        quiet = all(tracker.phase == "absent" for tracker in hydrophone.trackers)
        return not quiet and self._monotonic_s() - self._stored_at_s.get(hydrophone.name, 0.0) >= STATES_EVERY_S

    async def _persistently(self, write: Callable[[], Awaitable[Written]]) -> Written:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(JournalError),
            wait=wait_random_exponential(multiplier=0.5, max=10),
            stop=lambda _: self._give_up(),
            before_sleep=self._note_failure,
            reraise=True,
        )

        async def attempt() -> Written:
            return await write()

        return await retrying(attempt)

    def _note_failure(self, retry: RetryCallState) -> None:
        if retry.attempt_number == 1 and retry.outcome:
            log.error("events cannot be journalled, trying on: %s", retry.outcome.exception())
        self._metrics.journal_failures.inc()
