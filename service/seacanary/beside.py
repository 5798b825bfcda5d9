"""Beside: what a station does besides listening. Each part may fail alone, and is begun again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from seacanary.audio import AudioBlock
from seacanary.conditions import ConditionLog
from seacanary.config import StationConfig
from seacanary.errors import SeaCanaryError
from seacanary.events import Event
from seacanary.journal import Journal
from seacanary.metrics import Metrics

log = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
LASTS_S = 60.0  # a part that ran so long has recovered: its next failure is a first one

Hear = Callable[[AudioBlock], None]
Heed = Callable[[StationConfig], Awaitable[None]]
Record = Callable[[Sequence[Event], Mapping[str, str]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the parts share.

    Attributes:
        config: the station's, or the edge's.
        journal: of events, open.
        metrics: what to count on.
        record: stores events and states together.
    """

    config: StationConfig
    journal: Journal
    metrics: Metrics
    record: Record

    @property
    def location(self) -> tuple[float, float] | None:
        """Latitude and longitude, degrees; None if not both are known."""
        latitude, longitude = self.config.station.latitude, self.config.station.longitude
        return None if latitude is None or longitude is None else (latitude, longitude)

    async def tell(self, events: Sequence[Event]) -> None:
        """Store events that no state goes with."""
        await self.record(events, {})


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Part:
    """Something that runs for as long as the station does.

    Attributes:
        name: for logs, and the condition `part_failed_NAME`.
        run: until cancelled; may be called again after it has failed.
        drain: waits until it has done what there is to do, at most so many seconds; False: it has not.
        hear: takes every block, in microseconds; None: it hears nothing.
        only_live: hears live hydrophones alone, not recordings that are read as fast as possible.
        has_room: whether a source that can wait may go on.
        heed: takes what it can of a changed configuration without beginning again; None: it can take nothing.
        leave: has run() return once nothing is under way; None: it may be cancelled at any time.
    """

    name: str
    run: Callable[[], Awaitable[None]]
    drain: Callable[[float], Awaitable[bool]] | None = None
    hear: Hear | None = None
    only_live: bool = False
    has_room: Callable[[], bool] = _always
    heed: Heed | None = None
    leave: Callable[[], None] | None = None

    @property
    def failing(self) -> str:
        """Name of the condition that it has failed."""
        return f"part_failed_{self.name}"


@dataclass(slots=True)
class Beside:
    """The parts of one station, in the order in which they are drained."""

    conditions: ConditionLog
    parts: list[Part] = field(default_factory=list)
    _failed: set[str] = field(default_factory=set)
    _group: asyncio.TaskGroup | None = None
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _pausing: set[str] = field(default_factory=set)  # after a failure

    @property
    def has_room(self) -> bool:
        """Whether a source that can wait may go on."""
        return all(part.has_room() for part in self.parts)

    def hear(self, block: AudioBlock, *, live: bool) -> None:
        """Pass a block on; a part that cannot take it is logged once, and the others hear on."""
        for part in self.parts:
            if part.hear is None or (part.only_live and not live):
                continue
            try:
                part.hear(block)
            except Exception:  # whatever a part does wrong must not end the listening
                if part.name not in self._failed:
                    log.exception("%s cannot hear; further failures are not logged", part.name)
                self._failed.add(part.name)

    async def run(self) -> None:
        """Run all parts until cancelled."""
        async with asyncio.TaskGroup() as self._group:
            for part in self.parts:
                self._begin(part)
            await asyncio.Event().wait()  # others may be added

    def add(self, part: Part) -> None:
        """Run one more part; no other has its name."""
        self.parts.append(part)
        self._begin(part)

    async def remove(self, name: str, *, within_s: float) -> bool:
        """End a part, and the condition that it has failed.

        Args:
            name: of the part.
            within_s: how long it may take to leave by itself.

        Returns:
            Whether nothing of it was cut off.
        """
        part = next(part for part in self.parts if part.name == name)
        task = self._tasks.pop(name)
        cut_off: set[asyncio.Task[None]] = set()
        if part.leave is not None and name not in self._pausing:
            part.leave()
            _, cut_off = await asyncio.wait({task}, timeout=within_s)
        task.cancel()
        await asyncio.wait({task})
        self.parts.remove(part)
        await self._note(part, failing=False)
        return not cut_off

    async def heed(self, config: StationConfig) -> None:
        """Have each part take what it can of a changed configuration."""
        for part in self.parts:
            if part.heed is not None:
                await part.heed(config)

    def _begin(self, part: Part) -> None:
        if self._group is not None:  # else run() begins it
            self._tasks[part.name] = self._group.create_task(self._keep_running(part))

    async def drain(self, timeout_s: float) -> bool:
        """Let each part in turn do what there is to do; False if one had too little time."""
        drained = [await part.drain(timeout_s) for part in self.parts if part.drain is not None]
        return all(drained)

    async def _keep_running(self, part: Part) -> None:
        loop, wait_s = asyncio.get_running_loop(), FIRST_WAIT_S
        while True:
            began_s, recovery = loop.time(), asyncio.create_task(self._note_recovery(part))
            try:
                await part.run()
                return
            except (Exception, asyncio.CancelledError) as exc:  # the station goes on without the part, and says so
                if _is_cancelled():
                    raise
                wait_s = FIRST_WAIT_S if loop.time() - began_s > LASTS_S else wait_s
                log.exception("%s has failed; it begins again in %.0f s", part.name, wait_s)
                await self._note(part, failing=True, detail=f"{type(exc).__name__}: {exc}; it begins again by itself")
            finally:
                recovery.cancel()
            self._pausing.add(part.name)
            await asyncio.sleep(wait_s)
            self._pausing.discard(part.name)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def _note_recovery(self, part: Part) -> None:
        await asyncio.sleep(LASTS_S)
        await self._note(part, failing=False)

    async def _note(self, part: Part, *, failing: bool, detail: str = "") -> None:
        try:
            await self.conditions.note(part.failing, holds=failing, at=datetime.now(UTC), detail=detail)
        except SeaCanaryError as exc:  # the station stops while its journal fails
            log.warning("%s: %s could not be told: %s", part.failing, "begun" if failing else "ended", exc)


def _is_cancelled() -> bool:
    """Whether somebody cancels this task; a library may raise CancelledError for less."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
