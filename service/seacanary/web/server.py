"""WebServer: the web application on a port, inside the station's loop."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from seacanary.events import Event
from seacanary.evidence.recent_audio import RecentAudio
from seacanary.metrics import Metrics
from seacanary.web.app import web_app
from seacanary.web.event_reading import EventReading
from seacanary.web.evidence_files import EvidenceFiles
from seacanary.web.review_links import ReviewLinks
from seacanary.web.reviews import Reviews
from seacanary.web.section import WebSection
from seacanary.web.serving import AppServer, listening


class WebServer(AppServer):
    """A station's pages and API. Get one with `async with WebServer.open(...)`, then `run()`."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        section: WebSection,
        *,
        station: str,
        journal: Path,
        links: ReviewLinks | None,
        evidence: Path | None,
        audio: RecentAudio | None = None,
        tell: Callable[[Sequence[Event]], Awaitable[None]],
        metrics: Metrics,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> "AsyncIterator[WebServer]":
        """Take the port; release it and the journal at the end.

        Args:
            section: where to listen.
            station: its name.
            journal: path of the journal, which exists; only read.
            links: signs and checks the links of reviews; None: nobody answers here.
            evidence: folder of clips and pictures; None: none are kept.
            audio: of the last minutes; None: none is kept.
            tell: stores events; returns once they are in the journal.
            metrics: what to count on.
            now: the time, aware.

        Raises:
            ConfigError: the port is in use, or the address is not this machine's.
        """
        with listening(section.host, section.port, section="web") as listener:
            async with AsyncExitStack() as opened:
                events = await opened.enter_async_context(EventReading.over(journal))
                reviews = None
                if links is not None:
                    reviews = Reviews(station, links=links, events=events, tell=tell, metrics=metrics, now=now)
                    opened.push_async_callback(reviews.aclose)
                app = web_app(
                    section,
                    station=station,
                    events=events,
                    evidence=EvidenceFiles(evidence),
                    audio=audio,
                    reviews=reviews,
                )
                yield cls(app, listener)
