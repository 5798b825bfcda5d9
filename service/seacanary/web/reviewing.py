"""Reviewing: the places where people and programs say whether an event was right."""

from collections.abc import Mapping
from urllib.parse import quote, unquote
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field, ValidationError
from starlette.responses import HTMLResponse

from seacanary.evidence.names import Part
from seacanary.web.event_reading import JudgedEvent
from seacanary.web.evidence_files import EvidenceFiles
from seacanary.web.rendering import Rendering
from seacanary.web.review_links import Invitation, LinkRefused
from seacanary.web.reviews import Reviews, Word
from seacanary.web.troubles import AILING, Answers, Trouble

NAME_COOKIE = "reviewer"
YEAR_S = 365 * 86_400
FAULTS = {
    "reviewer": "Please give your name: one line, at most 80 letters.",
    "note": "The note is too long: at most 1000 letters.",
}

REFUSALS: Answers = {
    403: {"model": Trouble, "description": "the token is not for this event, or not of this station"},
    409: {"model": Trouble, "description": "the journal does not hold the event"},
    410: {"model": Trouble, "description": "the token has expired"},
}


class SignedWord(Word):
    """A review with the token that allows it: the last part of a link's path."""

    token: str = Field(description="from the review link of an alert")


class Reviewing:
    """A form for people, and the same for programs."""

    def __init__(self, rendering: Rendering, *, reviews: Reviews, evidence: EvidenceFiles, secure_cookie: bool) -> None:
        self._rendering, self._reviews, self._evidence = rendering, reviews, evidence
        self._secure_cookie = secure_cookie

    def router(self) -> APIRouter:
        """Its places; the form is no part of the API's description."""
        router = APIRouter(responses=AILING)
        router.post("/api/events/{event_id}/review", responses=REFUSALS, summary="Confirm or reject")(self.review)
        router.add_api_route("/review/{token}", self.ask, methods=["GET", "HEAD"], include_in_schema=False)
        router.add_api_route("/review/{token}", self.answer, methods=["POST"], include_in_schema=False)
        return router

    async def review(self, event_id: UUID, word: SignedWord) -> JudgedEvent:
        """Say what the token allows; saying it again changes nothing."""
        invitation, _ = await self._reviews.invited(word.token)
        if invitation.event_id != event_id:
            raise LinkRefused("This token is for another event.")
        return await self._reviews.answer(word.token, Word(reviewer=word.reviewer, note=word.note))

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
