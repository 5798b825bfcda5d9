"""Real Prometheus and Alertmanager on free loopback ports, from deploy/'s files, for tests."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from redis_server import free_port

DEPLOY = Path(__file__).parents[1] / "deploy"


def until(true: Callable[[], bool], what: str, *, within_s: float) -> None:
    """Wait for something to become true; a connection refused is not yet true."""
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        with suppress(OSError):
            if true():
                return
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {within_s} s")


def fetch(url: str, body: object | None = None) -> Any:
    """GET, or POST of JSON; the answer parsed, None if it has no body."""
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, content, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def answers(url: str) -> bool:
    """Whether a page is there."""
    with urllib.request.urlopen(url, timeout=2) as answer:
        return answer.status == 200


@dataclass
class Receiver:
    """A webhook: what it was sent."""

    url: str
    messages: list[dict[str, Any]] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)

    def alerts(self, name: str) -> list[dict[str, Any]]:
        """Messages that hold an alert of this name."""
        return [m for m in self.messages if any(a["labels"]["alertname"] == name for a in m["alerts"])]


@contextmanager
def webhook_receiver() -> Iterator[Receiver]:
    """Listen for Alertmanager's messages."""
    receiver = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.tokens.append(self.headers["Authorization"])
            receiver.messages.append(json.loads(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}/alerts?to=people&q='%20'"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def alertmanager(folder: Path, receiver: Receiver, *, token: str) -> Iterator[str]:
    """Alertmanager by deploy/alertmanager/start.sh; yields its address, http://HOST:PORT."""
    secrets = folder / "secrets"
    secrets.mkdir(parents=True)
    (secrets / "webhook_url").write_text(receiver.url + "\n")
    (secrets / "webhook_token").write_text(token)
    listen = f"127.0.0.1:{free_port()}"
    environment = {"ALERTMANAGER_SECRETS": str(secrets), "ALERTMANAGER_LISTEN": listen}
    command = [str(DEPLOY / "alertmanager" / "start.sh"), str(folder / "state")]
    with _process(command, folder / "alertmanager.log", environment):
        until(lambda: answers(f"http://{listen}/-/ready"), "Alertmanager ready", within_s=20)
        yield f"http://{listen}"


@contextmanager
def prometheus(folder: Path, stations: Mapping[str, int], alertmanagers: str = "") -> Iterator[str]:
    """Prometheus on deploy/prometheus with targets/ written anew.

    Args:
        folder: for its configuration, data and log.
        stations: metrics port by station.
        alertmanagers: HOST:PORT to send alerts to; "" for none.

    Yields:
        Its address, http://HOST:PORT.
    """
    listen = f"127.0.0.1:{free_port()}"
    copy = folder / "prometheus"
    shutil.copytree(DEPLOY / "prometheus", copy, ignore=shutil.ignore_patterns("targets*", "tests"))
    targets: dict[str, list[dict[str, object]]] = {
        "stations": [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"station": name}} for name, port in stations.items()
        ],
        "alertmanagers": [{"targets": [alertmanagers]}] if alertmanagers else [],
        "monitoring": [{"targets": [listen], "labels": {"job": "prometheus"}}],
    }
    (copy / "targets").mkdir()
    for name, groups in targets.items():
        (copy / "targets" / f"{name}.yml").write_text(yaml.safe_dump(groups))
    command = ["prometheus", f"--config.file={copy / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    # An alert that fires before Alertmanager is discovered is otherwise sent again only after a minute.
    options = [f"--web.listen-address={listen}", "--rules.alert.resend-delay=5s"]
    with _process([*command, *options], folder / "prometheus.log", {}):
        until(lambda: answers(f"http://{listen}/-/ready"), "Prometheus ready", within_s=20)
        yield f"http://{listen}"


@contextmanager
def _process(command: list[str], log: Path, environment: Mapping[str, str]) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **environment})
        try:
            yield
        except AssertionError as failure:
            failure.add_note(log.read_text(errors="replace")[-3000:])
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
