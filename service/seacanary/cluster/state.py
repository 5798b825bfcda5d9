"""TrackState: what a Table keeps of one hydrophone, so that any worker can go on where another was."""

import zlib
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from seacanary.cluster.clock_watch import ClockState
from seacanary.cluster.fleet_counting import BookState
from seacanary.errors import SeaCanaryError

# A station's run ends when it loses its spool; enough to know any record that is sent again by.
RUNS_REMEMBERED = 16


class TrackStateRefused(SeaCanaryError):
    """A Table holds what this version cannot read: going on without it would lose open presences."""


class Concluded(BaseModel):
    """How far the envelopes of one run have been concluded."""

    model_config = ConfigDict(frozen=True)

    run: AwareDatetime
    number: int


class TrackState(BaseModel):
    """All that is known of one hydrophone between two records.

    Attributes:
        concluded: runs of the station, the one heard last at the end, with the last number concluded.
        follower: Follower.states().
        hours: HourBook.state().
        clock: ClockWatch.state.
    """

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    concluded: tuple[Concluded, ...] = ()
    follower: Mapping[str, str] = {}
    hours: BookState = BookState()
    clock: ClockState = ClockState()

    def has(self, run: AwareDatetime, number: int) -> bool:
        """Whether an envelope has been concluded: it was sent again, or judged again."""
        return any(known.run == run and number <= known.number for known in self.concluded)

    def after(
        self, run: AwareDatetime, number: int, *, follower: Mapping[str, str], hours: BookState, clock: ClockState
    ) -> Self:
        """The state with one more envelope concluded."""
        others = tuple(known for known in self.concluded if known.run != run)
        concluded = (*others, Concluded(run=run, number=number))[-RUNS_REMEMBERED:]
        return self.model_copy(update={"concluded": concluded, "follower": follower, "hours": hours, "clock": clock})

    def is_before(self, other: "TrackState") -> bool:
        """Whether the other state has grown out of this one."""
        return self._ends_within(other) and not other._ends_within(self)

    def _ends_within(self, other: "TrackState") -> bool:
        return all(other.has(last.run, last.number) for last in self.concluded[-1:])

    def encoded(self) -> bytes:
        """As a Table's value: deflated JSON."""
        return zlib.compress(self.model_dump_json().encode(), level=1)

    @classmethod
    def decoded(cls, stored: bytes) -> Self:
        """What encoded() made bytes of.

        Raises:
            TrackStateRefused: damaged, or of another version.
        """
        try:
            return cls.model_validate_json(zlib.decompress(stored))
        except (zlib.error, ValidationError) as exc:
            raise TrackStateRefused(f"a hydrophone's state in the Table cannot be read: {exc}") from exc
