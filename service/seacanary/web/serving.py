"""AppServer: an application on a port, inside a loop that is there already."""

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EADDRINUSE

import uvicorn
from fastapi import FastAPI

from seacanary.errors import ConfigError

# A few people and a dashboard; more wait no longer than to be told so.
MOST_CONNECTIONS = 64
LAST_ANSWERS_S = 2


class _Server(uvicorn.Server):
    """Leaves signals to the process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class AppServer:
    """Serves until cancelled.

    Attributes:
        url: where it listens, with the port really taken.
    """

    def __init__(self, app: FastAPI, listener: socket.socket) -> None:
        self._server, self._listener = _Server(_settings(app)), listener
        host, port = listener.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def run(self) -> None:
        """Serve until cancelled; answers under way get a moment to end."""
        serving = asyncio.ensure_future(self._server.serve(sockets=[self._listener]))
        try:
            await asyncio.shield(serving)
        finally:
            self._server.should_exit = True
            await serving


@contextmanager
def listening(host: str, port: int, *, section: str) -> Iterator[socket.socket]:
    """Take a port; release it at the end.

    Args:
        host: address to listen on.
        port: TCP port; 0 takes a free one.
        section: of the configuration that has both, for the error.

    Raises:
        ConfigError: the port is in use, or the address is not this machine's.
    """
    try:
        [(family, kind, protocol, _, address), *_] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listener = socket.socket(family, kind, protocol)
    except OSError as exc:
        raise ConfigError(_cannot(host, port, section, exc)) from exc
    with listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()
        except OSError as exc:
            error = ConfigError(_cannot(host, port, section, exc))
            error.may_pass = exc.errno == EADDRINUSE  # whoever has it may give it back
            raise error from exc
        listener.setblocking(False)
        yield listener


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


def _cannot(host: str, port: int, section: str, exc: OSError) -> str:
    in_use = exc.errno == errno.EADDRINUSE
    remedy = f"choose another {section}.port" if in_use else f"choose another {section}.host or {section}.port"
    return f"{section}: cannot listen on {host}:{port}: {exc.strerror or exc}; {remedy}"
