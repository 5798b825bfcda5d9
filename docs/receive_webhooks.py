"""A receiver of Sea Canary's webhooks: verify, remember, act, answer.

pip install standardwebhooks; WEBHOOK_SECRET=whsec_... python receive_webhooks.py
"""

import logging
import os
import sqlite3
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

LARGEST_BYTES = 1 << 20
# An animal that is there has been heard within presence.rule.update_s (15 min) and some minutes of delivery.
RECENT = timedelta(minutes=20)


class Inbox:
    """Takes each event once, however often it is delivered."""

    def __init__(self, secret: str, path: Path, act: Callable[[dict[str, Any]], None]) -> None:
        """`act` is called with each new event; if it raises, the event is delivered again."""
        self._verifier, self._act = Webhook(secret), act
        self._seen = sqlite3.connect(path)
        self._seen.execute("CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY)")

    def take(self, body: bytes, headers: Mapping[str, str]) -> int:
        """Return the HTTP status to answer with. `body` must be the bytes as they came, not parsed and written anew."""
        try:
            event = self._verifier.verify(body, dict(headers))
        except (WebhookVerificationError, ValueError):
            return 401
        with self._seen:  # one transaction: remembered only if act() went well
            new = self._seen.execute("INSERT OR IGNORE INTO seen VALUES (?)", (event["id"],)).rowcount
            if new:
                self._act(event)
        return 204


def slow_ships_down(event: dict[str, Any]) -> None:
    """What this receiver is for: put your own action here, and keep it short."""
    if event["type"] == "org.seacanary.alert.heard.v1" and is_recent(event):
        logging.warning("slow down: %s", event["data"]["text"])


def is_recent(event: dict[str, Any]) -> bool:
    """Whether the last call was a short while ago: some alerts come hours after it."""
    return datetime.now(UTC) - datetime.fromisoformat(event["data"]["offset"]) < RECENT


def handler(inbox: Inbox) -> type[BaseHTTPRequestHandler]:
    """HTTP around an inbox."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", "0"))
            status = inbox.take(self.rfile.read(length), self.headers) if length <= LARGEST_BYTES else 413
            self.send_response(status)
            self.end_headers()

    return Handler


if __name__ == "__main__":
    inbox = Inbox(os.environ["WEBHOOK_SECRET"], Path("seen.db"), slow_ships_down)
    HTTPServer(("127.0.0.1", 8000), handler(inbox)).serve_forever()
