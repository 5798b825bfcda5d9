"""Webhook: what a receiver gets, what its answers mean, and that nothing secret gets out."""

import asyncio
import ipaddress
import json
import logging
import re
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from uuid import UUID

import pytest
from standardwebhooks import WebhookVerificationError

from event_samples import entry
from seacanary.errors import ConfigError, DeliveryError, DeliveryRejected, DeliveryRetryable
from seacanary.events import AlertEvent, CloudEvent, JournalEntry
from seacanary.publishers import Selective
from seacanary.publishers.targets import Address
from seacanary.publishers.webhook import Webhook, retry_after_s
from seacanary.publishers.webhook_section import WebhookSection
from seacanary.publishers.webhook_trial import try_webhook
from webhook_receiver import OTHER_SECRET, SECRET, Receiver, Reply, always

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LOOPBACK = ipaddress.ip_address("127.0.0.1")


def section(url: str, **changes: object) -> WebhookSection:
    return WebhookSection.model_validate(
        {"url": url, "secret": SECRET, "allow_private_networks": ["127.0.0.0/8"], "events": ["presence"], **changes}
    )


async def post(receiver: Receiver, **changes: object) -> None:
    async with asyncio.timeout(10), aclosing(Webhook(section(receiver.url, **changes))) as webhook:
        await webhook.publish([entry(1)])


async def test_an_event_is_one_signed_cloudevent_with_its_id() -> None:
    with Receiver() as receiver:
        await post(receiver)
    [request] = receiver.received
    cloud_event = CloudEvent.of(entry(1).event)
    assert request.verified() == json.loads(cloud_event.model_dump_json())
    assert CloudEvent.model_validate_json(request.body) == cloud_event
    assert request.id == str(entry(1).event.id)
    assert request.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert request.headers["user-agent"].startswith("seacanary/")
    assert request.path == "/hook"
    assert abs(int(request.headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 10


async def test_what_was_tampered_with_does_not_verify() -> None:
    with Receiver() as receiver:
        await post(receiver)
    [request] = receiver.received
    with pytest.raises(WebhookVerificationError):
        request.verified(OTHER_SECRET)
    request.headers["webhook-id"] = "another"
    with pytest.raises(WebhookVerificationError):
        request.verified()


async def test_each_of_several_secrets_verifies() -> None:
    with Receiver() as receiver:
        await post(receiver, secret=f"{OTHER_SECRET} {SECRET}")
    assert receiver.received[0].verified(SECRET) == receiver.received[0].verified(OTHER_SECRET)


async def test_further_headers_go_along() -> None:
    with Receiver() as receiver:
        await post(receiver, headers={"Authorization": "Bearer hunter2"})
    assert receiver.received[0].headers["authorization"] == "Bearer hunter2"


async def test_a_batch_is_posted_in_order_and_each_signed_by_itself() -> None:
    with Receiver() as receiver:
        async with aclosing(Webhook(section(receiver.url))) as webhook:
            await webhook.publish([entry(n) for n in range(1, 6)])
    assert [request.verified()["data"]["onset_sample"] for request in receiver.received] == [1, 2, 3, 4, 5]


async def test_an_alert_carries_links_as_extension_attributes_of_the_cloudevent() -> None:
    alert = AlertEvent(id=UUID(int=1), station="station", rule="first", notice="heard", at=NOW, text="Un béluga.")
    links = {"confirm": "https://a.example/c?token=1", "evidence": "https://a.example/e"}
    with Receiver() as receiver:
        async with aclosing(
            Webhook(section(receiver.url), links=lambda event: {**links, "rule": event.rule})
        ) as webhook:
            await webhook.publish([JournalEntry(sequence=1, entry_ms=1, entry_step=0, event=alert), entry(2)])
    told, other = (request.verified() for request in receiver.received)
    assert (told["confirmurl"], told["evidenceurl"], told["ruleurl"]) == (*links.values(), "first")
    assert told["data"]["text"] == "Un béluga."
    assert CloudEvent.model_validate(told) == CloudEvent.of(alert)
    assert not [name for name in other if name.endswith("url")]


def test_it_says_what_it_carries() -> None:
    webhook = Webhook(section("http://127.0.0.1:9/", events=["alerts"]))
    assert isinstance(webhook, Selective)
    assert not webhook.carries(entry(1).event)


# --- what answers mean --------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_2xx_acknowledges(status: int) -> None:
    with Receiver(always(Reply(status, body=b"" if status == 204 else b"thank you"))) as receiver:
        await post(receiver)
    assert len(receiver.received) == 1


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 599])
async def test_passing_trouble_is_to_be_tried_again(status: int) -> None:
    with Receiver(always(Reply(status))) as receiver, pytest.raises(DeliveryRetryable, match=str(status)) as caught:
        await post(receiver)
    assert caught.value.after_s is None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413, 422, 451])
