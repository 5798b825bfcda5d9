"""A journal, its web application and a client without a network, for tests of the web server."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from pydantic import SecretStr

from event_samples import event
from seacanary.event_ids import named_by
from seacanary.events import AlertEvent, Event, PresenceEvent, ReviewEvent
from seacanary.evidence.names import PARTS, file_of, stem_of
from seacanary.journal import Journal
from seacanary.metrics import Metrics
from seacanary.web.app import web_app
from seacanary.web.event_reading import EventReading
from seacanary.web.evidence_files import EvidenceFiles
from seacanary.web.review_links import ReviewLinks
from seacanary.web.reviews import Reviews
from seacanary.web.section import WebSection

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
SECRET = SecretStr("a key for tests only")
PUBLIC_URL = "http://canary.test/north"


def alert_of(*events: PresenceEvent, station: str = "station", at: datetime = NOW) -> AlertEvent:
    """The alert that a rule made of these."""
    return AlertEvent(
        id=named_by(station, "any-beluga", *(str(e.id) for e in events)),
        station=station,
        rule="any-beluga",
        notice="heard",
        species="beluga",
        hydrophones=("north",),
        at=at,
        events=tuple(e.id for e in events),
        events_count=len(events),
        text="A beluga is heard at north.",
    )


def with_evidence(onset_sample: int, folder: Path) -> PresenceEvent:
    """An event whose evidence lies in a folder: each file holds its own name."""
    bare = event(onset_sample)
    stem = stem_of(bare)
    for part in PARTS:
        path = folder / file_of(stem, part)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())
    return bare.model_copy(update={"evidence": stem})


@dataclass
class WebStation:
    """What a test holds: the journal that the application reads, and a browser of sorts."""

    journal: Journal
    links: ReviewLinks
    client: httpx.AsyncClient
    evidence: Path
    clock: list[datetime]
    metrics: Metrics = field(default_factory=Metrics)
    failure: list[Exception] = field(default_factory=list)

    def link(self, alert: AlertEvent, name: str = "confirm") -> str:
        """Path of a link, as seen on this machine."""
        return self.links.links(alert)[name].removeprefix(PUBLIC_URL)

    async def reviews(self) -> list[ReviewEvent]:
        """Reviews in the journal."""
        return [entry.event async for entry in self.journal.entries() if isinstance(entry.event, ReviewEvent)]

    async def tell(self, events: Sequence[Event]) -> None:
        """Store, or fail as the test wants."""
        if self.failure:
            raise self.failure[0]
        await self.journal.append(events)

    def tick(self) -> datetime:
        """A clock that never gives the same time twice."""
        self.clock[0] += timedelta(milliseconds=1)
        return self.clock[0]


@asynccontextmanager
async def web_station(folder: Path, *, section: WebSection | None = None) -> AsyncIterator[WebStation]:
    """A journal at FOLDER/journal.db and the application over it."""
    section = section or WebSection(public_url=PUBLIC_URL)
    path, evidence = folder / "journal.db", folder / "evidence"
    evidence.mkdir()
    links = ReviewLinks(section.public_url, SECRET)
    async with await Journal.open(path) as journal, EventReading.over(path) as events:
        client = httpx.AsyncClient(base_url="http://localhost:8320")
        station = WebStation(journal, links, client, evidence, [NOW])
        reviews = Reviews(
            "station", links=links, events=events, tell=station.tell, metrics=station.metrics, now=station.tick
        )
        app = web_app(section, station="station", events=events, reviews=reviews, evidence=EvidenceFiles(evidence))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8320") as station.client:
            yield station
        await reviews.aclose()
