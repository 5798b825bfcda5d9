"""Tracking: envelopes of many hydrophones in, presence events and Table values out. No Kafka in here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from seacanary.cluster.clock_watch import ClockSection, ClockWatch
from seacanary.cluster.envelope import DetectionEnvelope, EndEnvelope, LostEnvelope, contract_sha256
from seacanary.cluster.fleet_counting import HourBook
from seacanary.cluster.fleet_hours import HourPart
from seacanary.cluster.state import TrackState
from seacanary.contract import ModelContract
from seacanary.errors import SeaCanaryError
from seacanary.events import ConditionEvent, PresenceEvent
from seacanary.following import Follower
from seacanary.guard import GuardSection
from seacanary.observations import Detection, Unobserved
from seacanary.presence_rules import PresenceSection
from seacanary.presence_state import OpenPresence

Concludable: TypeAlias = DetectionEnvelope | LostEnvelope | EndEnvelope

_CLOCK = ClockSection()


class WrongContract(SeaCanaryError):
    """An envelope belongs to another model than this worker's."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one envelope led to.

    Attributes:
        events: what became known, oldest first.
        hours: what the fleet is to know now of the hydrophone's hours.
        conditions: what began or ended of the station's own conditions.
        clock_unsure: whether the times of the hydrophone's events cannot be trusted now.
        stored: the hydrophone's new value for the Table.
    """

    events: list[PresenceEvent]
    hours: Sequence[HourPart]
    conditions: Sequence[ConditionEvent]
    clock_unsure: bool
    stored: bytes


@dataclass(frozen=True, slots=True)
class _Known:
    """A follower in memory, good for as long as the Table still holds what was stored of it."""

    follower: Follower
    book: HourBook
    clock: ClockWatch
    state: TrackState
    stored: bytes | None


class Tracking:
    """Follows hydrophones. The Table is the truth: another worker may have followed one meanwhile."""

    def __init__(
        self,
        contract: ModelContract,
        *,
        presence: PresenceSection,
        guard: GuardSection,
        clock: ClockSection = _CLOCK,
        complete: Callable[[PresenceEvent], PresenceEvent] = lambda event: event,
    ) -> None:
        """Prepare.

        Args:
            contract: of the model whose detections come.
            presence: the sites' word on presence.
            guard: when a source counts as persistent.
            clock: when a station's clock counts as wrong.
            complete: adds to an event what its trackers do not know: where its clip will be.
        """
        self._contract, self._presence, self._guard, self._clock = contract, presence, guard, clock
        self._complete = complete
        self._sha256 = contract_sha256(contract)
        self._call_types: dict[str, frozenset[str]] = {}
        for call_type in contract.call_types:
            others = self._call_types.get(call_type.species, frozenset())
            self._call_types[call_type.species] = others | {call_type.name}
        self._known: dict[tuple[str, str], _Known] = {}

    def take(self, item: Concludable, *, stored: bytes | None) -> Step | None:
        """Conclude an envelope.

        Args:
            item: the next of its hydrophone.
            stored: what the Table holds of the hydrophone; None: nothing yet.

        Returns:
            What it led to; None for one that was concluded before. The first such one after a takeover leads to
            no event, but its state is to be stored again: this machine's disk may hold what the changelog does not.

        Raises:
            WrongContract: the detection is another model's.
            TrackStateRefused: `stored` cannot be read.
        """
        known, is_ours = self._known_as_stored(item, stored)
        if known.state.has(item.run, item.number):
            if stored is None or is_ours:
                return None
            self._known[item.station, item.hydrophone] = known
            return Step([], known.book.end(), [], known.clock.holds, stored)
        follower, book, clock = known.follower, known.book, known.clock
        events, hours = self._concluded(follower, book, item)
        conditions = _of_clock(clock, item)
        state = known.state.after(
            item.run, item.number, follower=follower.states(), hours=book.state(), clock=clock.state
        )
        encoded = state.encoded()
        self._known[item.station, item.hydrophone] = _Known(follower, book, clock, state, encoded)
        return Step([self._complete(event) for event in events], hours, conditions, clock.holds, encoded)

    def _concluded(
        self, follower: Follower, book: HourBook, item: Concludable
    ) -> tuple[list[PresenceEvent], Sequence[HourPart]]:
        match item:
            case DetectionEnvelope():
                if item.contract_sha256 != self._sha256:
                    raise WrongContract(_wrong(item.contract_sha256, ours=self._sha256))
                return _counted(follower, book, item.detection)
            case LostEnvelope():
                return _counted(follower, book, item.lost)
            case EndEnvelope():
                silent_s = item.silent_s
                events = follower.close(item.reason) if silent_s is None else follower.fall_silent(silent_s)
                return events, book.end()

    def _known_as_stored(self, item: Concludable, stored: bytes | None) -> tuple[_Known, bool]:
        """What the Table says of a hydrophone, and whether it is what we have stored there ourselves."""
        known = self._known.get((item.station, item.hydrophone))
        if known is not None and known.stored == stored:
            return known, True
        state = TrackState() if stored is None else TrackState.decoded(stored)
        follower = Follower(
            item.hydrophone,
            station=item.station,
            contract=self._contract,
            presence=self._presence,
            guard=self._guard,
        )
        follower.restore(state.follower)
        book = HourBook.restored(item.station, item.hydrophone, call_types=self._call_types, state=state.hours)
        clock = ClockWatch(item.station, item.hydrophone, section=self._clock, state=state.clock)
        return _Known(follower, book, clock, state, stored), False


def _of_clock(clock: ClockWatch, item: Concludable) -> list[ConditionEvent]:
    """What an envelope says of its station's clock; those without an image say nothing."""
    change = clock.observe(item.clock, at=item.detection.start) if isinstance(item, DetectionEnvelope) else None
    return [change] if change else []


def _counted(
    follower: Follower, book: HourBook, item: Detection | Unobserved
) -> tuple[list[PresenceEvent], Sequence[HourPart]]:
    before = _presences(follower)
    events = follower.conclude(item)
    return events, book.enter(item, before=before, after=_presences(follower), events=events)


def _presences(follower: Follower) -> Mapping[str, OpenPresence | None]:
    return {tracker.species: tracker.snapshot().presence for tracker in follower.trackers}


def _wrong(theirs: str, *, ours: str) -> str:
    return f"made for the model contract {theirs[:12]}, this worker has {ours[:12]}: run the same model everywhere"
