"""The web server: takes its port at once or says why not, stops when told, and leaves the process alone."""

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from event_samples import event
from seacanary.errors import ConfigError
from seacanary.journal import Journal
from seacanary.metrics import Metrics
from seacanary.web.review_links import ReviewLinks
from seacanary.web.section import WebSection
from seacanary.web.server import WebServer
from web_samples import SECRET

ANY_PORT = WebSection(port=0)


def has_ipv6() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


@asynccontextmanager
async def opened(folder: Path, section: WebSection = ANY_PORT) -> AsyncIterator[tuple[WebServer, Journal]]:
    path = folder / "journal.db"
    async with (
        await Journal.open(path) as journal,
        WebServer.open(
            section,
            station="station",
            journal=path,
            links=ReviewLinks(section.public_url, SECRET),
            evidence=None,
            tell=journal.append,
            metrics=Metrics(),
        ) as server,
    ):
        yield server, journal


async def stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)


async def test_it_serves_until_cancelled_and_can_begin_again_on_the_same_port(tmp_path: Path) -> None:
    section = ANY_PORT
    for onset in (1, 2):
        async with opened(tmp_path, section) as (server, journal):
            await journal.append([event(onset)])
            running = asyncio.create_task(server.run())
            async with httpx.AsyncClient(base_url=server.url) as client:
                events = (await client.get("/api/events")).json()["events"]
                assert len(events) == onset
                await stopped(running)
            section = WebSection(port=int(server.url.rpartition(":")[2]))
            async with httpx.AsyncClient(base_url=server.url) as client:
                with pytest.raises(httpx.ConnectError):
                    await client.get("/healthz")


async def test_a_port_in_use_stops_the_start_and_says_what_to_do(tmp_path: Path) -> None:
    async with opened(tmp_path) as (server, _):
        port = int(server.url.rpartition(":")[2])
        (tmp_path / "other").mkdir()
        with pytest.raises(ConfigError, match=rf"127\.0\.0\.1:{port}.*choose another web\.port"):
            async with opened(tmp_path / "other", WebSection(port=port)):
                pass


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_a_foreign_address_stops_the_start(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigError, match=r"web\.host"):
        async with opened(tmp_path, WebSection(host=host, port=0)):
            pass


async def test_signals_and_logging_stay_as_they_were(tmp_path: Path) -> None:
    def arrangement() -> list[object]:
        root = logging.getLogger()
        return [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), root.level, tuple(root.handlers)]

    before = arrangement()
    async with opened(tmp_path) as (server, _):
        running = asyncio.create_task(server.run())
        async with httpx.AsyncClient(base_url=server.url) as client:
            assert (await client.get("/healthz")).status_code == 200
        assert arrangement() == before
        await stopped(running)
    assert arrangement() == before


async def test_it_stops_though_a_client_never_finishes_its_request(tmp_path: Path) -> None:
    async with opened(tmp_path) as (server, _):
        running = asyncio.create_task(server.run())
        port = int(server.url.rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        async with httpx.AsyncClient(base_url=server.url) as client:
            assert (await client.get("/healthz")).status_code == 200
        await stopped(running)
        writer.close()


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
async def test_it_listens_on_ipv6_where_asked(tmp_path: Path) -> None:
    async with opened(tmp_path, WebSection(host="::1", port=0)) as (server, _):
        running = asyncio.create_task(server.run())
        assert server.url.startswith("http://[::1]:")
        async with httpx.AsyncClient(base_url=server.url) as client:
            assert (await client.get("/healthz")).status_code == 200
        await stopped(running)
