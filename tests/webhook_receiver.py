"""A real HTTP server that takes webhooks, well or badly."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from standardwebhooks import Webhook as Verifier

SECRET = "whsec_" + "c2VhLWNhbmFyeS10ZXN0LXNlY3JldC0zMi1ieXRlcyE="
OTHER_SECRET = "whsec_" + "YW5vdGhlci1zZWNyZXQtb2YtMzItYnl0ZXMtZm9yLW5vdw=="


@dataclass(frozen=True)
class Received:
    """A request as it came.

    Attributes:
        path: of the URL.
        headers: with lower-case names.
        body: as sent.
        at_s: when, on the monotonic clock.
    """

    path: str
    headers: dict[str, str]
    body: bytes
    at_s: float

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str = SECRET) -> Any:
        """The body as JSON, if a signature with this secret holds."""
        return Verifier(secret).verify(self.body, self.headers)


@dataclass(frozen=True)
class Reply:
    """How to answer.

    Attributes:
        status: HTTP status; None: close the connection without a word.
        headers: of the answer.
        body: of the answer.
        after_s: how long to wait before it.
        cut: whether to close the connection half way through the body.
    """

    status: int | None = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    after_s: float = 0.0
    cut: bool = False


def always(reply: Reply) -> Callable[[Received], Reply]:
    return lambda _: reply


class Receiver:
    """Takes requests in threads of its own while it is entered; can be started again on the same port."""

    def __init__(self, behave: Callable[[Received], Reply] = lambda _: Reply(), *, tls: Path | None = None) -> None:
        """Answer as `behave` says; `tls` is a file with key and certificate."""
        self.behave, self._tls = behave, tls
        self.received: list[Received] = []
        self.taken: list[Received] = []  # those answered with 2xx, to the end
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/hook"

    def __enter__(self) -> Self:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver._answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                return

        self._server = _Server(("127.0.0.1", self.port), Handler)
        if self._tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(self._tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["content-length"]))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = Received(handler.path, headers, body, time.monotonic())
        self.received.append(request)
        reply = self.behave(request)
        time.sleep(reply.after_s)
        handler.close_connection = reply.cut or reply.status is None
        if reply.status is None:
            return
        if 200 <= reply.status < 300 and not reply.cut:
            self.taken.append(request)
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        if reply.status != 204:
            handler.send_header("Content-Length", str(len(reply.body) + 100 * reply.cut))
        handler.end_headers()
        handler.wfile.write(reply.body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, *arguments: Any) -> None:
        self._open = set[socket.socket]()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """A connection kept alive would be served on by its thread: who is down answers nobody."""
        for connection in tuple(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is part of the tests."""
