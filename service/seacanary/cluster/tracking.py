"""Tracking: envelopes of many hydrophones in, presence events and Table values out. No Kafka in here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from seacanary.cluster.envelope import DetectionEnvelope, EndEnvelope, LostEnvelope, contract_sha256
from seacanary.cluster.state import TrackState
from seacanary.contract import ModelContract
from seacanary.errors import SeaCanaryError
from seacanary.events import PresenceEvent
from seacanary.following import Follower
from seacanary.guard import GuardSection
from seacanary.presence_rules import PresenceSection

Concludable: TypeAlias = DetectionEnvelope | LostEnvelope | EndEnvelope


class WrongContract(SeaCanaryError):
    """An envelope belongs to another model than this worker's."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one envelope led to.

    Attributes:
        events: what became known, oldest first.
        stored: the hydrophone's new value for the Table.
    """

    events: list[PresenceEvent]
    stored: bytes


@dataclass(frozen=True, slots=True)
class _Known:
    """A follower in memory, good for as long as the Table still holds what was stored of it."""

    follower: Follower
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
        complete: Callable[[PresenceEvent], PresenceEvent] = lambda event: event,
    ) -> None:
        """Prepare.

        Args:
            contract: of the model whose detections come.
            presence: the sites' word on presence.
            guard: when a source counts as persistent.
            complete: adds to an event what its trackers do not know: where its clip will be.
        """
        self._contract, self._presence, self._guard, self._complete = contract, presence, guard, complete
        self._sha256 = contract_sha256(contract)
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
            return Step([], stored)
        events = [self._complete(event) for event in self._concluded(known.follower, item)]
        state = known.state.after(item.run, item.number, known.follower.states())
        encoded = state.encoded()
        self._known[item.station, item.hydrophone] = _Known(known.follower, state, encoded)
        return Step(events, encoded)

    def _concluded(self, follower: Follower, item: Concludable) -> list[PresenceEvent]:
        match item:
            case DetectionEnvelope():
                if item.contract_sha256 != self._sha256:
                    raise WrongContract(_wrong(item.contract_sha256, ours=self._sha256))
                return follower.conclude(item.detection)
            case LostEnvelope():
                return follower.conclude(item.lost)
            case EndEnvelope():
                return follower.close(item.reason) if item.silent_s is None else follower.fall_silent(item.silent_s)

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
        return _Known(follower, state, stored), False


def _wrong(theirs: str, *, ours: str) -> str:
    return f"made for the model contract {theirs[:12]}, this worker has {ours[:12]}: run the same model everywhere"
