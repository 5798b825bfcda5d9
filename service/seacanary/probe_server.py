"""The HTTP side of a process for machines: /metrics for Prometheus, /healthz, /readyz and /health for probes.

On threads of its own: it answers while the loop hangs, and that is when it matters.
"""

import json
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

from seacanary.health import Health

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

# A client that connects and says nothing is let go after this.
SILENT_CLIENT_S = 10.0

METRICS, ALIVE, READY, DETAILS = "/metrics", "/healthz", "/readyz", "/health"


class ProbeServer(ThreadingMixIn, WSGIServer):
    """Answers until close(); a thread for each request, none of which holds up the end of the process."""

    daemon_threads = True

    def __init__(self, host: str, port: int, app: "WSGIApplication") -> None:
        """Listen, and answer from now on.

        Raises:
            OSError: the port is in use or the address is not this machine's.
        """
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family, _, _, _, address = infos[0]
        super().__init__((str(address[0]), port), _Handler)
        self.set_app(app)
        threading.Thread(target=self.serve_forever, name="probes", daemon=True).start()

    def server_bind(self) -> None:
        """Bind without asking a name server for our own name, as the base class would."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def close(self) -> None:
        """Stop listening."""
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client went away in the middle of its answer."""


class _Handler(WSGIRequestHandler):
    timeout = SILENT_CLIENT_S

    def log_message(self, *_: object) -> None:
        """Nothing: probes come every few seconds."""


def probes_app(registry: CollectorRegistry, read: Callable[[], Health] | None) -> "WSGIApplication":
    """The WSGI application.

    Args:
        registry: what /metrics shows.
        read: what is known of the process now; called on any thread. None: nobody knows, and probes are not answered.
    """
    metrics = make_wsgi_app(registry)
    paths = [METRICS] if read is None else [METRICS, ALIVE, READY, DETAILS]

    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path, method = environ.get("PATH_INFO", ""), environ.get("REQUEST_METHOD", "GET")
        if method not in ("GET", "HEAD"):
            return _answer(start_response, "405 Method Not Allowed", {"allowed": ["GET", "HEAD"]})
        if path == METRICS:
            page: Iterable[bytes] = metrics(environ, start_response)
            return page
        if read is None or path not in paths:
            return _answer(start_response, "404 Not Found", {"paths": paths})
        status, said = _probed(path, read())
        return _answer(start_response, status, said if method == "GET" else None)

    return app


def _probed(path: str, health: Health) -> tuple[str, Mapping[str, object]]:
    if path == DETAILS:
        return "200 OK", health.as_json()
    well, reasons = (
        (health.is_alive, health.failing) if path == ALIVE else (health.is_ready, health.failing + health.unready)
    )
    return ("200 OK" if well else "503 Service Unavailable"), {"ok": well, "reasons": list(reasons)}


def _answer(start_response: "StartResponse", status: str, said: Mapping[str, object] | None) -> Iterable[bytes]:
    body = b"" if said is None else json.dumps(said).encode() + b"\n"
    headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("Content-Length", str(len(body)))]
    start_response(status, headers)
    return [body]
