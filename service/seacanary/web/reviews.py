"""Reviews: what a person says of an event, made an event of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from seacanary.errors import JournalError, SeaCanaryError
from seacanary.event_ids import named_by
from seacanary.events import Event, ReviewEvent
from seacanary.metrics import Metrics
from seacanary.web.event_reading import EventReading, JudgedEvent
from seacanary.web.review_links import Invitation, LinkRefused, ReviewLinks

# A journal that has not taken a review by then is in trouble; whoever waits is told so.
PATIENCE_S = 10.0


class EventUnknown(SeaCanaryError):
    """A good link to an event that the journal does not hold."""


class Word(BaseModel):
    """Who says it, and what else they say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reviewer: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]+$"),
    ] = Field(description="name of the person, one line")
    note: Annotated[
        str,
        StringConstraints(strip_whitespace=True, max_length=1000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"),
        AfterValidator(lambda note: "\n".join(note.splitlines())),
    ] = Field("", description="anything worth knowing")


class Reviews:
    """Takes answers, one at a time, so that a double click finds what it has just said."""

    def __init__(
        self,
        station: str,
        *,
        links: ReviewLinks,
        events: EventReading,
        tell: Callable[[Sequence[Event]], Awaitable[None]],
        metrics: Metrics,
        now: Callable[[], datetime],
    ) -> None:
        """Prepare.

        Args:
            station: name of this station; links of others are refused.
            links: that this station gives out.
            events: what can be judged.
            tell: stores events; returns once they are in the journal.
            metrics: what to count on.
            now: the time, aware.
        """
        self._station, self._links, self._events = station, links, events
        self._tell, self._metrics, self._now = tell, metrics, now
        self._answering = asyncio.Lock()
        self._storing: asyncio.Task[None] | None = None

    async def invited(self, token: str) -> tuple[Invitation, JudgedEvent]:
        """What a link asks, and of what.

        Raises:
            LinkRefused: not a link of this station, or expired.
            EventUnknown: the journal does not hold the event.
            JournalError: the journal cannot be read.
        """
        invitation = self._links.read(token, now=self._now())
        if invitation.station != self._station:
            raise LinkRefused(f"This link belongs to station {invitation.station}; this is {self._station}.")
        judged = await self._events.find(invitation.event_id)
        if judged is None:
            raise EventUnknown(f"The journal of station {self._station} does not hold event {invitation.event_id}.")
        return invitation, judged

    async def answer(self, token: str, word: Word) -> JudgedEvent:
        """Store what a person says; saying the last word again changes nothing.

        Returns:
            The event with the trail as it is now; this word is the last.

        Raises:
            LinkRefused, EventUnknown, JournalError: as invited; JournalError also if it cannot be stored now.
        """
        async with self._answering:
            invitation, judged = await self.invited(token)
            if _is_said(judged, invitation, word):
                return judged
            review = _review(judged, invitation, word, now=self._now())
            await self._store(review)
            return judged.model_copy(update={"reviews": (*judged.reviews, review)})

    def token(self, invitation: Invitation) -> str:
        """Sign an invitation, to offer it on a page."""
        return self._links.token(invitation)

    async def aclose(self) -> None:
        """Let a review that is being stored get there."""
        if self._storing is not None:
            await asyncio.gather(self._storing, return_exceptions=True)

    async def _store(self, review: ReviewEvent) -> None:
        """Store, but wait only so long: a write that began is never cancelled, for it may already count."""
        if self._storing is not None and not self._storing.done():
            raise JournalError("an earlier review is still being stored")
        self._storing = asyncio.create_task(self._told(review))
        done, _ = await asyncio.wait({self._storing}, timeout=PATIENCE_S)
        if not done:
            raise JournalError(f"a review was not stored within {PATIENCE_S:.0f} s; it is tried on")
        self._storing.result()

    async def _told(self, review: ReviewEvent) -> None:
        await self._tell((review,))
        self._metrics.reviews.labels(review.species, review.verdict).inc()


def _is_said(judged: JudgedEvent, invitation: Invitation, word: Word) -> bool:
    """Whether the last word of all is this one, by the same person."""
    if not judged.reviews:
        return False
    last = judged.reviews[-1]
    return (last.reviewer, last.verdict, last.note) == (word.reviewer, invitation.verdict, word.note)


def _review(judged: JudgedEvent, invitation: Invitation, word: Word, *, now: datetime) -> ReviewEvent:
    event, verdict = judged.event, invitation.verdict
    return ReviewEvent(
        id=named_by("reviewed", event.station, str(event.id), verdict, word.reviewer, now.isoformat()),
        station=event.station,
        hydrophone=event.hydrophone,
        species=event.species,
        event_id=event.id,
        verdict=verdict,
        reviewer=word.reviewer,
        reviewed_at=now,
        rule=invitation.rule,
        note=word.note,
    )
