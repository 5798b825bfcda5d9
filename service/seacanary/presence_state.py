"""What a PresenceTracker remembers: values that can be stored and taken up again.

Positions named `_here` count in the epoch the tracker is in now; an open
presence keeps the epoch and onset sample it was born with as its name.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict

from seacanary.events import BandHz, EndReason, EventKind, PresenceEvent, event_id
from seacanary.presence_sighting import Sighting


class Frame(BaseModel):
    """How the sample indices of one epoch stand to UTC, near `anchor_sample`."""

    model_config = ConfigDict(frozen=True)

    epoch: AwareDatetime
    sample_rate_hz: int
    anchor_sample: int
    anchor: AwareDatetime

    def utc(self, sample: int) -> AwareDatetime:
        """UTC of a stream index."""
        return self.anchor + timedelta(seconds=(sample - self.anchor_sample) / self.sample_rate_hz)

    def sample_at(self, utc: AwareDatetime) -> int:
        """Stream index at an instant; negative before the epoch began."""
        return self.anchor_sample + round((utc - self.anchor).total_seconds() * self.sample_rate_hz)


class Move(BaseModel):
    """From the indices of one epoch to those of the next: `before` and `after` are one instant."""

    model_config = ConfigDict(frozen=True)

    before: int
    after: int
    before_rate_hz: int
    after_rate_hz: int

    def length(self, samples: int) -> int:
        """A stretch of the old epoch in samples of the new."""
        return round(samples * self.after_rate_hz / self.before_rate_hz)

    def position(self, sample: int) -> int:
        """A position of the old epoch as an index of the new."""
        return self.after + self.length(sample - self.before)


class OpenPresence(BaseModel):
    """A presence that has started and not ended, with all its events will say.

    Attributes:
        positive_until_here: end of the last window that kept it open.
        quiet_samples: samples since then in which the model heard nothing.
        decided_until_here: end of the last window it did not abstain on; None at the
            beginning of an epoch.
        observed_samples: observed samples since the onset.
        next_update_here: the first window to end here or later brings an `updated`.
        revision: of the last event told.
        persistent: nothing but a persistent source keeps it open.
    """

    model_config = ConfigDict(frozen=True)

    epoch: AwareDatetime
    sample_rate_hz: int
    onset_sample: int
    onset: AwareDatetime
    onset_here: int
    offset_here: int
    offset: AwareDatetime
    positive_until_here: int
    quiet_samples: int = 0
    decided_until_here: int | None = None
    observed_samples: int = 0
    next_update_here: int
    revision: int = 0
    peak_probability: float = 0.0
    probability_sum: float = 0.0
    windows_seen: int = 0
    windows_positive: int = 0
    band_hz: BandHz | None = None
    call_types: tuple[str, ...] = ()
    persistent: bool
    model_id: str
    source_file: str | None

    @classmethod
    def opened_by(
        cls, sightings: Sequence[Sighting], *, frame: Frame, not_before: int | None, update_samples: int
    ) -> Self:
        """Open a presence at its first sighting, with those that confirmed it.

        Args:
            sightings: windows in order, the first of them positive.
            frame: where their samples count.
            not_before: earliest onset: what an earlier presence held is not told twice.
            update_samples: distance of `updated` events.
        """
        first = sightings[0]
        late_samples = 0 if not_before is None else max(0, not_before - first.onset_sample)
        onset_sample = first.onset_sample + late_samples
        onset = first.onset + timedelta(seconds=late_samples / frame.sample_rate_hz)
        presence = cls(
            epoch=frame.epoch,
            sample_rate_hz=frame.sample_rate_hz,
            onset_sample=onset_sample,
            onset=onset,
            onset_here=onset_sample,
            offset_here=onset_sample,
            offset=onset,
            positive_until_here=first.end_sample,
            next_update_here=sightings[-1].end_sample + update_samples,
            persistent=first.persistent,
            model_id=first.model_id,
            source_file=first.source_file,
        )
        analysed_until = onset_sample
        for sighting in sightings:
            presence = presence.after(sighting, analysed_until=analysed_until)
            analysed_until = max(analysed_until, sighting.end_sample)
        return presence

    def kept_open_by(self, sighting: Sighting) -> bool:
        """Whether the window is positive for it: a machine keeps open only what a machine opened."""
        return sighting.over_leave and (self.persistent or not sighting.persistent)

    def after(self, sighting: Sighting, *, analysed_until: int) -> Self:
        """This presence with one more window, of which samples before `analysed_until` are not new."""
        decided_until = analysed_until if self.decided_until_here is None else self.decided_until_here
        seen: dict[str, object] = {
            "observed_samples": self.observed_samples + sighting.samples_after(analysed_until),
            "windows_seen": self.windows_seen + sighting.windows,
            "decided_until_here": decided_until,
            "model_id": sighting.model_id,
        }
        if not sighting.undecided:
            seen["decided_until_here"] = max(decided_until, sighting.end_sample)
            seen["quiet_samples"] = self.quiet_samples + sighting.samples_after(decided_until)
        return self.model_copy(update=seen | (self._heard(sighting) if self.kept_open_by(sighting) else {}))

    def _heard(self, sighting: Sighting) -> dict[str, object]:
        later = sighting.offset_sample > self.offset_here
        return {
            "offset_here": sighting.offset_sample if later else self.offset_here,
            "offset": max(sighting.offset, self.onset) if later else self.offset,
            "positive_until_here": sighting.end_sample,
            "quiet_samples": 0,
            "peak_probability": max(self.peak_probability, sighting.probability),
            "probability_sum": self.probability_sum + sighting.probability,
            "windows_positive": self.windows_positive + 1,
            "band_hz": band_union(self.band_hz, sighting.band_hz),
            "call_types": tuple(sorted({*self.call_types, *sighting.call_types})),
        }

    def coverage_lost_at(self, hold_samples: int) -> int:
        """Where the hold will have passed, most of it unobserved, if nothing more is observed."""
        return self.positive_until_here + max(hold_samples, 2 * self.quiet_samples + 1)

    def moved(self, move: Move) -> Self:
        """The same presence with its running positions in another epoch."""
        return self.model_copy(
            update={
                "onset_here": move.position(self.onset_here),
                "offset_here": move.position(self.offset_here),
                "positive_until_here": move.position(self.positive_until_here),
                "next_update_here": move.position(self.next_update_here),
                "quiet_samples": move.length(self.quiet_samples),
                "decided_until_here": None,
                "observed_samples": move.length(self.observed_samples),
            }
        )

    def revised(self, *, next_update_here: int) -> Self:
        """The same presence, about to be told of once more."""
        return self.model_copy(update={"revision": self.revision + 1, "next_update_here": next_update_here})


class SeenEpoch(BaseModel):
    """An epoch the stream has left, and how far it went: a replay of it is known for one."""

    model_config = ConfigDict(frozen=True)

    epoch: AwareDatetime
    until: int


class TrackerState(BaseModel):
    """All a tracker knows; two trackers with the same state and input say the same.

    Attributes:
        frame: the epoch the stream is in; None before its first window.
        now_here: end of what has passed, observed or not.
        analysed_until_here: end of the last window analysed in this epoch.
        not_before_here: earliest onset of a next presence in this epoch.
        sightings: the last n windows, oldest first.
        presence: the open one, if any.
        left: epochs left behind, oldest first.
    """

    model_config = ConfigDict(frozen=True)

    frame: Frame | None = None
    now_here: int = 0
    analysed_until_here: int | None = None
    not_before_here: int | None = None
    sightings: tuple[Sighting, ...] = ()
    presence: OpenPresence | None = None
    left: tuple[SeenEpoch, ...] = ()


def band_union(first: BandHz | None, second: BandHz | None) -> BandHz | None:
    """The smallest band that holds both; None is no band."""
    if first is None or second is None:
        return first or second
    return BandHz(low=min(first.low, second.low), high=max(first.high, second.high))


def event_of(
    presence: OpenPresence,
    kind: EventKind,
    *,
    station: str,
    hydrophone: str,
    species: str,
    now_here: int,
    rate_here_hz: int,
    reason: EndReason | None = None,
) -> PresenceEvent:
    """Tell of a presence as it stands at stream position `now_here`."""
    heard_samples = presence.offset_here - presence.onset_here
    identity = event_id(
        station,
        hydrophone,
        epoch=presence.epoch,
        species=species,
        onset_sample=presence.onset_sample,
        kind=kind,
        revision=presence.revision,
    )
    return PresenceEvent(
        id=identity,
        kind=kind,
        station=station,
        hydrophone=hydrophone,
        species=species,
        call_types=presence.call_types,
        epoch=presence.epoch,
        sample_rate_hz=presence.sample_rate_hz,
        onset_sample=presence.onset_sample,
        offset_sample=presence.onset_sample + round(heard_samples * presence.sample_rate_hz / rate_here_hz),
        onset=presence.onset,
        offset=presence.offset,
        revision=presence.revision,
        reason=reason,
        peak_probability=presence.peak_probability,
        mean_probability=min(presence.probability_sum / max(presence.windows_positive, 1), presence.peak_probability),
        windows_seen=presence.windows_seen,
        windows_positive=presence.windows_positive,
        band_hz=presence.band_hz,
        coverage=min(1.0, presence.observed_samples / max(now_here - presence.onset_here, 1)),
        persistent_source=presence.persistent,
        model_id=presence.model_id,
        source_file=presence.source_file,
    )
