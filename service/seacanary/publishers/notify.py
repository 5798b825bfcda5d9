"""Notify: people's own channels (e-mail, Slack, ntfy, Matrix, SMS gateways ...), through Apprise.

At least once: these channels know no idempotency key, so a message whose acknowledgement was lost
comes again; each carries the event's id, by which a person or a gateway knows it for a repeat.
An attempt that outlasts its caller's patience goes on, and the next call waits for it instead of
sending the message a second time.
"""

import asyncio
import logging
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import unquote
from uuid import UUID

import apprise
from apprise import Apprise, AppriseAsset
from pydantic import Field, SecretStr, ValidationInfo, field_validator

from seacanary.errors import ConfigError, DeliveryRetryable
from seacanary.events import AlertEvent, Event, JournalEntry
from seacanary.publishers.circuit import PatientPolicy
from seacanary.publishers.messages import Message, message_of
from seacanary.publishers.selection import Selection

LOOK_EVERY_S = 0.1
# What a channel's own complaint may quote of the URL: shorter pieces are words like "to" or a port's digits.
SHORTEST_SECRET = 3

Links = Callable[[AlertEvent], Mapping[str, str]]
Picture = Callable[[AlertEvent], Path | None]


class NotifySection(Selection):
    """Events sent to people, over any channel that Apprise knows."""

    kind: Literal["notify"] = "notify"
    name: str = Field("notify", min_length=1, description="name of the cursor, the metrics and the logs")
    url: SecretStr | None = Field(
        None,
        validate_default=True,
        description="an Apprise URL, such as mailto://USER:PASSWORD@HOST?to=WHOM, ntfy://TOPIC or slack://TOKENS; "
        "github.com/caronc/apprise/wiki has them all",
    )
    url_file: Path | None = Field(
        None, validate_default=True, description="file that holds the URL, in place of `url`; read at the start"
    )
    picture_wait_s: float = Field(
        0.0,
        ge=0,
        le=8,
        description="how long a message may wait for its event's picture; 0: send it with one only if it is there",
    )
    delivery: PatientPolicy = Field(PatientPolicy(), description="how patiently")

    @field_validator("url")
    @classmethod
    def _usable(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            _channel(url.get_secret_value())
        return url

    @field_validator("url_file")
    @classmethod
    def _one_of_both(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if "url" in info.data and (file is None) == (info.data["url"] is None):
            raise ValueError("give either url or url_file")
        if file is not None:
            _channel(_read(file))
        return file

    def secret_url(self) -> str:
        """The URL, wherever it is kept.

        Raises:
            ValueError: the file cannot be read any more.
        """
        return self.url.get_secret_value() if self.url is not None else _read(self.url_file or Path())


class Notify:
    """Sends each event as one message to one channel, in order."""

    def __init__(
        self,
        section: NotifySection,
        *,
        links: Links = lambda _: {},
        picture: Picture = lambda _: None,
    ) -> None:
        """Prepare; nothing is connected before the first event.

        Args:
            section: of the configuration.
            links: URLs for an alert's message, by what they are for.
            picture: where an alert's picture is, or will be; None: there is none.

        Raises:
            ConfigError: the URL cannot be read, or is no channel's.
        """
        self.name = section.name
        self._section, self._links, self._picture = section, links, picture
        try:
            url = section.secret_url()
            self._channel = _channel(url)
        except ValueError as exc:
            raise ConfigError(f"publisher {section.name}: {exc}") from exc
        self._scheme, self._secrets = url.partition("://")[0], _pieces(url)
        self._sending: tuple[UUID, asyncio.Task[None]] | None = None

    def carries(self, event: Event) -> bool:
        """Whether an event is to be sent."""
        return self._section.carries(event)

    async def publish(self, entries: Sequence[JournalEntry]) -> None:
        """Send events one by one; return once the channel has taken each.

        Raises:
            DeliveryRetryable: it did not take one. Apprise does not tell a refusal for good from an outage.
        """
        for entry in entries:
            await self._send_once(entry.event)

    async def aclose(self) -> None:
        """Wait for a message that is on its way: it cannot be called back."""
        if self._sending is not None:
            await asyncio.gather(self._sending[1], return_exceptions=True)

    async def _send_once(self, event: Event) -> None:
        """Send an event, or wait for the attempt at it that is still under way."""
        if self._sending is None or self._sending[0] != event.id:
            await self.aclose()
            self._sending = (event.id, asyncio.create_task(self._send(event)))
        task = self._sending[1]
        # A caller that gives up waiting leaves the attempt here; one that sees it end takes it away.
        try:
            await asyncio.shield(task)
        finally:
            if task.done():
                self._sending = None

    async def _send(self, event: Event) -> None:
        if isinstance(event, AlertEvent):
            await self._hand_over(message_of(event, self._links(event)), await self._picture_of(event))
        else:
            await self._hand_over(message_of(event, {}), None)

    async def _picture_of(self, alert: AlertEvent) -> Path | None:
        """The alert's picture, if it is there in time."""
        path = self._picture(alert)
        if path is None:
            return None
        waited_s = 0.0
        while not path.is_file():
            if waited_s >= self._section.picture_wait_s:
                return None
            await asyncio.sleep(LOOK_EVERY_S)
            waited_s += LOOK_EVERY_S
        return path

    async def _hand_over(self, message: Message, picture: Path | None) -> None:
        result = await self._channel.async_notify(
            body=message.body,
            title=message.title,
            body_format=apprise.NotifyFormat.TEXT,
            attach=str(picture) if picture else None,
        )
        if not result:
            said = "; ".join(dict.fromkeys(entry.message for entry in result.logs()))
            raise DeliveryRetryable(f"{self._scheme}: {self._without_secrets(said) or 'the channel did not say why'}")

    def _without_secrets(self, text: str) -> str:
        """A channel's complaint without anything that its URL holds."""
        for piece in self._secrets:
            text = text.replace(piece, "***")
        return text


def _channel(url: str) -> Apprise:
    """The channel of one URL.

    Raises:
        ValueError: it is no channel's; the message does not quote it.
    """
    _silence()
    channel = Apprise(asset=AppriseAsset(app_id="Sea Canary", app_desc="marine mammal alerts", image_url_mask=""))
    with warnings.catch_warnings():
        # Adding the first channel loads them all; one of them looks for a module that Python 3.13 drops.
        warnings.simplefilter("ignore", DeprecationWarning)
        known = channel.add(url)
    if not known:
        scheme, found, _ = url.partition("://")
        what = f"'{scheme}://'" if found and re.fullmatch(r"[\w+.-]+", scheme) else "without a scheme"
        raise ValueError(f"Apprise knows no channel of this URL ({what}); see github.com/caronc/apprise/wiki")
    if len(channel) > 1:  # a message that one of them does not take would come again on the others
        raise ValueError(f"these are {len(channel)} channels; give each a publisher of its own")
    return channel


def _silence() -> None:
    """Keep the libraries' own log lines out of ours: they quote URLs. What matters comes with the result."""
    logger = logging.getLogger("apprise")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logging.getLogger("urllib3").setLevel(logging.ERROR)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ValueError(f"{file}: no URL can be read: {getattr(exc, 'strerror', None) or 'not text'}") from None


def _pieces(url: str) -> list[str]:
    """Whatever in a URL could be a secret, as written and as meant, longest first."""
    rest = url.partition("://")[2]
    parts = {part for text in (rest, unquote(rest)) for part in (text, *re.split(r"[/:@?&=#,;+ ]", text))}
    return sorted((part for part in parts if len(part) >= SHORTEST_SECRET), key=len, reverse=True)
