"""JSON API: events with their reviews, and evidence files."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse

from seacanary.evidence.consumer import CURSOR as CLIPS
from seacanary.evidence.names import AUDIO, file_of, stem_of
from seacanary.web.event_reading import EventQuery, EventReading, JudgedEvent
from seacanary.web.evidence_files import EvidenceFiles
from seacanary.web.troubles import AILING, MISSING, Answers, Trouble

# Clips do not change once they are there, and seeking asks for them piece by piece.
EVIDENCE_CACHE = "private, max-age=300"
GONE: Answers = {410: {"model": Trouble, "description": "there is none any more"}}


class Alive(BaseModel):
    """The server answers."""

    status: Literal["alive"] = "alive"


class EventPage(BaseModel):
    """Events, newest in the journal first."""

    model_config = ConfigDict(frozen=True)

    events: tuple[JudgedEvent, ...]
    next_before: int | None = Field(description="`before` of the next page; null: these were all")


class Api:
    """What programs can ask for."""

    def __init__(self, *, events: EventReading, evidence: EvidenceFiles) -> None:
        self._events, self._evidence = events, evidence

    def router(self) -> APIRouter:
        """The API's places, described for OpenAPI."""
        router = APIRouter(responses=AILING)
        router.get("/healthz", summary="Whether the server answers")(self.alive)
        router.get("/api/events", summary="Presence events with their reviews")(self.latest)
        router.get("/api/events/{event_id}", responses=MISSING, summary="One event with its reviews")(self.event)
        router.get(
            "/api/events/{event_id}/clip",
            response_class=FileResponse,
            responses=MISSING | GONE,
            summary="The sound of one event; ranges are honoured",
        )(self.clip)
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

    async def clip(self, event_id: UUID) -> FileResponse:
        """The sound of one event, by its id."""
        if not self._evidence.are_kept:
            raise HTTPException(404, "This station keeps no clips; `evidence` in its configuration turns that on.")
        judged = await self._events.find(event_id)
        if judged is None:
            raise HTTPException(404, "The journal of this station does not hold this event, or not yet.")
        stem = stem_of(judged.event)
        facts = await self._evidence.facts(stem)
        if facts is None and await self._events.cursor(CLIPS) < judged.sequence:
            raise HTTPException(404, "Its clip is not written yet.")
        if facts is not None and facts.audio is None:
            raise HTTPException(410, "Its audio was gone before it could be kept.")
        if await self._evidence.find(file_of(stem, AUDIO)) is None:
            raise HTTPException(410, "Its clip has made room for newer evidence.")
        return await self.file(file_of(stem, AUDIO))

    async def file(self, path: str) -> FileResponse:
        """A file of evidence."""
        file = await self._evidence.find(path)
        if file is None:
            raise HTTPException(404, "There is no such evidence; it may have made room for newer one.")
        headers = {"cache-control": EVIDENCE_CACHE}
        return FileResponse(file.path, media_type=file.media_type, stat_result=file.stat, headers=headers)
