"""JSON API: events with their reviews, evidence files, and reviews by programs."""

from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse

from seacanary.web.event_reading import EventQuery, EventReading, JudgedEvent
from seacanary.web.evidence_files import EvidenceFiles
from seacanary.web.review_links import LinkRefused
from seacanary.web.reviews import Reviews, Word

# Clips do not change once they are there, and seeking asks for them piece by piece.
EVIDENCE_CACHE = "private, max-age=300"


class Alive(BaseModel):
    """The server answers."""

    status: Literal["alive"] = "alive"


class Trouble(BaseModel):
    """Why not."""

    detail: str


# OpenAPI's description of answers: free-form by FastAPI's own type.
Answers: TypeAlias = dict[int | str, dict[str, Any]]
AILING: Answers = {503: {"model": Trouble, "description": "the journal cannot be used now"}}
MISSING: Answers = {404: {"model": Trouble, "description": "there is none"}}
REFUSALS: Answers = {
    403: {"model": Trouble, "description": "the token is not for this event, or not of this station"},
    409: {"model": Trouble, "description": "the journal does not hold the event"},
    410: {"model": Trouble, "description": "the token has expired"},
}


class EventPage(BaseModel):
    """Events, newest in the journal first."""

    model_config = ConfigDict(frozen=True)

    events: tuple[JudgedEvent, ...]
    next_before: int | None = Field(description="`before` of the next page; null: these were all")


class SignedWord(Word):
    """A review with the token that allows it: the last part of a link's path."""

    token: str = Field(description="from the review link of an alert")


class Api:
    """What programs can ask for."""

    def __init__(self, *, events: EventReading, reviews: Reviews, evidence: EvidenceFiles) -> None:
        self._events, self._reviews, self._evidence = events, reviews, evidence

    def router(self) -> APIRouter:
        """The API's places, described for OpenAPI."""
        router = APIRouter(responses=AILING)
        router.get("/healthz", summary="Whether the server answers")(self.alive)
        router.get("/api/events", summary="Presence events with their reviews")(self.latest)
        router.get("/api/events/{event_id}", responses=MISSING, summary="One event with its reviews")(self.event)
        router.post("/api/events/{event_id}/review", responses=REFUSALS, summary="Confirm or reject")(self.review)
        router.get(
            "/evidence/{path:path}",
            response_class=FileResponse,
            responses=MISSING,
            summary="A clip, a picture or the facts of an event; ranges are honoured",
        )(self.file)
        router.head("/evidence/{path:path}", include_in_schema=False)(self.file)
        return router

    async def alive(self) -> Alive:
        """Answer."""
        return Alive()

    async def latest(self, query: Annotated[EventQuery, Query()]) -> EventPage:
        """Presence events that match, newest in the journal first."""
        events = await self._events.latest(query)
        return EventPage(events=tuple(events), next_before=events[-1].sequence if len(events) == query.limit else None)

    async def event(self, event_id: UUID) -> JudgedEvent:
        """One presence event."""
        judged = await self._events.find(event_id)
        if judged is None:
            raise HTTPException(404, "The journal of this station does not hold this event.")
        return judged

    async def review(self, event_id: UUID, word: SignedWord) -> JudgedEvent:
        """Say what the token allows; saying it again changes nothing."""
        invitation, _ = await self._reviews.invited(word.token)
        if invitation.event_id != event_id:
            raise LinkRefused("This token is for another event.")
        return await self._reviews.answer(word.token, Word(reviewer=word.reviewer, note=word.note))

    async def file(self, path: str) -> FileResponse:
        """A file of evidence."""
        file = await self._evidence.find(path)
        if file is None:
            raise HTTPException(404, "There is no such evidence; it may have made room for newer one.")
        headers = {"cache-control": EVIDENCE_CACHE}
        return FileResponse(file.path, media_type=file.media_type, stat_result=file.stat, headers=headers)
