"""Webhook: one signed HTTP POST per event, CloudEvents in JSON, at least once.

Signed by the Standard Webhooks scheme, with the event's id as webhook-id: a receiver that
remembers ids takes each event once. HTTP is httpcore's (httpx's own engine), because it lets
us make the connection: httpx has no public way to hold an address to what was checked.
It follows no redirect and asks no proxy, which would do the resolving for us.
"""

import json
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

import httpcore
from standardwebhooks import Webhook as Signer

from seacanary import __version__
from seacanary.errors import ConfigError, DeliveryRejected, DeliveryRetryable
from seacanary.events import AlertEvent, CloudEvent, Event, JournalEntry
from seacanary.publishers.targets import CheckedBackend, Resolver, resolved
from seacanary.publishers.webhook_section import WebhookSection

Links = Callable[[AlertEvent], Mapping[str, str]]

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
# Asked to come again: request timeout, conflict, too early, too many requests; and every 5xx.
PASSING = (408, 409, 425, 429)
# An answer is read to its end so that the connection can be used again, but no further than this.
LONGEST_ANSWER_BYTES = 64 << 10
# Shorter than servers keep idle connections, so that none is used just as it is closed.
KEEP_ALIVE_S = 2.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered.

    Attributes:
        status: HTTP status.
        after_s: Retry-After, seconds; None: it did not say.
        location: scheme and host that it redirects to; None: it does not.
    """

    status: int
    after_s: float | None = None
    location: str | None = None

    @property
    def in_words(self) -> str:
        """Status and what it means."""
        known = self.status in HTTPStatus._value2member_map_
        return f"{self.status} {HTTPStatus(self.status).phrase}" if known else str(self.status)


class Webhook:
    """Posts events to one receiver, in order."""

    def __init__(
        self,
        section: WebhookSection,
        *,
        links: Links = lambda _: {},
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        resolve: Resolver = resolved,
    ) -> None:
        """Prepare; nothing is connected before the first event.

        Args:
            section: of the configuration.
            links: URLs that go along with an alert, by what they are for; the same whenever they are asked for.
            now: system clock, for signatures.
            resolve: every address of a host.

        Raises:
            ConfigError: the secret cannot be read.
        """
        self.name = section.name
        self._section, self._links, self._now = section, links, now
        try:
            self._signers = [Signer(key) for key in section.signing_keys()]
        except ValueError as exc:
            raise ConfigError(f"publisher {section.name}: {exc}") from exc
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(cafile=section.ca_file),
            max_connections=1,
            keepalive_expiry=KEEP_ALIVE_S,
            network_backend=CheckedBackend(section.targets, resolve=resolve),
        )

    def carries(self, event: Event) -> bool:
        """Whether an event is to be posted."""
        return self._section.carries(event)

    async def publish(self, entries: Sequence[JournalEntry]) -> None:
        """Post events one by one; return once each has been answered with 2xx.

        Raises:
            DeliveryRetryable: no answer, or 408, 409, 425, 429 or 5xx.
            DeliveryRejected: any other answer; a redirect too, as what is signed
                for one receiver is not for another.
        """
        for entry in entries:
            judge(await self.post(entry.event), place=self._section.place)

    async def post(self, event: Event) -> Answer:
        """Post one event, signed now.

        Raises:
            DeliveryRetryable: the receiver cannot be reached, is not an allowed target, or answers no HTTP.
        """
        body = self._body(event)
        try:
            return await self._exchange(self._headers(str(event.id), body), body.encode())
        except DeliveryRetryable as exc:
            raise DeliveryRetryable(f"{self._section.place}: {exc}") from exc
        except (
            httpcore.NetworkError,
            httpcore.TimeoutException,
            httpcore.ProtocolError,
            OSError,
        ) as exc:
            raise DeliveryRetryable(f"{self._section.place}: {type(exc).__name__}: {exc}") from exc

    async def aclose(self) -> None:
        """Close the connection."""
        await self._pool.aclose()

    def _body(self, event: Event) -> str:
        """The event as a CloudEvent; an alert's links are extension attributes: confirmurl, rejecturl, evidenceurl."""
        links = self._links(event) if isinstance(event, AlertEvent) else {}
        attributes = {f"{purpose}url": url for purpose, url in links.items()}
        return json.dumps(CloudEvent.of(event).model_dump(mode="json") | attributes)

    def _headers(self, event_id: str, body: str) -> list[tuple[str, str]]:
        moment = self._now().astimezone(UTC)
        signatures = " ".join(signer.sign(event_id, moment, body) for signer in self._signers)
        parts = urlsplit(self._section.url.get_secret_value())
        return [
            ("Host", parts.netloc),
            ("User-Agent", f"seacanary/{__version__}"),
            ("Content-Type", CONTENT_TYPE),
            ("webhook-id", event_id),
            ("webhook-timestamp", str(int(moment.timestamp()))),
            ("webhook-signature", signatures),
            *((name, value.get_secret_value()) for name, value in self._section.headers.items()),
        ]

    async def _exchange(self, headers: list[tuple[str, str]], body: bytes) -> Answer:
        request = self._pool.stream(
            "POST",
            self._section.url.get_secret_value(),
            headers=[*headers, ("Content-Length", str(len(body)))],
            content=body,
            extensions={"timeout": {"connect": self._section.connect_timeout_s}},
        )
        async with request as response:
            # Only an answer that is whole counts: one that is cut off may be a receiver going down.
            await _read_out(response)
            return _answer(response, self._now())


def judge(answer: Answer, *, place: str) -> None:
    """Say what an answer means.

    Raises:
        DeliveryRetryable: try again, after `after_s` if that is set.
        DeliveryRejected: never try again.
    """
    if 200 <= answer.status < 300:
        return
    if answer.status in PASSING or answer.status >= 500:
        raise DeliveryRetryable(f"{place} answers {answer.in_words}", after_s=answer.after_s)
    if 300 <= answer.status < 400:
        to = f" to {answer.location}" if answer.location else ""
        raise DeliveryRejected(
            f"{place} answers {answer.in_words}: its redirect{to} is not followed; give the last URL"
        )
    raise DeliveryRejected(f"{place} answers {answer.in_words}")


def _answer(response: httpcore.Response, now: datetime) -> Answer:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    return Answer(
        status=response.status,
        after_s=retry_after_s(headers.get("retry-after", ""), now),
        location=_place_of(headers.get("location", "")),
    )


def _place_of(url: str) -> str | None:
    """Scheme and host alone, as the rest may hold secrets; None: it has no host."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname}" if parts.hostname else None
    except ValueError:
        return None


def retry_after_s(value: str, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for: as a number, or until an HTTP date; None: it says nothing.

    Source: RFC 9110, 10.2.3.
    """
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    # A date without a zone is UTC, as HTTP asks.
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())


async def _read_out(response: httpcore.Response) -> None:
    length = 0
    async for part in response.aiter_stream():
        length += len(part)
        if length > LONGEST_ANSWER_BYTES:
            return
