"""Pages for people to look at."""

from uuid import UUID

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from seacanary.web.event_reading import EventReading
from seacanary.web.evidence_files import EvidenceFiles
from seacanary.web.rendering import Rendering


class Pages:
    """HTML for a browser. Looking changes nothing: chat programs and mail filters open every link they see."""

    def __init__(self, rendering: Rendering, *, events: EventReading, evidence: EvidenceFiles) -> None:
        self._rendering, self._events, self._evidence = rendering, events, evidence

    def router(self) -> APIRouter:
        """The pages' places; they are no part of the API's description."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/events/{event_id}", self.event, methods=["GET", "HEAD"])
        router.add_api_route("/icon.svg", self.icon, methods=["GET"])
        return router

    async def icon(self) -> Response:
        """The mark in a browser's tab."""
        return self._rendering.icon()

    async def event(self, event_id: str) -> HTMLResponse:
        """An event with its evidence and the trail of what people said."""
        try:
            judged = await self._events.find(UUID(event_id))
        except ValueError:
            judged = None
        if judged is None:
            raise HTTPException(404, "The journal of this station does not hold this event.")
        kept = await self._evidence.kept(judged.event.evidence)
        return self._rendering.page("event.html", judged=judged, evidence=kept, thanks=False)
