"""A webhook receiver that writes down all it is sent, on disk, before it answers; well, badly, slowly."""

import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from standardwebhooks import Webhook as Verifier

from webhook_receiver import SECRET, Received, Receiver, Reply

SLOW_S = 2.0


@dataclass(frozen=True, slots=True)
class Receipt:
    """A request as it was written down.

    Attributes:
        id: of the event.
        body_sha256: of what was sent.
        status: what was answered.
        at_s: when, on the monotonic clock.
    """

    id: str
    body_sha256: str
    status: int
    at_s: float


def is_signed(request: Received) -> bool:
    """Whether the signature holds for the time that the sender names: its clock is not ours."""
    sent_at = datetime.fromtimestamp(int(request.headers["webhook-timestamp"]), UTC)
    right = Verifier(SECRET).sign(request.id, sent_at, request.body.decode())
    return right in request.headers["webhook-signature"].split(" ")


class Receipts:
    """Behaves as it is told, and keeps the book.

    Attributes:
        receiver: the server.
        mode: how it answers.
        unsigned: requests whose signature did not hold.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._book = path.open("a", encoding="utf-8")
        self.receiver = Receiver(self._answer)
        self.mode = "well"
        self.unsigned = 0

    def read(self) -> Iterator[Receipt]:
        """All that was written down, in order."""
        with self._path.open(encoding="utf-8") as book:
            for line in book:
                yield Receipt(**json.loads(line))

    def close(self) -> None:
        """Nothing comes any more."""
        self._book.close()

    def _answer(self, request: Received) -> Reply:
        reply = {
            "well": Reply(),
            "500": Reply(status=500),
            "slow": Reply(after_s=SLOW_S),
        }[self.mode]
        self.unsigned += not is_signed(request)
        self._write(
            {
                "id": request.id,
                "body_sha256": sha256(request.body).hexdigest(),
                "status": reply.status,
                "at_s": request.at_s,
            }
        )
        self.receiver.received.clear()  # the book has it
        self.receiver.taken.clear()
        return reply

    def _write(self, line: Mapping[str, object]) -> None:
        with self._lock:
            self._book.write(json.dumps(line) + "\n")
            self._book.flush()
            os.fsync(self._book.fileno())
