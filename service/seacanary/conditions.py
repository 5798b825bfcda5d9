"""ConditionLog: what is wrong with the station itself, as events: each beginning and each end once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from seacanary.event_ids import named_by
from seacanary.events import ConditionEvent, Event
from seacanary.metrics import Metrics
from seacanary.station_events import Change

STATE_KEY = "@station/conditions"

Tell = Callable[[Sequence[Event]], Awaitable[None]]


class OpenCondition(BaseModel):
    """A condition that holds."""

    model_config = ConfigDict(frozen=True)

    condition: str
    hydrophone: str | None = Field(description="None: of the whole station")
    since: AwareDatetime


_OPEN: TypeAdapter[tuple[OpenCondition, ...]] = TypeAdapter(tuple[OpenCondition, ...])


class ConditionLog:
    """Knows which conditions hold, and tells of changes only.

    Whoever watches something says again and again whether its condition holds; an
    event comes of it where that is news. What holds survives a restart through
    states() and restore().
    """

    def __init__(self, station: str, *, metrics: Metrics, tell: Tell) -> None:
        """Begin with nothing wrong.

        Args:
            station: name of the station, part of event ids.
            metrics: what to show the conditions on.
            tell: takes the events, to be journalled together with states().
        """
        self._station, self._metrics, self._tell = station, metrics, tell
        self._since: dict[tuple[str, str | None], datetime] = {}
        self._telling = asyncio.Lock()

    def holds(self, condition: str, hydrophone: str | None = None) -> bool:
        """Whether the condition has begun and not ended."""
        return (condition, hydrophone) in self._since

    @property
    def held(self) -> tuple[OpenCondition, ...]:
        """Conditions that have begun and not ended."""
        return tuple(
            OpenCondition(condition=condition, hydrophone=hydrophone, since=since)
            for (condition, hydrophone), since in self._since.items()
        )

    async def note(
        self, condition: str, hydrophone: str | None = None, *, holds: bool, at: datetime, detail: str = ""
    ) -> None:
        """Say whether a condition holds; tells an event if that changes anything.

        Args:
            condition: its name.
            hydrophone: where; None: the whole station.
            holds: whether it holds now.
            at: when that was seen; the same `at` for the same fact gives the same event id.
            detail: what was seen, as a sentence.

        Raises:
            JournalError: as `tell`; it is news still, and told when it is noted again.
        """
        key = (condition, hydrophone)
        self._metrics.condition_state.labels(condition, hydrophone or "").set(holds)
        if holds == (key in self._since):
            return
        async with self._telling:
            if holds != (key in self._since):
                await self._change(key, at=at, detail=detail)

    async def _change(self, key: tuple[str, str | None], *, at: datetime, detail: str) -> None:
        """Tell of it, while states() know it already; what could not be told has not changed."""
        before, since = dict(self._since), self._since.pop(key, None)
        if since is None:
            self._since[key] = at
        event = self._event(key, "ended" if since else "begun", since=since or at, at=at, detail=detail)
        try:
            await self._tell([event])
        except BaseException:
            self._since = before
            raise

    def states(self) -> dict[str, str]:
        """What must survive a restart, as JSON by key."""
        return {STATE_KEY: _OPEN.dump_json(self.held).decode()}

    def restore(self, states: Mapping[str, str]) -> None:
        """Go on from states() of an earlier process: what held holds, until someone says otherwise."""
        for held in _OPEN.validate_json(states.get(STATE_KEY, "[]")):
            self._since[held.condition, held.hydrophone] = held.since
            self._metrics.condition_state.labels(held.condition, held.hydrophone or "").set(1)

    async def end_elsewhere(self, is_here: Callable[[str], bool], *, at: datetime) -> None:
        """End the conditions of hydrophones that the station no longer has: nobody else would."""
        for condition, hydrophone in list(self._since):
            if hydrophone is not None and not is_here(hydrophone):
                detail = "the hydrophone is not configured any more"
                await self.note(condition, hydrophone, holds=False, at=at, detail=detail)

    def _event(
        self, key: tuple[str, str | None], change: Change, *, since: datetime, at: datetime, detail: str
    ) -> ConditionEvent:
        condition, hydrophone = key
        return ConditionEvent(
            id=named_by(self._station, hydrophone or "", condition, since.isoformat(), change),
            station=self._station,
            hydrophone=hydrophone,
            condition=condition,
            change=change,
            since=since,
            at=at,
            detail=detail,
        )
