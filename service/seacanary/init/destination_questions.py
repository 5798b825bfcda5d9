"""Questions about where events go; each destination is tried as soon as it is named."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from seacanary.doctor.findings import Finding, broken
from seacanary.errors import ConfigError
from seacanary.init.asking import Asking, Question, answer_to, say, yes
from seacanary.init.destinations import (
    Destination,
    channel_by,
    lines_in,
    read_webhook_secret,
    redis_at,
    webhook_to,
    without_password,
)
from seacanary.init.given import NONE, Given, read_or_none
from seacanary.init.trials import settled, try_publisher

Make = Callable[[bool], Destination | None]


@dataclass(frozen=True, slots=True)
class DestinationQuestions:
    """Asks for all destinations of a station.

    Attributes:
        given: by flags.
        asking: who answers the rest.
        station: its name, for test messages.
        trying: whether answers are tried.
    """

    given: Given
    asking: Asking
    station: str
    trying: bool

    def ask(self) -> list[Destination]:
        """Every destination, some or none.

        Raises:
            ConfigError: a flag's destination does not work, and nobody is there to be asked.
        """
        makes: Sequence[Make] = (self._lines, self._redis, self._webhook, self._channel)
        found = [settled(make, self._attempt, self.asking) for make in makes]
        return [destination for destination in found if destination is not None]

    def _attempt(self, destination: Destination | None) -> list[Finding]:
        if destination is None:
            return []
        try:
            section = destination.to_try()
        except ConfigError as exc:
            name = str(destination.tree["kind"])
            return [broken(name, str(exc), means="it cannot be configured so", remedy="answer again")]
        return try_publisher(section, self.station) if self.trying else []

    def _lines(self, anew: bool) -> Destination | None:
        path = self._asked(
            f"A file for events, one line of JSON each ({NONE}: no file)", "--jsonl", anew, given=self.given.jsonl,
            default=str(self.given.state / "events.jsonl"),
        )  # fmt: skip
        return lines_in(Path(path)) if path else None

    def _redis(self, anew: bool) -> Destination | None:
        text = f"A Redis for events, such as redis://127.0.0.1:6379/0 ({NONE}: no Redis)"
        url = self._asked(text, "--redis", anew, given=self.given.redis)
        if url is None:
            return None
        if self.given.redis_password_file and not anew:
            return redis_at(url, password_file=self.given.redis_password_file)
        password = None
        if without_password(url)[1] is None:
            flag = "--redis-password-file"
            password = self.asking.ask(
                Question("Its password (empty: it asks for none)", flag, str, default="", hidden=True)
            )
        return redis_at(url, password=password)

    def _webhook(self, anew: bool) -> Destination | None:
        text = f"A webhook that alerts are sent to, https://HOST/PATH ({NONE}: no webhook)"
        url = self._asked(text, "--webhook", anew, given=self.given.webhook)
        if url is None:
            return None
        private = self.given.webhook_private
        if private is None or anew:
            is_plain = urlsplit(url).scheme == "http"
            private = yes("Is it in your own network?", self.asking, flag="--webhook-private", default=is_plain)
        if self.given.webhook_secret_file and not anew:
            return webhook_to(url, secret_file=self.given.webhook_secret_file, private=private)
        return webhook_to(url, secret=self._webhook_secret(), private=private)

    def _webhook_secret(self) -> str:
        known: list[str] = []

        def read(said: str) -> str:
            known.append(said)
            return read_webhook_secret(said)

        text = "The secret that requests are signed with, whsec_... (empty: make one)"
        secret = self.asking.ask(
            Question(text, "--webhook-secret-file", read, default="" if self.asking.somebody else None, hidden=True)
        )
        if not known[-1]:
            say(f"The receiver must know this secret: {secret}", "bold")
            self.asking.ask(Question("Give it to the receiver now, then press Enter", "", str, default=""))
        return secret

    def _channel(self, anew: bool) -> Destination | None:
        if self.given.notify_file and not anew:
            file = read_or_none(self.given.notify_file)
            return channel_by(url_file=Path(file)) if file else None
        text = f"A channel to people: ntfy://TOPIC, mailto://..., slack://... ({NONE}: no channel)"
        url = self._asked(text, "--notify-file", anew, given=None)
        return channel_by(url=url) if url else None

    def _asked(self, text: str, flag: str, anew: bool, *, given: str | None, default: str = NONE) -> str | None:
        answer = partial(answer_to, asking=self.asking)
        return answer(Question(text, flag, read_or_none, default=default, given=None if anew else given))
