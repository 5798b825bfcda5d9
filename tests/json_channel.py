"""A real HTTP receiver for Apprise's json:// channel, on a free loopback port, for tests."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class JsonChannel:
    """Keeps what it is sent; `status` is what it answers, `delay_s` how long that takes."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.status = 200
        self.delay_s = 0.0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._answer))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def url(self) -> str:
        return f"json://user:hunter22@127.0.0.1:{self._server.server_port}/hook-t0ken"

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.messages]

    def _answer(self, path: str, body: bytes) -> int:
        self.paths.append(path)
        time.sleep(self.delay_s)
        if self.status == 200:
            self.messages.append(json.loads(body))
        return self.status

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(answer: Callable[[str, bytes], int]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(answer(self.path, body))
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            return

    return Handler