async def test_other_refusals_are_for_good(status: int) -> None:
    with Receiver(always(Reply(status))) as receiver, pytest.raises(DeliveryRejected, match=str(status)):
        await post(receiver)
    assert len(receiver.received) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_be_it_into_the_private_network(status: int) -> None:
    with Receiver() as inner:
        there = Reply(status, {"Location": f"http://localhost:{inner.port}/admin?key=hunter2"})
        with Receiver(always(there)) as receiver, pytest.raises(DeliveryRejected) as caught:
            await post(receiver)
    assert inner.received == []
    assert "redirect to http://localhost is not followed" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("location", ["", "/elsewhere", "http://[", "//"])
async def test_a_redirect_to_nowhere_is_refused_all_the_same(location: str) -> None:
    with Receiver(always(Reply(302, {"Location": location}))) as receiver, pytest.raises(DeliveryRejected):
        await post(receiver)


async def test_retry_after_is_handed_on() -> None:
    with Receiver(always(Reply(429, {"Retry-After": "37"}))) as receiver, pytest.raises(DeliveryRetryable) as caught:
        await post(receiver)
    assert caught.value.after_s == 37


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("Fri, 01 May 2026 12:01:30 GMT", 90),
        ("Friday, 01-May-26 12:01:30 GMT", 90),
        ("Fri, 01 May 2026 11:00:00 GMT", 0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("9" * 400, float("inf")),
    ],
)
def test_retry_after_is_a_number_of_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after_s(value, NOW) == seconds


# --- receivers that fail ------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [Reply(None), Reply(200, body=b"half", cut=True)],
    ids=["dropped without an answer", "dropped half way through the answer"],
)
async def test_an_answer_that_is_not_whole_is_none(reply: Reply) -> None:
    with Receiver(always(reply)) as receiver, pytest.raises(DeliveryRetryable, match="RemoteProtocolError"):
        await post(receiver)
    assert len(receiver.received) == 1


async def test_nobody_there_is_to_be_tried_again() -> None:
    receiver = Receiver()
    with pytest.raises(DeliveryRetryable, match=rf"http://127\.0\.0\.1:{receiver.port}: .*failed"):
        await post(receiver)


async def test_what_is_no_http_is_to_be_tried_again() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"220 mail.example ESMTP\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server, aclosing(Webhook(section(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"))) as webhook:
        with pytest.raises(DeliveryRetryable, match="RemoteProtocolError"):
            await webhook.publish([entry(1)])


async def test_an_answer_without_end_is_not_read_to_it() -> None:
    with Receiver(always(Reply(200, body=b"x" * (1 << 20)))) as receiver:
        await post(receiver)


async def test_a_hanging_receiver_can_be_given_up_and_the_next_post_works() -> None:
    with Receiver(lambda request: Reply(after_s=5 if len(receiver.received) == 1 else 0)) as receiver:
        async with aclosing(Webhook(section(receiver.url))) as webhook:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await webhook.publish([entry(1)])
            async with asyncio.timeout(3):
                await webhook.publish([entry(1)])
    assert [request.id for request in receiver.received] == [str(entry(1).event.id)] * 2


async def test_a_connection_is_used_again_and_one_closed_meanwhile_does_no_harm() -> None:
    receiver = Receiver()
    async with aclosing(Webhook(section(receiver.url))) as webhook:
        for n in (1, 2):
            with receiver:
                await webhook.publish([entry(n), entry(n + 10)])
            await asyncio.sleep(0.05)
    assert len(receiver.received) == 4


# --- names, addresses, certificates -------------------------------------------


@asynccontextmanager
async def named(url: str, *addresses: Address, **changes: object) -> AsyncIterator[Webhook]:
    """A webhook whose host name has these addresses."""

    async def resolve(host: str, port: int) -> Sequence[Address]:
        return addresses

    async with asyncio.timeout(10), aclosing(Webhook(section(url, **changes), resolve=resolve)) as webhook:
        yield webhook


