"""Fill the examples of the documents from a real run of a simulated station: `python docs/draw_examples.py`.

For two minutes a station listens to simulated calls and posts all its events to a receiver. The first
message of each type becomes the example in docs/receiving-webhooks.md; the picture of one event becomes
docs/images/evidence.png. Keys and links in them are of that run, and open nothing.
"""

import asyncio
import base64
import json
import re
import secrets
import shutil
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from receive_webhooks import Inbox, handler

from seacanary.config import StationConfig, parse_config
from seacanary.detection import Detector
from seacanary.metrics import Metrics
from seacanary.station import Station

HERE = Path(__file__).parent
PICTURE, PAGE = HERE / "images" / "evidence.png", HERE / "receiving-webhooks.md"
RUN_S, REVIEW_AFTER_S = 130, 40
WEB_PORT = 8329
RECEIVER = HERE / "receive_webhooks.py"
SNIPPET = re.compile(r"^```python\n.*?^```$", re.DOTALL | re.MULTILINE)
EXAMPLE = re.compile(r"^### (org\.seacanary\.\S+)$(.*?)^```json\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def station_of(folder: Path, *, port: int, secret: str) -> StationConfig:
    """A station whose simulated sea brings every type of event within two minutes."""
    silent = {"bouts_per_min": 0}
    belugas = {
        "whistle": {"bouts_per_min": 20, "calls_per_bout": [3, 6], "snr_db": [18, 26]},
        "beluga_click": {"bouts_per_min": 6, "snr_db": [20, 30]},
        "porpoise_click": silent,
    }
    porpoises = {"whistle": silent, "beluga_click": silent, "porpoise_click": {"bouts_per_min": 6, "snr_db": [25, 35]}}
    tree: dict[str, object] = {
        "station": {"name": "pier-7", "latitude": 48.14, "longitude": -69.72},
        "sources": [
            {"kind": "simulated", "hydrophones": ["simulated-north"], "scene": {"seed": 11, **belugas}},
            {
                "kind": "simulated",
                "hydrophones": ["simulated-south"],
                "scene": {"seed": 12, **porpoises, "recorder": {"hum_dbfs": -40}},
            },
        ],
        "supervision": {"stall_s": 60},
        "presence": {"rule": {"hold_s": 6, "update_s": 25}},
        "journal": {"path": str(folder / "journal.db")},
        "publishers": [
            {
                "kind": "webhook",
                "url": f"http://127.0.0.1:{port}/",
                "secret": secret,
                "allow_private_networks": ["127.0.0.0/8"],
                "events": ["presence", "alerts", "reviews", "conditions"],
            }
        ],
        "alerts": {
            "rules": [
                {"name": "ship-slowdown", "species": ["beluga"], "still_here_s": 60},
                {"name": "porpoises", "species": ["porpoise"], "rate_limit": {"messages": 6, "per_s": 20}},
            ]
        },
        "evidence": {"path": str(folder / "evidence")},
        "web": {"port": WEB_PORT, "public_url": "https://canary.example.org/pier-7"},
        "metrics": {"enabled": False},
    }
    return parse_config(tree, where="examples")


async def messages_of(folder: Path) -> list[dict[str, Any]]:
    """Run the station; what its receiver took, in order."""
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    taken: list[dict[str, Any]] = []
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    inbox = partial(Inbox, secret, folder / "seen.db", taken.append)
    threading.Thread(target=_serve, args=(server, inbox), daemon=True).start()
    config = station_of(folder, port=server.server_port, secret=secret)
    station = Station(config, detector=Detector.load(config.model), metrics=Metrics())
    running = asyncio.create_task(station.run())
    await asyncio.sleep(REVIEW_AFTER_S)
    await asyncio.to_thread(_confirm, next(m for m in taken if "confirmurl" in m))
    await asyncio.sleep(RUN_S - REVIEW_AFTER_S)
    station.stop()
    await running
    server.shutdown()
    return taken


def _serve(server: HTTPServer, inbox: Callable[[], Inbox]) -> None:
    """Take webhooks; the inbox is opened by the thread that uses it, as SQLite asks."""
    server.RequestHandlerClass = handler(inbox())
    server.serve_forever()


def _confirm(alert: Mapping[str, Any]) -> None:
    """Answer an alert's link as a program would."""
    word = {"reviewer": "Ada Keeper", "note": "clear whistles", "token": alert["confirmurl"].rpartition("/")[2]}
    request = urllib.request.Request(
        f"http://127.0.0.1:{WEB_PORT}/api/events/{alert['data']['events'][0]}/review",
        data=json.dumps(word).encode(),
        headers={"content-type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=20).close()


def filled_in(page: str, messages: list[dict[str, Any]]) -> str:
    """The page with the receiver as it is, and each type's example replaced by the first message of it."""
    first: dict[str, dict[str, Any]] = {}
    for message in messages:
        first.setdefault(message["type"], message)

    def example(match: re.Match[str]) -> str:
        return f"### {match[1]}{match[2]}```json\n{json.dumps(first[match[1]], indent=2, ensure_ascii=False)}\n```"

    page = SNIPPET.sub(lambda _: f"```python\n{RECEIVER.read_text(encoding='utf-8')}```", page)
    return EXAMPLE.sub(lambda match: example(match) if match[1] in first else match[0], page)


def picture_of(folder: Path, messages: list[dict[str, Any]]) -> Path:
    """The picture of the first beluga."""
    started = (m["data"] for m in messages if m["type"] == "org.seacanary.presence.started.v1")
    event = next(event for event in started if event["species"] == "beluga")
    return folder / "evidence" / f"{event['evidence']}.png"


def main(folder: Path) -> None:
    """Run once; write page and picture."""
    messages = asyncio.run(messages_of(folder))
    shutil.copyfile(picture_of(folder, messages), PICTURE)
    PAGE.write_text(filled_in(PAGE.read_text(encoding="utf-8"), messages), encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(folder))
