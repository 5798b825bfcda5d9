"""Pages for people: look at an event, and say whether it was right."""

from collections.abc import Mapping
from urllib.parse import quote, unquote
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from seacanary.evidence.names import Part
from seacanary.web.event_reading import EventReading, JudgedEvent
from seacanary.web.evidence_files import EvidenceFiles
from seacanary.web.rendering import Rendering
from seacanary.web.review_links import Invitation
from seacanary.web.reviews import Reviews, Word

NAME_COOKIE = "reviewer"
YEAR_S = 365 * 86_400
FAULTS = {
    "reviewer": "Please give your name: one line, at most 80 letters.",
    "note": "The note is too long: at most 1000 letters.",
}


class Pages:
    """HTML for a browser. Looking changes nothing: chat programs and mail filters open every link they see."""

    def __init__(
        self,
        rendering: Rendering,
        *,
        events: EventReading,
        reviews: Reviews,
        evidence: EvidenceFiles,
        secure_cookie: bool,
    ) -> None:
        self._rendering, self._events, self._reviews, self._evidence = rendering, events, reviews, evidence
        self._secure_cookie = secure_cookie

    def router(self) -> APIRouter:
        """The pages' places; they are no part of the API's description."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/events/{event_id}", self.event, methods=["GET", "HEAD"])
        router.add_api_route("/review/{token}", self.ask, methods=["GET", "HEAD"])
        router.add_api_route("/review/{token}", self.answer, methods=["POST"])
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
        return self._rendering.page("event.html", judged=judged, evidence=await self._kept(judged), thanks=False)

    async def ask(self, request: Request, token: str) -> HTMLResponse:
        """The form behind a link."""
        invitation, judged = await self._reviews.invited(token)
        given = {"reviewer": unquote(request.cookies.get(NAME_COOKIE, "")), "note": ""}
        return await self._form(invitation, judged, given=given)

    async def answer(self, request: Request, token: str) -> HTMLResponse:
        """Take the form; sent twice, it counts once."""
        async with request.form(max_files=0, max_fields=8) as form:
            given = {name: str(form.get(name, "")) for name in FAULTS}
        try:
            word = Word.model_validate(given)
        except ValidationError as exc:
            invitation, judged = await self._reviews.invited(token)
            faults = {str(error["loc"][0]) for error in exc.errors()}
            return await self._form(invitation, judged, given=given, faults={name: FAULTS[name] for name in faults})
        judged = await self._reviews.answer(token, word)
        kept = await self._kept(judged)
        page = self._rendering.page("event.html", judged=judged, evidence=kept, thanks=True)
        page.set_cookie(
            NAME_COOKIE,
            quote(word.reviewer),
            max_age=YEAR_S,
            httponly=True,
            samesite="lax",
            secure=self._secure_cookie,
        )
        return page

    async def _form(
        self,
        invitation: Invitation,
        judged: JudgedEvent,
        *,
        given: Mapping[str, str],
        faults: Mapping[str, str] | None = None,
    ) -> HTMLResponse:
        return self._rendering.page(
            "review.html",
            status=422 if faults else 200,
            invitation=invitation,
            judged=judged,
            evidence=await self._kept(judged),
            given=given,
            faults=faults or {},
            opposite=self._reviews.token(invitation.opposite()),
        )

    async def _kept(self, judged: JudgedEvent) -> Mapping[Part, str]:
        return await self._evidence.kept(judged.event.evidence)