async def test_a_name_that_leads_into_the_private_network_reaches_nobody() -> None:
    with Receiver() as receiver:
        url = f"https://hook.example:{receiver.port}/hook"
        async with named(url, LOOPBACK, allow_private_networks=False) as webhook:
            with pytest.raises(DeliveryRetryable, match=r"hook\.example: 127\.0\.0\.1 is a loopback address"):
                await webhook.publish([entry(1)])
    assert receiver.received == []


async def test_unencrypted_posts_do_not_reach_the_internet() -> None:
    async with named("http://hook.example/hook", ipaddress.ip_address("93.184.216.34")) as webhook:
        with pytest.raises(DeliveryRetryable, match="use https://"):
            await webhook.publish([entry(1)])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and self-signed certificate for receiver.test, in one file."""
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=receiver.test"]
    command += ["-addext", "subjectAltName=DNS:receiver.test", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return both


async def test_tls_asks_for_the_name_though_the_connection_goes_to_an_address(certificate: Path) -> None:
    with Receiver(tls=certificate) as receiver:
        url = f"https://receiver.test:{receiver.port}/hook"
        async with named(url, LOOPBACK, ca_file=certificate) as webhook:
            await webhook.publish([entry(1)])
    assert receiver.received[0].headers["host"] == f"receiver.test:{receiver.port}"
    assert receiver.received[0].verified()


@pytest.mark.parametrize(("host", "trusted"), [("other.test", True), ("receiver.test", False)])
async def test_a_certificate_of_another_or_of_nobody_is_refused(certificate: Path, host: str, trusted: bool) -> None:
    with Receiver(tls=certificate) as receiver:
        url = f"https://{host}:{receiver.port}/hook"
        async with named(url, LOOPBACK, ca_file=certificate if trusted else None) as webhook:
            with pytest.raises(DeliveryRetryable, match="certificate verify failed"):
                await webhook.publish([entry(1)])
    assert receiver.received == []


# --- secrets ------------------------------------------------------------------


@pytest.mark.parametrize("reply", [Reply(500), Reply(400), Reply(302), Reply(None)])
async def test_no_secret_gets_out_by_an_error_a_log_or_a_repr(reply: Reply, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Receiver(always(reply)) as receiver:
        held = section(f"{receiver.url}/path-token?key=query-token", headers={"Authorization": "Bearer hunter2"})
        async with aclosing(Webhook(held)) as webhook:
            with pytest.raises(DeliveryError) as caught:
                await webhook.publish([entry(1)])
            said = f"{caught.value!r} {webhook!r} {held!r} {caplog.text}"
    assert not any(secret in said for secret in (SECRET, "path-token", "query-token", "hunter2"))


async def test_a_secret_file_that_has_gone_is_said_so(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    held = section("http://127.0.0.1:9/", secret=None, secret_file=file)
    file.unlink()
    with pytest.raises(ConfigError, match=r"publisher webhook: .*no secret can be read"):
        Webhook(held)


# --- a trial ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "exit_code", "words"),
    [
        (Reply(200), 0, "answers 200 OK after"),
        (Reply(400), 1, "400 Bad Request .*dead letter at once"),
        (Reply(302, {"Location": "https://b.example/x"}), 1, "redirect to https://b.example is not followed"),
        (Reply(503), 1, "503 Service Unavailable .*would be tried again"),
        (Reply(None), 2, "no answer: .*RemoteProtocolError"),
        (Reply(after_s=2), 2, "has not answered within 0.3 s"),
    ],
)
async def test_a_trial_says_what_came_back(reply: Reply, exit_code: Literal[0, 1, 2], words: str) -> None:
    at = datetime.now(UTC) - timedelta(seconds=1)
    with Receiver(always(reply)) as receiver:
        trial = await try_webhook(section(receiver.url, delivery={"timeout_s": 0.3}), "tadoussac", at=at)
    assert trial.exit_code == exit_code
    [request] = receiver.received
    sent = request.verified()
    assert (sent["type"], sent["subject"]) == ("org.seacanary.station.condition.v1", "webhook_test")
    assert "This is a test" in sent["data"]["detail"]
    assert re.search(words, trial.in_words)
