"""What a worker answers over HTTP: presence and effort of the whole fleet, hour by hour."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Protocol, Self, TypeAlias

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse, Response, StreamingResponse

from seacanary import __version__
from seacanary.cluster.fleet_hours import HydrophoneHour
from seacanary.cluster.fleet_rows import FleetRow, csv_headings, csv_of, rows_of
from seacanary.cluster.fleet_store import FleetStoreError, HoursAsked, KnownHydrophone
from seacanary.cluster.plausible import YEARS
from seacanary.web.api import Alive
from seacanary.web.limits import Limits, strict_headers
from seacanary.web.section import WebSection
from seacanary.web.serving import AppServer, listening
from seacanary.web.troubles import Trouble

MOST_HOURS = 5000
# Read, and let go of, before the next: an answer of years takes no more memory than one of days.
HOURS_AT_ONCE = 500
USUAL_SPAN = timedelta(days=1)
NO_PAGE = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="  # of nothing: there are no styles
SEPARATOR = "/"
_OTHER_YEARS = f"must lie in a year from {YEARS[0]} to {YEARS[-1]}"
Answers: TypeAlias = dict[int | str, dict[str, Any]]
REFUSALS: Answers = {
    400: {"model": Trouble, "description": "what was asked means nothing; the answer says what would"},
    503: {"model": Trouble, "description": "this worker has not read all hours yet, or cannot read its file"},
}


class Hours(Protocol):
    """The hours of the fleet, as far as they are asked for here."""

    @property
    def is_complete(self) -> bool:
        """Whether all are there that there were at the start."""

    async def hours(self, asked: HoursAsked) -> list[HydrophoneHour]:
        """Hours of hydrophones, by hour, station and hydrophone."""

    async def hydrophones(self) -> list[KnownHydrophone]:
        """All that were ever told of."""

    async def species(self) -> list[str]:
        """All that were ever listened for."""

    async def told_ms(self) -> int | None:
        """When the newest word came, ms since 1970."""


class FleetQuery(BaseModel):
    """Which rows."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    station: str | None = Field(None, description="of this station alone")
    hydrophone: str | None = Field(None, description="of hydrophones of this name alone")
    species: str | None = Field(None, description="of this species alone")
    since: AwareDatetime | None = Field(
        None, alias="from", description="hours that reach beyond this instant, as 2026-05-01T12:00:00Z; a day before to"
    )
    until: AwareDatetime | None = Field(None, alias="to", description="hours that begin before this instant; now")
    format: Literal["json", "csv"] = Field("json", description="csv gives all at once, json page by page")
    limit: int = Field(1000, ge=1, le=MOST_HOURS, description="hours of hydrophones on a page of json")
    after: str | None = Field(None, description="`next_after` of the page before")

    @field_validator("since", "until")
    @classmethod
    def _of_our_years(cls, when: datetime | None) -> datetime | None:
        if when is not None and when.year not in YEARS:
            raise ValueError(_OTHER_YEARS)
        return when

    @field_validator("after")
    @classmethod
    def _is_ours(cls, after: str | None) -> str | None:
        if after is not None:
            place_of(after)
        return after

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError(f"from ({self.since.isoformat()}) must be before to ({self.until.isoformat()})")
        return self

    def asked(self, now: datetime) -> HoursAsked:
        """The hours to look up."""
        until = self.until or (now if self.since is None else max(now, self.since + USUAL_SPAN))
        return HoursAsked(
            since=self.since or until - USUAL_SPAN,
            until=until,
            station=self.station,
            hydrophone=self.hydrophone,
            after=None if self.after is None else place_of(self.after),
            limit=self.limit,
        )


class FleetPage(BaseModel):
    """Rows by hour, station, hydrophone and species."""

    model_config = ConfigDict(frozen=True)

    told: AwareDatetime | None = Field(description="when the newest word of any hydrophone came; null: none ever")
    rows: tuple[FleetRow, ...]
    next_after: str | None = Field(description="`after` of the next page; null: these were all")


class HydrophoneNow(BaseModel):
    """A hydrophone at a glance."""

    model_config = ConfigDict(frozen=True)

    hydrophone: str
    first_hour: AwareDatetime
    last_hour: AwareDatetime
    heard_until: AwareDatetime = Field(description="end of its latest audio that was judged or given up")
    told: AwareDatetime = Field(description="when the latest word of it came, by the brokers' clock")


class StationNow(BaseModel):
    """A station and its hydrophones."""

    model_config = ConfigDict(frozen=True)

    station: str
    hydrophones: tuple[HydrophoneNow, ...]


