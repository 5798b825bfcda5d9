"""PresenceTracker: detections in, presence events out. Absent, candidate, present, fading, absent."""

from collections.abc import Mapping, Sequence
from typing import Literal

from seacanary.contract import ModelContract
from seacanary.events import EndReason, EventKind, PresenceEvent
from seacanary.observations import CallSpan, Detection, Unobserved
from seacanary.presence_rules import PresenceRule, PresenceSection, Thresholds
from seacanary.presence_sighting import Sighting, looked_back_on, sighting_of
from seacanary.presence_state import Frame, Move, OpenPresence, SeenEpoch, TrackerState, event_of

PresencePhase = Literal["absent", "candidate", "present", "fading"]

NOTHING_PERSISTENT: frozenset[CallSpan] = frozenset()
# Enough to know any replay by; a live stream leaves one epoch behind per reopening.
EPOCHS_REMEMBERED = 16


class PresenceTracker:
    """Follow one species at one hydrophone through its stream.

    What is not observed is never absence: it does not count among the n windows,
    extends nothing, and lowers coverage. A window the model abstains on starts,
    keeps open and ends exactly what an unobserved one would, but it was listened
    to: it counts in coverage and in the windows seen. Windows come in stream order;
    one analysed before is ignored, so a stream may be replayed after a restart.

    A stream that goes on in a new epoch carries an open presence over: running
    positions are moved through UTC, its name (epoch, onset sample) stays.
    """

    def __init__(
        self,
        station: str,
        hydrophone: str,
        *,
        species: str,
        thresholds: Mapping[str, Thresholds],
        rule: PresenceRule,
    ) -> None:
        """Follow `species`, which calls in the call types that `thresholds` names."""
        self.station, self.hydrophone, self.species = station, hydrophone, species
        self._thresholds, self._rule = dict(thresholds), rule
        self.restore(TrackerState())

    @property
    def call_types(self) -> tuple[str, ...]:
        """Call types that show the species."""
        return tuple(self._thresholds)

    @property
    def key(self) -> str:
        """Name of this tracker's state in the journal."""
        return f"{self.hydrophone}/{self.species}"

    @property
    def hold_s(self) -> float:
        """Observed quiet after which a presence ends, seconds."""
        return self._rule.hold_s

    @property
    def phase(self) -> PresencePhase:
        """Where the species stands now."""
        if self._presence is None:
            return "candidate" if any(sighting.over_enter for sighting in self._sightings) else "absent"
        return "fading" if self._presence.quiet_samples else "present"

    def snapshot(self) -> TrackerState:
        """All this tracker knows, as a value."""
        return TrackerState(
            frame=self._frame,
            now_here=self._now,
            analysed_until_here=self._analysed_until,
            not_before_here=self._not_before,
            sightings=self._sightings,
            presence=self._presence,
            left=self._left,
        )

    def restore(self, state: TrackerState) -> None:
        """Go on from a snapshot."""
        self._frame, self._now = state.frame, state.now_here
        self._analysed_until, self._not_before = state.analysed_until_here, state.not_before_here
        self._sightings, self._presence, self._left = state.sightings, state.presence, state.left

    def observe(
        self, detection: Detection, *, persistent: frozenset[CallSpan] = NOTHING_PERSISTENT
    ) -> list[PresenceEvent]:
        """Take in one analysed window.

        Args:
            detection: what the model said of it. Where none of the species' call
                types is observed, it is a stretch lost to this species.
            persistent: those of its spans that the guard knows for a persistent
                source's; alone they open and keep open only marked presences.

        Returns:
            What became known by it, oldest first.
        """
        if not self._thresholds.keys() & detection.probability.keys():
            return self.lose(detection)
        if self._has_seen(detection):
            return []
        events = self._arrive_at(detection)
        sighting = sighting_of(detection, self._thresholds, certain=self._rule.certain, persistent=persistent)
        self._take_in(sighting)
        if sighting.undecided:
            return events + self._pass_to(sighting.end_sample)
        self._now = max(self._now, sighting.end_sample)
        return events + self._end_if_due() + self._start_if_due() + self._update_if_due()

    def lose(self, stretch: Unobserved | Detection) -> list[PresenceEvent]:
        """Take in a stretch nothing was heard of; it may end a presence as `lost_coverage`."""
        if self._has_seen(stretch):
            return []
        return self._arrive_at(stretch) + self._pass_to(stretch.end_sample)

    def close(self, reason: EndReason) -> list[PresenceEvent]:
        """End what is open, since the stream or the station stops here; drop a mere candidate."""
        self._sightings = ()
        return self._end(reason)

    def _has_seen(self, stretch: Unobserved | Detection) -> bool:
        if self._frame is not None and stretch.epoch == self._frame.epoch:
            return self._analysed_until is not None and stretch.end_sample <= self._analysed_until
        return any(stretch.end_sample <= seen.until for seen in self._left if seen.epoch == stretch.epoch)

    def _arrive_at(self, stretch: Unobserved | Detection) -> list[PresenceEvent]:
        """Bring the tracker to the stretch's first sample, in the stretch's epoch."""
        known = self._frame
        frame = Frame(
            epoch=stretch.epoch,
            sample_rate_hz=stretch.sample_rate_hz,
            anchor_sample=stretch.first_sample,
            anchor=stretch.start,
        )
        events: list[PresenceEvent] = []
        if known is None:
            self._now = stretch.first_sample
        elif known.epoch != frame.epoch:
            events = self._begin_epoch(known, frame)
        self._frame = frame
        return events + self._pass_to(stretch.first_sample)

    def _begin_epoch(self, known: Frame, frame: Frame) -> list[PresenceEvent]:
        """Carry over what is open. Time that runs back by more than the hold is another stream: it ends."""
        now = frame.sample_at(known.utc(self._now))
        follows = now - frame.anchor_sample <= self._rule.hold_s * frame.sample_rate_hz
        events = [] if follows else self._end("stream_ended")
        move = Move(
            before=self._now,
            after=min(now, frame.anchor_sample),
            before_rate_hz=known.sample_rate_hz,
            after_rate_hz=frame.sample_rate_hz,
        )
        self._left = (*self._left, SeenEpoch(epoch=known.epoch, until=self._now))[-EPOCHS_REMEMBERED:]
        self._presence = self._presence and self._presence.moved(move)
        self._now, self._analysed_until, self._not_before, self._sightings = move.after, None, None, ()
        return events

    def _pass_to(self, position: int) -> list[PresenceEvent]:
        """Let stream time pass undecided. However it is cut up, a presence ends at the same sample."""
        if position <= self._now:
            return []
        events: list[PresenceEvent] = []
        if self._presence and self._presence.coverage_lost_at(self._hold_samples) <= position:
            self._now = max(self._now, self._presence.coverage_lost_at(self._hold_samples))
            events = self._end("lost_coverage")
        self._now = position
        return events

    def _take_in(self, sighting: Sighting) -> None:
        analysed_until = sighting.first_sample if self._analysed_until is None else self._analysed_until
        fresh_from = sighting.first_sample - self._hold_samples
        kept = tuple(earlier for earlier in self._sightings if earlier.end_sample > fresh_from)
        self._sightings = looked_back_on(kept, sighting, decided=self._rule.n)
        self._presence = self._presence and self._presence.after(sighting, analysed_until=analysed_until)
        self._analysed_until = sighting.end_sample

    def _end_if_due(self) -> list[PresenceEvent]:
        presence = self._presence
        if presence is None or not presence.quiet_samples:
            return []
        if presence.quiet_samples >= self._hold_samples:
            return self._end("quiet")
        lost = presence.coverage_lost_at(self._hold_samples) <= self._now
        return self._end("lost_coverage") if lost else []

    def _start_if_due(self) -> list[PresenceEvent]:
        """Start a presence if enough windows say so; a caller's takes the place of a machine's."""
        if self._presence is None:
            return self._start(self._opening(persistent=False) or self._opening(persistent=True))
        opening = self._opening(persistent=False) if self._presence.persistent else ()
        if not opening:
            return []
        self._presence = self._presence.revised(next_update_here=self._presence.next_update_here)
        return [self._told("ended", self._presence, reason="superseded"), *self._start(opening)]

    def _opening(self, *, persistent: bool) -> Sequence[Sighting]:
        """The windows that make a presence of this nature, from the first positive on; or none."""
        positive = [seen.over_enter and seen.persistent == persistent for seen in self._sightings]
        alone = any(positive[-1:]) and self._sightings[-1].certain
        enough = alone or sum(positive) >= self._rule.k
        return self._sightings[positive.index(True) :] if enough else ()

    def _start(self, opening: Sequence[Sighting]) -> list[PresenceEvent]:
        if not opening or self._frame is None:
            return []
        self._presence = OpenPresence.opened_by(
            opening,
            frame=self._frame,
            not_before=self._not_before,
            update_samples=self._update_samples,
        )
        self._not_before = self._presence.onset_here + 1
        return [self._told("started", self._presence)]

    def _update_if_due(self) -> list[PresenceEvent]:
        presence, step = self._presence, self._update_samples
        if presence is None or self._now < presence.next_update_here:
            return []
        steps = 1 + (self._now - presence.next_update_here) // step
        self._presence = presence.revised(next_update_here=presence.next_update_here + steps * step)
        return [self._told("updated", self._presence)]

    def _end(self, reason: EndReason) -> list[PresenceEvent]:
        if self._presence is None:
            return []
        ended = self._presence.revised(next_update_here=self._presence.next_update_here)
        self._presence, self._sightings, self._not_before = None, (), self._now
        return [self._told("ended", ended, reason=reason)]

    def _told(self, kind: EventKind, presence: OpenPresence, *, reason: EndReason | None = None) -> PresenceEvent:
        return event_of(
            presence,
            kind,
            station=self.station,
            hydrophone=self.hydrophone,
            species=self.species,
            now_here=self._now,
            rate_here_hz=self._rate_hz,
            reason=reason,
        )

    @property
    def _rate_hz(self) -> int:
        return self._frame.sample_rate_hz if self._frame else 1

    @property
    def _hold_samples(self) -> int:
        return max(1, round(self._rule.hold_s * self._rate_hz))

    @property
    def _update_samples(self) -> int:
        return max(1, round(self._rule.update_s * self._rate_hz))


def trackers_for(
    contract: ModelContract, station: str, hydrophone: str, section: PresenceSection
) -> list[PresenceTracker]:
    """One tracker per species the model knows, in the model's order.

    Raises:
        ConfigError: the section names a species or call type the model does not know.
    """
    section.check(contract)
    return [
        PresenceTracker(
            station,
            hydrophone,
            species=species,
            thresholds=section.thresholds_for(contract, species),
            rule=section.rule_for(species),
        )
        for species in dict.fromkeys(call_type.species for call_type in contract.call_types)
    ]
