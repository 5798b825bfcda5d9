"""A bout: the overlapping presences of one species on a station's hydrophones, as people are told of it."""

from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from seacanary.presence_event import EndReason, PresenceEvent

Cause = Literal["cooldown", "quiet_hours", "rate_limit", "unconfirmed", "late"]

EVENTS_NAMED = 100  # presences an alert names one by one; the others are counted
EVENTS_RECALLED = 200  # latest events of a bout by which a review finds it, beside the named ones


class OpenPresence(BaseModel):
    """A presence that has not ended, at one hydrophone.

    Attributes:
        latest: its latest event.
        first_event: id of the event it started with: its name in alerts, the same in every rule's.
        open_since: since when the rule has known it to be open without a break.
        part: waiting: does not satisfy the rule yet; counted: part of the bout;
            dismissed: it, or its bout, was rejected, and it is not spoken of again.
        confirmed_by: who confirmed it while it was waiting.
    """

    model_config = ConfigDict(frozen=True)

    latest: PresenceEvent
    first_event: UUID
    open_since: AwareDatetime
    part: Literal["waiting", "counted", "dismissed"] = "waiting"
    confirmed_by: str | None = None

    def changed(self, **changes: object) -> Self:
        """With some fields changed."""
        return self.model_copy(update=changes)

    def knows(self, event_id: UUID) -> bool:
        """Whether an event is its first or its latest."""
        return event_id in (self.first_event, self.latest.id)

    @property
    def heard_s(self) -> float:
        """Seconds from its first call to its last so far."""
        return ((self.latest.offset or self.latest.onset) - self.latest.onset).total_seconds()


class Bout(BaseModel):
    """What is known of a bout, and what has been told of it.

    Attributes:
        species: which.
        onset: first call.
        offset: last call so far.
        peak_probability: highest of any presence so far.
        hydrophones: that heard it, sorted.
        events: first event of each presence, the first EVENTS_NAMED of them.
        recalled: ids of its latest events, for reviews.
        count: presences in all.
        evidence: reference to the clip of its first event, if kept.
        told_count: presences that the latest notice spoke of; 0: nothing was told.
        told_at: when it was last told of, or would have been if that had not been held back.
        cause: what held back its `heard` at first; None: nothing did.
        confirmed_by: who confirmed it.
        ended_at: when its last presence ended; None before.
        reason: why that ended; None before.
    """

    model_config = ConfigDict(frozen=True)

    species: str
    onset: AwareDatetime
    offset: AwareDatetime
    peak_probability: float
    hydrophones: tuple[str, ...]
    events: tuple[UUID, ...]
    recalled: tuple[UUID, ...] = ()
    count: int = 1
    evidence: str | None = None
    told_count: int = 0
    told_at: AwareDatetime | None = None
    cause: Cause | None = None
    confirmed_by: str | None = None
    ended_at: AwareDatetime | None = None
    reason: EndReason | None = None

    @classmethod
    def begun_by(cls, presence: OpenPresence) -> Self:
        """The bout of one presence."""
        event = presence.latest
        return cls(
            species=event.species,
            onset=event.onset,
            offset=event.offset or event.onset,
            peak_probability=event.peak_probability,
            hydrophones=(event.hydrophone,),
            events=(presence.first_event,),
            confirmed_by=presence.confirmed_by,
            evidence=event.evidence,
        ).with_event(event)

    def joined_by(self, presence: OpenPresence) -> Self:
        """With one more presence."""
        event = presence.latest
        return self.model_copy(
            update={
                "onset": min(self.onset, event.onset),
                "hydrophones": tuple(sorted({*self.hydrophones, event.hydrophone})),
                "events": (*self.events, presence.first_event)[:EVENTS_NAMED],
                "count": self.count + 1,
                "confirmed_by": self.confirmed_by or presence.confirmed_by,
            }
        ).with_event(event)

    def with_event(self, event: PresenceEvent) -> Self:
        """With news of one of its presences."""
        return self.model_copy(
            update={
                "offset": max(self.offset, event.offset or event.onset),
                "peak_probability": max(self.peak_probability, event.peak_probability),
                "recalled": (*self.recalled, event.id)[-EVENTS_RECALLED:],
            }
        )

    def changed(self, **changes: object) -> Self:
        """With some fields changed."""
        return self.model_copy(update=changes)

    def knows(self, event_id: UUID) -> bool:
        """Whether an event is one of its own, as far as it recalls them."""
        return event_id in self.events or event_id in self.recalled

    @property
    def is_told(self) -> bool:
        """Whether its `heard` has gone out."""
        return self.told_count > 0

    def is_due_again(self, now: datetime, every_s: float) -> bool:
        """Whether `still_here` may follow the latest notice; a tenth early, as `updated` events come when they come."""
        return self.told_at is not None and (now - self.told_at).total_seconds() >= 0.9 * every_s
