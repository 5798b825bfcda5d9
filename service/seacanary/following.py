"""Follower: one hydrophone's guard and trackers, from what became of each window to presence events."""

from collections.abc import Mapping

from seacanary.contract import ModelContract
from seacanary.events import EndReason, PresenceEvent
from seacanary.guard import GuardMemory, GuardSection, PersistentSourceGuard
from seacanary.observations import Detection, Unobserved
from seacanary.presence import PresenceTracker, trackers_for
from seacanary.presence_rules import PresenceSection
from seacanary.presence_state import TrackerState


class Follower:
    """Takes detections and unobserved stretches in stream order, and says what became known by them.

    The same items always give the same events, on one machine or on many.
    """

    def __init__(
        self,
        hydrophone: str,
        *,
        station: str,
        contract: ModelContract,
        presence: PresenceSection,
        guard: GuardSection,
    ) -> None:
        """Follow one hydrophone from its beginning.

        Args:
            hydrophone: its name, unique in its station.
            station: name of the station, part of event ids.
            contract: of the model that judges its windows.
            presence: the site's word on presence.
            guard: when a source counts as persistent.
        """
        self.hydrophone = hydrophone
        self._contract, self._station = contract, station
        self.trackers: list[PresenceTracker] = trackers_for(contract, station, hydrophone, presence)
        self.guard = PersistentSourceGuard(guard)

    def use(self, presence: PresenceSection) -> None:
        """Follow by other rules from the next item on, with all that is known by now: as after a restart.

        Raises:
            ConfigError: the section names a species or call type the model does not know; the old rules hold.
        """
        followers = trackers_for(self._contract, self._station, self.hydrophone, presence)
        for follower, before in zip(followers, self.trackers, strict=True):
            follower.restore(before.snapshot())
        self.trackers = followers

    def conclude(self, item: Detection | Unobserved) -> list[PresenceEvent]:
        """Take what became of a window, in stream order."""
        if isinstance(item, Unobserved):
            return [event for tracker in self.trackers for event in tracker.lose(item)]
        persistent = self.guard.watch(item)
        return [event for tracker in self.trackers for event in tracker.observe(item, persistent=persistent)]

    def close(self, reason: EndReason) -> list[PresenceEvent]:
        """End every presence that is open."""
        return [event for tracker in self.trackers for event in tracker.close(reason)]

    def fall_silent(self, silent_s: float) -> list[PresenceEvent]:
        """Nothing has come for this long: end the presences whose hold has passed unobserved."""
        return [
            event
            for tracker in self.trackers
            if tracker.phase in ("present", "fading") and silent_s >= tracker.hold_s
            for event in tracker.close("lost_coverage")
        ]

    def states(self) -> dict[str, str]:
        """What must survive a restart or a move to another machine, as JSON by key."""
        trackers = {tracker.key: tracker.snapshot().model_dump_json() for tracker in self.trackers}
        return trackers | {self._guard_key: self.guard.snapshot().model_dump_json()}

    def restore(self, states: Mapping[str, str]) -> None:
        """Go on from states(); what is not there begins anew."""
        for tracker in self.trackers:
            if tracker.key in states:
                tracker.restore(TrackerState.model_validate_json(states[tracker.key]))
        if self._guard_key in states:
            self.guard.restore(GuardMemory.model_validate_json(states[self._guard_key]))

    @property
    def _guard_key(self) -> str:
        return f"{self.hydrophone}/guard"
