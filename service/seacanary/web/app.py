"""The web application: pages, API and evidence under one set of limits."""

import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse, Response

from seacanary import __version__
from seacanary.errors import JournalError, SeaCanaryError
from seacanary.evidence.recent_audio import (
    AudioBusy,
    AudioGone,
    AudioLater,
    AudioNotYet,
    AudioTooLong,
    AudioUnknown,
    RecentAudio,
)
from seacanary.web.api import Api
from seacanary.web.audio import AudioApi, retry_after
from seacanary.web.event_reading import EventReading
from seacanary.web.evidence_files import EvidenceFiles
from seacanary.web.limits import Limits, Unprefixed, strict_headers
from seacanary.web.pages import Pages
from seacanary.web.rendering import Rendering
from seacanary.web.review_links import LinkExpired, LinkRefused
from seacanary.web.reviewing import Reviewing
from seacanary.web.reviews import EventUnknown, Reviews
from seacanary.web.section import WebSection

log = logging.getLogger(__name__)

FOR_PEOPLE = ("/review/", "/events/")
# The first that fits.
STATUSES: Mapping[type[SeaCanaryError], HTTPStatus] = {
    LinkExpired: HTTPStatus.GONE,
    LinkRefused: HTTPStatus.FORBIDDEN,
    EventUnknown: HTTPStatus.CONFLICT,
    JournalError: HTTPStatus.SERVICE_UNAVAILABLE,
    AudioUnknown: HTTPStatus.NOT_FOUND,
    AudioGone: HTTPStatus.GONE,
    AudioTooLong: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    AudioNotYet: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    AudioBusy: HTTPStatus.SERVICE_UNAVAILABLE,
}
TITLES: Mapping[int, str] = {
    403: "This link cannot be used",
    404: "Not found",
    409: "This event is not known here",
    410: "This link has expired",
    413: "Too much at once",
    503: "The station cannot store or read this now",
}
JOURNAL_AILS = "The station's journal cannot be used at the moment. Nothing is lost; please try again in a minute."


def web_app(
    section: WebSection,
    *,
    station: str,
    events: EventReading,
    evidence: EvidenceFiles,
    audio: RecentAudio | None = None,
    reviews: Reviews | None = None,
) -> FastAPI:
    """The application that a server runs.

    Args:
        section: public URL and allowed hosts.
        station: its name.
        events: what there is to see.
        evidence: clips and pictures.
        audio: of the last minutes; None: none is kept.
        reviews: takes answers; None: nobody answers here.
    """
    rendering = Rendering(station, prefix=section.prefix)
    app = FastAPI(
        title=f"Sea Canary · {station}",
        version=__version__,
        servers=[{"url": section.prefix or "/"}],
        openapi_url="/api/openapi.json",
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
    )
    app.include_router(Pages(rendering, events=events, evidence=evidence).router())
    app.include_router(Api(events=events, evidence=evidence).router())
    app.include_router(AudioApi(audio).router())
    if reviews is not None:
        secure = (section.public_url or "").startswith("https:")
        reviewing = Reviewing(rendering, reviews=reviews, evidence=evidence, secure_cookie=secure)
        app.include_router(reviewing.router())
    _answer_troubles(app, rendering)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=section.allowed_hosts, www_redirect=False)
    app.add_middleware(Limits, headers=strict_headers(rendering.style_hash))
    app.add_middleware(Unprefixed, prefix=section.prefix)
    return app


def _answer_troubles(app: FastAPI, rendering: Rendering) -> None:
    """People get a page, programs get JSON."""

    def answer(request: Request, status: int, detail: str) -> Response:
        if request.scope["path"].startswith(FOR_PEOPLE):
            return rendering.page(
                "trouble.html", status=status, title=TITLES.get(status, "This did not work"), detail=detail
            )
        return JSONResponse({"detail": detail}, status)

    async def on_http(request: Request, exc: HTTPException) -> Response:
        return answer(request, exc.status_code, exc.detail)

    async def on_ours(request: Request, exc: SeaCanaryError) -> Response:
        status = next((status for kind, status in STATUSES.items() if isinstance(exc, kind)), None)
        if status is None:
            raise exc
        if isinstance(exc, JournalError):
            log.error("web: %s", exc)
            return answer(request, status, JOURNAL_AILS)
        refused = answer(request, status, str(exc))
        if isinstance(exc, AudioLater):
            refused.headers.update(retry_after(exc.retry_s))
        return refused

    app.exception_handler(HTTPException)(on_http)
    app.exception_handler(SeaCanaryError)(on_ours)
