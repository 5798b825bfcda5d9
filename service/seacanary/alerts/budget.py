"""How many messages a rule may still send, and the tally of what it did not."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from seacanary.alerts.bout import EVENTS_NAMED, Bout, Cause
from seacanary.alerts.rules import RateLimit


class Budget(BaseModel):
    """When a rule's latest messages went out: no more of them than its limit ever needs."""

    model_config = ConfigDict(frozen=True)

    sent: tuple[AwareDatetime, ...] = ()

    def spent(self, now: datetime, limit: RateLimit) -> Self:
        """With one message more."""
        return self.model_copy(update={"sent": (*self.sent, now)[-limit.messages :]})

    def free_at(self, now: datetime, limit: RateLimit, *, leaving: int = 0) -> datetime:
        """The first instant from now on at which a message may go, and `leaving` more after it."""
        allowed = limit.messages - leaving
        recent = [sent for sent in self.sent if sent + limit.per > now]
        return now if len(recent) < allowed else recent[-allowed] + limit.per


class Tally(BaseModel):
    """What was held back since the last digest.

    Attributes:
        due: when it is to be told, if nothing holds it back as well.
        held_back: notices, by cause.
        bouts: bouts nobody was told of at all, by species.
        count: presences nobody was told of.
        events: first events of these presences, the first EVENTS_NAMED of them.
        named_by: first event of the first bout in it: the digest's name.
        onset: first call of the bouts in it.
        offset: last call of the bouts in it.
        peak_probability: highest of them.
        hydrophones: that heard them, sorted.
    """

    model_config = ConfigDict(frozen=True)

    due: AwareDatetime
    held_back: dict[Cause, int]
    bouts: dict[str, int]
    count: int
    events: tuple[UUID, ...]
    named_by: UUID
    onset: AwareDatetime
    offset: AwareDatetime
    peak_probability: float
    hydrophones: tuple[str, ...]

    @classmethod
    def begun_by(cls, bout: Bout, *, due: datetime) -> Self:
        """An empty tally whose first bout is this one."""
        return cls(
            due=due,
            held_back={},
            bouts={},
            count=0,
            events=(),
            named_by=bout.events[0],
            onset=bout.onset,
            offset=bout.offset,
            peak_probability=bout.peak_probability,
            hydrophones=(),
        )

    def with_notice(self, bout: Bout, cause: Cause, *, due: datetime, untold: int) -> Self:
        """With one notice of a bout that was held back.

        Args:
            bout: as it is now.
            cause: what held it back.
            due: when the digest should come for its sake.
            untold: presences of the bout that no notice has spoken of, and none will.
        """
        bouts = self.bouts if bout.is_told else self.bouts | {bout.species: self.bouts.get(bout.species, 0) + 1}
        # Of a bout too long to name them all, the unnamed ones are counted.
        named = bout.events[bout.count - untold :] if untold else ()
        return self.model_copy(
            update={
                "due": min(self.due, due),
                "held_back": self.held_back | {cause: self.held_back.get(cause, 0) + 1},
                "bouts": bouts,
                "count": self.count + untold,
                "events": (*self.events, *named)[:EVENTS_NAMED],
                "onset": min(self.onset, bout.onset),
                "offset": max(self.offset, bout.offset),
                "peak_probability": max(self.peak_probability, bout.peak_probability),
                "hydrophones": tuple(sorted({*self.hydrophones, *bout.hydrophones})),
            }
        )