class FleetApi:
    """What can be asked."""

    def __init__(self, fleet: Hours, *, now: Callable[[], datetime]) -> None:
        self._fleet, self._now = fleet, now

    def router(self) -> APIRouter:
        """The places, described for OpenAPI."""
        router = APIRouter()
        router.get("/healthz", summary="Whether the server answers")(self.alive)
        fleet = router.get(
            "/fleet",
            responses={**REFUSALS, 200: {"content": {"text/csv": {}}}},
            summary="Presence and effort by station, species and UTC hour",
        )
        fleet(self.rows)
        router.get("/fleet/stations", responses=REFUSALS, summary="Stations and how far they have been heard")(
            self.stations
        )
        return router

    async def alive(self) -> Alive:
        """Answer."""
        return Alive()

    async def rows(self, query: Annotated[FleetQuery, Query()]) -> FleetPage:
        """Rows that match; as CSV, all of them."""
        await self._check(query)
        asked = query.asked(self._now())
        if query.format == "csv":
            return self._as_csv(asked, species=query.species)  # type: ignore[return-value]  # as it is, past the model
        told_ms = await self._fleet.told_ms()
        hours = await self._fleet.hours(asked)
        return FleetPage(
            told=None if told_ms is None else _utc(told_ms),
            rows=tuple(rows_of(hours, species=query.species)),
            next_after=after_of(hours[-1]) if len(hours) == asked.limit else None,
        )

    async def stations(self) -> list[StationNow]:
        """All stations ever heard of."""
        self._require_complete()
        known: dict[str, list[HydrophoneNow]] = {}
        for one in await self._fleet.hydrophones():
            known.setdefault(one.station, []).append(
                HydrophoneNow(
                    hydrophone=one.hydrophone,
                    first_hour=one.first_hour,
                    last_hour=one.last_hour,
                    heard_until=one.heard_until,
                    told=_utc(one.told_ms),
                )
            )
        return [StationNow(station=name, hydrophones=tuple(its)) for name, its in known.items()]

    async def _check(self, query: FleetQuery) -> None:
        """Names nobody has are mistakes, not hours without animals."""
        self._require_complete()
        hydrophones = await self._fleet.hydrophones()
        own = [one for one in hydrophones if query.station in (None, one.station)]
        _require("station", query.station, known={one.station for one in hydrophones})
        _require("hydrophone", query.hydrophone, known={one.hydrophone for one in own})
        _require("species", query.species, known=set(await self._fleet.species()))

    def _require_complete(self) -> None:
        if not self._fleet.is_complete:
            raise HTTPException(503, "This worker has not read all hours yet; ask again, or another worker.")

    def _as_csv(self, asked: HoursAsked, *, species: str | None) -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            yield csv_headings()
            page = replace(asked, limit=HOURS_AT_ONCE)
            while hours := await self._fleet.hours(page):
                yield csv_of(rows_of(hours, species=species))
                last = hours[-1]
                page = replace(page, after=(last.hour, last.station, last.hydrophone))

        name = f'attachment; filename="fleet-{asked.since.astimezone(UTC):%Y%m%dT%H%M%SZ}.csv"'
        return StreamingResponse(lines(), media_type="text/csv", headers={"content-disposition": name})


def fleet_app(section: WebSection, fleet: Hours, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> FastAPI:
    """The application that a worker serves.

    Args:
        section: host, by which names are allowed.
        fleet: what to answer from.
        now: the time, aware.
    """
    app = FastAPI(title="Sea Canary · fleet", version=__version__, docs_url=None, redoc_url=None)
    app.include_router(FleetApi(fleet, now=now).router())

    async def on_mistake(_: Request, exc: RequestValidationError) -> Response:
        return JSONResponse({"detail": "; ".join(map(_in_words, exc.errors()))}, 400)

    async def on_trouble(_: Request, exc: FleetStoreError) -> Response:
        return JSONResponse({"detail": f"This worker cannot read its hours: {exc}"}, 503)

    app.exception_handler(RequestValidationError)(on_mistake)
    app.exception_handler(FleetStoreError)(on_trouble)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=section.allowed_hosts, www_redirect=False)
    app.add_middleware(Limits, headers=strict_headers(NO_PAGE))
    return app


@asynccontextmanager
async def serving_fleet(host: str, port: int, fleet: Hours) -> AsyncIterator[str]:
    """Answer on a port meanwhile; gives the URL.

    Raises:
        ConfigError: the port is in use, or the address is not this machine's.
    """
    with listening(host, port, section="worker") as listener:
        server = AppServer(fleet_app(WebSection(host=host, port=port), fleet), listener)
        serving = asyncio.create_task(server.run(), name="fleet")
        try:
            yield server.url
        finally:
            serving.cancel()
            await asyncio.wait({serving})


def after_of(hour: HydrophoneHour) -> str:
    """Name of a place between pages."""
    return SEPARATOR.join((hour.hour.isoformat(), hour.station, hour.hydrophone))


def place_of(after: str) -> tuple[datetime, str, str]:
    """The place that after_of() named.

    Raises:
        ValueError: it is none.
    """
    hour, _, names = after.partition(SEPARATOR)
    station, found, hydrophone = names.partition(SEPARATOR)
    try:
        when = datetime.fromisoformat(hour)
    except ValueError:
        when = None
    if when is None or when.tzinfo is None or when.year not in YEARS or not found:
        raise ValueError("must be next_after of the page before")
    return when, station, hydrophone


def _require(name: str, given: str | None, *, known: set[str]) -> None:
    if given is not None and given not in known:
        there_are = f"known are {', '.join(sorted(known))}" if known else "nothing has been heard of any yet"
        raise HTTPException(400, f"{name}: '{given}' is not known; {there_are}")


def _in_words(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return f"{error['loc'][-1]}: there is no such parameter; there are {', '.join(_PARAMETERS)}"
    where = ".".join(str(part) for part in error["loc"][1:])
    what = error["msg"].removeprefix("Value error, ")
    got = f", got '{error['input']}'" if where and isinstance(error["input"], str) else ""
    return f"{where}: {what}{got}" if where else what


_PARAMETERS = [field.alias or name for name, field in FleetQuery.model_fields.items()]


def _utc(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
