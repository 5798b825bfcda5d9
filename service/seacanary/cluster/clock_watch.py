"""ClockWatch: whether the times of a hydrophone's events can be trusted, from what its station's envelopes say.

A station compares its clock with the brokers' whenever they acknowledge something, by the time of that exchange and
not by that of the images: hours of spool that are drained make no clock wrong. It is a matter of each hydrophone, as
its records alone are sure to come to one worker and in their order. Presence events stay as they are. No I/O in here.
"""

from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from seacanary.cluster.envelope import EdgeClock
from seacanary.event_ids import named_by
from seacanary.station_events import Change, ConditionEvent

CLOCK_UNSURE = "clock_unsure"


class ClockSection(BaseModel):
    """When a station's clock counts as wrong. The same for all workers of a cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    tolerance_s: float = Field(
        5.0,
        gt=0,
        description="difference to the brokers' clock above which the condition clock_unsure begins; it ends at half "
        "of it",
    )
    images: int = Field(20, ge=1, le=10_000, description="images in a row that must say so, 2 a second")


class ClockState(BaseModel):
    """What must survive a takeover.

    Attributes:
        since: start of the first image of a clock that is unsure; None: it is sure.
        opposed: images in a row that say otherwise.
        opposed_since: start of the first of them.
    """

    model_config = ConfigDict(frozen=True)

    since: AwareDatetime | None = None
    opposed: int = 0
    opposed_since: AwareDatetime | None = None


class ClockWatch:
    """Makes of what images say one event for each beginning and each end, the same however often it is told."""

    def __init__(self, station: str, hydrophone: str, *, section: ClockSection, state: ClockState) -> None:
        """Go on from a state.

        Args:
            station: name of the station.
            hydrophone: name of the hydrophone.
            section: when a clock counts as wrong.
            state: what an earlier watch has come to; ClockState() at first.
        """
        self._station, self._hydrophone, self._section = station, hydrophone, section
        self.state = state

    @property
    def holds(self) -> bool:
        """Whether the clock is unsure."""
        return self.state.since is not None

    def observe(self, clock: EdgeClock, *, at: datetime) -> ConditionEvent | None:
        """Take what the next image says.

        Args:
            clock: of its station, when the image was made.
            at: when the image starts, by that clock.

        Returns:
            What it changes; times are the station's own, as its presence events' are.
        """
        unsure = self._says(clock)
        if unsure is None:
            return None
        if unsure == self.holds:
            self.state = ClockState(since=self.state.since)
            return None
        opposed, since = self.state.opposed + 1, self.state.opposed_since or at
        if opposed < self._section.images:
            self.state = ClockState(since=self.state.since, opposed=opposed, opposed_since=since)
            return None
        begun = self.state.since or since
        self.state = ClockState(since=since if unsure else None)
        return self._event("begun" if unsure else "ended", since=begun, at=since, detail=_sentence(clock, unsure))

    def _says(self, clock: EdgeClock) -> bool | None:
        """Whether it is unsure; None: not known."""
        if clock == EdgeClock():
            return None
        if self.holds:
            return clock.is_unsure(self._section.tolerance_s / 2)
        return clock.is_unsure(self._section.tolerance_s)

    def _event(self, change: Change, *, since: datetime, at: datetime, detail: str) -> ConditionEvent:
        return ConditionEvent(
            id=named_by(self._station, self._hydrophone, CLOCK_UNSURE, since.isoformat(), change),
            station=self._station,
            hydrophone=self._hydrophone,
            condition=CLOCK_UNSURE,
            change=change,
            since=since,
            at=at,
            detail=detail,
        )


def _sentence(clock: EdgeClock, unsure: bool) -> str:
    if not unsure:
        return "the station's clock agrees with the brokers' again"
    if clock.broker_ahead_s is None:
        return f"nobody keeps the station's clock, which may be wrong by {clock.maximum_error_s:.0f} s; is NTP running?"
    where = "behind" if clock.broker_ahead_s > 0 else "ahead of"
    return (
        f"the station's clock is {abs(clock.broker_ahead_s):.0f} s {where} the brokers'; the times of its events are "
        "wrong by as much, if the brokers' clock is right; is NTP running there?"
    )
