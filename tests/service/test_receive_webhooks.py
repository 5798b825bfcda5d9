"""The receiver in docs/receiving-webhooks.md, against the real sender."""

import importlib.util
import json
import threading
from collections.abc import Iterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from http.server import HTTPServer
from pathlib import Path
from time import time
from types import ModuleType
from typing import Any

import pytest

from documents import ROOT
from event_samples import entry
from seacanary.errors import DeliveryRejected, DeliveryRetryable
from seacanary.publishers.webhook import Webhook
from seacanary.publishers.webhook_section import WebhookSection
from webhook_receiver import OTHER_SECRET, SECRET


@pytest.fixture(scope="module")
def receive_webhooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("receive_webhooks", ROOT / "docs" / "receive_webhooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Acting:
    """What the receiver does with events: keeps them, or fails as often as it is told to."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.failures = 0

    def __call__(self, event: dict[str, Any]) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the database is away")
        self.events.append(event)


@pytest.fixture
def acting() -> Acting:
    return Acting()


@pytest.fixture
def url(receive_webhooks: ModuleType, acting: Acting, tmp_path: Path) -> Iterator[str]:
    """Where it listens."""
    ready = threading.Event()
    servers: list[HTTPServer] = []

    def serve() -> None:
        inbox = receive_webhooks.Inbox(SECRET, tmp_path / "seen.db", acting)
        servers.append(HTTPServer(("127.0.0.1", 0), receive_webhooks.handler(inbox)))
        servers[0].handle_error = lambda *_: None  # type: ignore[method-assign]  # its traceback is no failure here
        ready.set()
        servers[0].serve_forever(poll_interval=0.02)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert ready.wait(5)
    yield f"http://127.0.0.1:{servers[0].server_port}/"
    servers[0].shutdown()
    servers[0].server_close()
    thread.join(5)


async def send(url: str, *numbers: int, secret: str = SECRET) -> None:
    section = WebhookSection.model_validate(
        {"url": url, "secret": secret, "allow_private_networks": ["127.0.0.0/8"], "events": ["presence"]}
    )
    async with aclosing(Webhook(section)) as webhook:
        await webhook.publish([entry(number) for number in numbers])


async def test_it_takes_each_event_once(url: str, acting: Acting) -> None:
    await send(url, 1, 2)
    await send(url, 2, 1)
    assert [event["id"] for event in acting.events] == [str(entry(n).event.id) for n in (1, 2)]


async def test_it_refuses_what_another_has_signed(url: str, acting: Acting) -> None:
    with pytest.raises(DeliveryRejected, match="401"):
        await send(url, 1, secret=OTHER_SECRET)
    assert acting.events == []


async def test_it_takes_what_is_signed_with_its_secret_and_a_new_one(url: str, acting: Acting) -> None:
    await send(url, 1, secret=f"{OTHER_SECRET} {SECRET}")
    assert len(acting.events) == 1


async def test_what_it_could_not_act_on_comes_again(url: str, acting: Acting) -> None:
    acting.failures = 1
    with pytest.raises(DeliveryRetryable):
        await send(url, 1)
    await send(url, 1)
    assert [event["id"] for event in acting.events] == [str(entry(1).event.id)]


@pytest.mark.parametrize(
    "headers",
    [{}, {"webhook-id": "1", "webhook-timestamp": "soon", "webhook-signature": "v1,x"}],
    ids=["unsigned", "garbled"],
)
def test_it_refuses_what_is_no_webhook(
    receive_webhooks: ModuleType, acting: Acting, tmp_path: Path, headers: dict[str, str]
) -> None:
    inbox = receive_webhooks.Inbox(SECRET, tmp_path / "seen.db", acting)
    assert inbox.take(json.dumps({"id": "1"}).encode(), headers) == 401


def test_a_signature_that_is_garbage_is_refused_and_no_error(
    receive_webhooks: ModuleType, acting: Acting, tmp_path: Path
) -> None:
    inbox = receive_webhooks.Inbox(SECRET, tmp_path / "seen.db", acting)
    headers = {"webhook-id": "1", "webhook-timestamp": str(int(time())), "webhook-signature": "nonsense v1,***"}
    assert inbox.take(b"{}", headers) == 401


@pytest.mark.parametrize(
    ("notice", "age_s", "slowed"),
    [("heard", 2, True), ("heard", 950, True), ("heard", 3600, False), ("gone", 2, False)],
)
def test_ships_are_slowed_down_for_an_animal_heard_a_short_while_ago_alone(
    receive_webhooks: ModuleType, caplog: pytest.LogCaptureFixture, notice: str, age_s: float, *, slowed: bool
) -> None:
    offset = datetime.now(UTC) - timedelta(seconds=age_s)
    data = {"offset": offset.isoformat().replace("+00:00", "Z"), "text": "beluga heard"}
    receive_webhooks.slow_ships_down({"type": f"org.seacanary.alert.{notice}.v1", "data": data})
    assert ("slow down: beluga heard" in caplog.text) == slowed
