"""StationEvents: what workers say of this station's audio, followed in the events topic into the edge's own journal.

The place in the topic is stored with the events, so that a kill at any instant loses and repeats none.
Brokers that are away are waited for: whoever reads the journal waits with it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Never, Protocol

from seacanary.cluster.event_journal import EventRecord, EventRefused
from seacanary.errors import SeaCanaryError
from seacanary.events import Event, PresenceEvent

log = logging.getLogger(__name__)

NEXT_OFFSET, SINCE_MS = "edge/events_offset", "edge/events_since_ms"
# A new edge reads what is younger than itself, as far as two clocks can be trusted to agree.
CLOCKS_AGREE_MS = 3_600_000
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
LOOK_S = 5.0  # how often it asks where the topic ends
STUCK_LOOKS = 3  # so many looks that see records wait while none comes: the connection is made anew
KEEP_PLACE_S = 60.0  # how often the place is stored while nothing of ours comes


class EventsAway(SeaCanaryError):
    """The events topic cannot be read now."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What came of the topic.

    Attributes:
        records: of this station, in order.
        next_offset: of the record that comes next.
    """

    records: Sequence[EventRecord]
    next_offset: int


class EventsReader(Protocol):
    """A connection to the events topic. Every method may raise EventsAway."""

    async def begin(self, next_offset: int | None, *, since_ms: int) -> int:
        """Place the reading.

        Args:
            next_offset: where it had come; None: it begins.
            since_ms: what is older does not matter to one that begins, ms since 1970.

        Returns:
            The offset at which it really goes on.
        """

    async def read(self) -> Batch:
        """What comes next; waits for a moment if there is nothing."""

    async def end(self) -> int:
        """Offset after the newest record."""


@dataclass(frozen=True, slots=True)
class _Look:
    """Where the topic ended, and we stood, at some moment of the loop's clock."""

    asked_s: float
    place: int
    end: int


Record = Callable[[Sequence[Event], Mapping[str, str]], Awaitable[None]]


class StationEvents:
    """Follows the topic for as long as run() runs."""

    def __init__(
        self,
        station: str,
        connect: Callable[[], AbstractAsyncContextManager[EventsReader]],
        *,
        states: Callable[[], Awaitable[Mapping[str, str]]],
        record: Record,
        on_reach: Callable[[bool], None] = lambda _: None,
        system_s: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            station: whose events are wanted.
            connect: makes a connection; entering it may raise EventsAway.
            states: what was stored with the events before.
            record: stores events and states together; returns when that is done.
            on_reach: told whether the topic is read to its end.
            system_s: the system clock.
        """
        self._station, self._connect, self._states, self._record = station, connect, states, record
        self._on_reach, self._system_s = on_reach, system_s
        self._place = self._stored = 0
        self._stored_at_s = self._came_at_s = self._at_end_s = float("-inf")
        self._urgent = False
        self._away: str | None = None
        self._nameless = False

    async def run(self) -> Never:
        """Follow until cancelled."""
        wait_s = FIRST_WAIT_S
        while True:
            connected_s = _now_s()
            try:
                async with self._connect() as reader:
                    await self._follow(reader)
            except EventsAway as exc:
                self._note_reach(str(exc))
            wait_s = FIRST_WAIT_S if self._at_end_s > connected_s else min(2 * wait_s, LONGEST_WAIT_S)
            await asyncio.sleep(wait_s)

    async def drain(self, timeout_s: float) -> bool:
        """Read what there is by now; False if the time was too short, or nobody answered."""
        asked_s, self._urgent = _now_s(), True
        try:
            return await self._wait(lambda: self._at_end_s >= asked_s, timeout_s)
        finally:
            self._urgent = False

    async def settle(self, *, quiet_s: float, timeout_s: float) -> None:
        """Wait for what workers have still to say: until nothing has come for so long, or the time is up."""
        began_s = _now_s()
        await self._wait(lambda: _now_s() - max(began_s, self._came_at_s) >= quiet_s, timeout_s)

    async def _wait(self, holds: Callable[[], bool], timeout_s: float) -> bool:
        until_s = _now_s() + timeout_s
        while not holds():
            if _now_s() >= until_s:
                return False
            await asyncio.sleep(0.05)
        return True

    async def _follow(self, reader: EventsReader) -> Never:
        await self._begin(reader)
        look, stuck = _Look(float("-inf"), self._place, self._place), 0
        while True:
            await self._take(await reader.read())
            if self._urgent or _now_s() - look.asked_s >= LOOK_S:
                stuck = stuck + 1 if look.end > self._place == look.place else 0
                if stuck >= STUCK_LOOKS:
                    raise EventsAway("records wait in the events topic, and none comes")
                look = _Look(_now_s(), self._place, await reader.end())
            if self._place >= look.end and look.asked_s > self._at_end_s:
                self._at_end_s = look.asked_s
                self._note_reach(None)

    async def _begin(self, reader: EventsReader) -> None:
        states = await self._states()
        if SINCE_MS not in states:
            states = {**states, SINCE_MS: str(round(self._system_s() * 1000) - CLOCKS_AGREE_MS)}
            await self._record((), {SINCE_MS: states[SINCE_MS]})
        known = int(states[NEXT_OFFSET]) if NEXT_OFFSET in states else None
        self._place = await reader.begin(known, since_ms=int(states[SINCE_MS]))
        await self._store([])

    async def _take(self, batch: Batch) -> None:
        self._place = batch.next_offset
        events = [event for record in batch.records if (event := self._read(record))]
        if events:
            self._came_at_s = _now_s()
        if events or (self._place > self._stored and _now_s() - self._stored_at_s >= KEEP_PLACE_S):
            await self._store(events)

    async def _store(self, events: Sequence[Event]) -> None:
        await self._record(events, {NEXT_OFFSET: str(self._place)})
        self._stored, self._stored_at_s = self._place, _now_s()

    def _read(self, record: EventRecord) -> Event | None:
        """The event, if it is one of ours."""
        try:
            event = record.event()
        except EventRefused as exc:
            log.warning("record %d of the events topic is passed over: %s", record.offset, exc)
            return None
        if event.station != self._station:
            return None
        if isinstance(event, PresenceEvent) and event.evidence is None and not self._nameless:
            self._nameless = True
            log.warning("events do not name their clips: say `clips: true` in the workers' configuration")
        return event

    def _note_reach(self, away: str | None) -> None:
        self._on_reach(away is None)
        if away is not None and self._away is None:
            log.warning("events cannot be read, clips wait: %s", away)
        elif away is None and self._away is not None:
            log.info("events are read again")
        self._away = away


def _now_s() -> float:
    return asyncio.get_running_loop().time()
