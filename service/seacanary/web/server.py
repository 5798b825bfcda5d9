"""WebServer: the web application on a port, inside the station's loop."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from seacanary.errors import ConfigError
from seacanary.events import Event
from seacanary.evidence.recent_audio import RecentAudio
from seacanary.metrics import Metrics
from seacanary.web.app import web_app
from seacanary.web.event_reading import EventReading
from seacanary.web.evidence_files import EvidenceFiles
from seacanary.web.review_links import ReviewLinks
from seacanary.web.reviews import Reviews
from seacanary.web.section import WebSection

# A few people and a dashboard; more wait no longer than to be told so.
MOST_CONNECTIONS = 64
LAST_ANSWERS_S = 2


class _Server(uvicorn.Server):
    """Leaves signals to the station."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class WebServer:
    """Serves until cancelled. Get one with `async with WebServer.open(...)`, then `run()`.

    Attributes:
        url: where it listens, with the port really taken.
    """

    def __init__(self, server: uvicorn.Server, listener: socket.socket) -> None:
        self._server, self._listener = server, listener
        host, port = listener.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

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
        with _listener(section) as listener:
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
                yield cls(_Server(_settings(app)), listener)

    async def run(self) -> None:
        """Serve until cancelled; answers under way get a moment to end."""
        serving = asyncio.ensure_future(self._server.serve(sockets=[self._listener]))
        try:
            await asyncio.shield(serving)
        finally:
            self._server.should_exit = True
            await serving


def _settings(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,  # a link's address is its key
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=LAST_ANSWERS_S,
    )


@contextmanager
def _listener(section: WebSection) -> Iterator[socket.socket]:
    try:
        [(family, kind, protocol, _, address), *_] = socket.getaddrinfo(
            section.host, section.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listener = socket.socket(family, kind, protocol)
    except OSError as exc:
        raise _cannot(section, exc) from exc
    with listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()
        except OSError as exc:
            raise _cannot(section, exc) from exc
        listener.setblocking(False)
        yield listener


def _cannot(section: WebSection, exc: OSError) -> ConfigError:
    remedy = "choose another web.port" if exc.errno == errno.EADDRINUSE else "choose another web.host or web.port"
    return ConfigError(f"web: cannot listen on {section.host}:{section.port}: {exc.strerror or exc}; {remedy}")
