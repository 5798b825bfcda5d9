"""Hydrophone: one hydrophone's stages on either side of the detector, without thread, clock or loop."""

from collections.abc import Mapping

from seacanary.audio import AudioBlock, Window
from seacanary.contract import ModelContract
from seacanary.events import EndReason, PresenceEvent
from seacanary.following import Follower
from seacanary.guard import GuardSection, PersistentSourceGuard
from seacanary.intake import Intake
from seacanary.ledger import Outcome
from seacanary.observations import Detection, Imaged, Unobserved
from seacanary.presence import PresenceTracker
from seacanary.presence_rules import PresenceSection


class Hydrophone:
    """Blocks in, windows out to the detector; detections back in, presence events out.

    Windows go out and detections come back in stream order; the ledger knows
    of each. The same blocks and detections always give the same events.
    """

    def __init__(
        self,
        name: str,
        *,
        station: str,
        contract: ModelContract,
        presence: PresenceSection,
        guard: GuardSection,
        pad_at_end: bool,
    ) -> None:
        """Prepare the stages of one hydrophone.

        Args:
            name: of the hydrophone, unique in its station.
            station: name of the station, part of event ids.
            contract: of the model its windows go to.
            presence: the site's word on presence.
            guard: when a source counts as persistent.
            pad_at_end: whether a recording shorter than a window is filled up with zeros.
        """
        self.name = name
        self.intake = Intake(
            name,
            sample_rate_hz=contract.sample_rate_hz,
            window_samples=contract.window_samples,
            hop_samples=contract.hop_samples,
            pad_at_end=pad_at_end,
        )
        self._follower = Follower(name, station=station, contract=contract, presence=presence, guard=guard)
        self.gaps = 0

    @property
    def trackers(self) -> list[PresenceTracker]:
        """One per species, in the model's order."""
        return self._follower.trackers

    @property
    def guard(self) -> PersistentSourceGuard:
        """Knows its persistent sources."""
        return self._follower.guard

    def use(self, presence: PresenceSection) -> None:
        """Follow presence by other rules from the next conclusion on; what is open stays open."""
        self._follower.use(presence)

    def hear(self, block: AudioBlock) -> tuple[Window, ...]:
        """Take the next block; return the windows it completes."""
        result = self.intake.push(block)
        self.gaps += sum(gap.end_sample > gap.first_sample for gap in result.gaps)
        return result.windows

    def end(self) -> tuple[Window, ...]:
        """The stream is over; return its last windows."""
        return self.intake.end().windows

    def shed(self, window: Window) -> None:
        """Account for a window that inference had no time for."""
        self._resolve(window, Outcome.SHED)

    def fail(self, window: Window) -> Unobserved:
        """Account for a window the model could not answer."""
        self._resolve(window, Outcome.UNOBSERVED)
        return Unobserved(
            hydrophone=window.hydrophone,
            epoch=window.epoch,
            first_sample=window.first_sample,
            end_sample=window.end_sample,
            sample_rate_hz=window.sample_rate_hz,
            start=window.start,
            reason="inference_failed",
        )

    def conclude(self, item: Detection | Imaged | Unobserved) -> list[PresenceEvent]:
        """Take what became of a window, in stream order; an image leads to events elsewhere."""
        if not isinstance(item, Unobserved):
            self.intake.ledger.resolve(
                item.epoch,
                item.first_sample,
                end_sample=item.end_sample,
                outcome=Outcome.ANALYSED,
                unobservable=item.unobserved,
            )
        return [] if isinstance(item, Imaged) else self._follower.conclude(item)

    def close(self, reason: EndReason) -> list[PresenceEvent]:
        """End every presence that is open."""
        return self._follower.close(reason)

    def fall_silent(self, silent_s: float) -> list[PresenceEvent]:
        """Nothing has come for this long: end the presences whose hold has passed unobserved."""
        return self._follower.fall_silent(silent_s)

    def states(self) -> dict[str, str]:
        """What must survive a restart, as JSON by key."""
        return self._follower.states()

    def restore(self, states: Mapping[str, str]) -> None:
        """Go on from states() of an earlier process; what is not there begins anew."""
        self._follower.restore(states)

    def _resolve(self, window: Window, outcome: Outcome) -> None:
        self.intake.ledger.resolve(window.epoch, window.first_sample, end_sample=window.end_sample, outcome=outcome)
