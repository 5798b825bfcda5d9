"""Destinations of events as answers give them: what is tried with its secret, and written without it."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from pydantic import TypeAdapter, ValidationError

from seacanary.config import PublisherSection
from seacanary.errors import ConfigError
from seacanary.init.secret_files import PrivateFile
from seacanary.publishers.webhook_section import KEY_BYTES, PREFIX, keys_in

PUBLISHER: TypeAdapter[PublisherSection] = TypeAdapter(PublisherSection)
FOLDER = "secrets"


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """Something that must not stand in the configuration.

    Attributes:
        field: of the section that names its file.
        inline: fields of the section that say it outright, for a trial.
        text: to be written into the file; None: the file is there already.
        file: where; relative to the folder of secrets if it is to be written.
    """

    field: str
    inline: Mapping[str, object]
    text: str | None
    file: Path


@dataclass(frozen=True, slots=True, repr=False)
class Destination:
    """One publisher.

    Attributes:
        tree: its section without its secret.
        secret: of it; None: it has none.
    """

    tree: Mapping[str, object]
    secret: Secret | None = None

    def to_try(self) -> PublisherSection:
        """The section with its secret in it, for this process alone.

        Raises:
            ConfigError: it cannot be one; says why, without the secret.
        """
        try:
            return PUBLISHER.validate_python({**self.tree, **(self.secret.inline if self.secret else {})})
        except ValidationError as exc:
            raise ConfigError("; ".join(f"{error['loc'][-1]}: {error['msg']}" for error in exc.errors())) from None

    def written(self, beside: Path) -> dict[str, object]:
        """The section as it stands in a configuration that lies in a folder."""
        if self.secret is None:
            return dict(self.tree)
        return {**self.tree, self.secret.field: str(self._file(self.secret, beside))}

    def files(self, beside: Path) -> list[PrivateFile]:
        """What must be written for it beside the configuration."""
        if self.secret is None or self.secret.text is None:
            return []
        return [PrivateFile(self._file(self.secret, beside), self.secret.text + "\n")]

    def _file(self, secret: Secret, beside: Path) -> Path:
        return secret.file if secret.text is None else beside / FOLDER / secret.file


def lines_in(path: Path) -> Destination:
    """A file of JSON lines."""
    return Destination({"kind": "jsonl", "path": str(path)})


def redis_at(url: str, *, password: str | None = None, password_file: Path | None = None) -> Destination:
    """A Redis. A password in its URL is taken out of it.

    Raises:
        ConfigError: the file of the password cannot be read.
    """
    bare, within = without_password(url)
    tree = {"kind": "redis_streams", "url": bare}
    if password_file is not None:
        inline = {"password_file": password_file}
        return Destination(tree, Secret("password_file", inline, None, password_file))
    password = password or within
    if not password:
        return Destination(tree)
    return Destination(
        tree, Secret("password_file", {"url": with_password(bare, password)}, password, Path("redis-password"))
    )


def webhook_to(
    url: str, *, secret: str | None = None, secret_file: Path | None = None, private: bool = False
) -> Destination:
    """A webhook; one of secret and secret_file is given."""
    tree: dict[str, object] = {"kind": "webhook", "url": url}
    if private:
        tree["allow_private_networks"] = True
    if secret_file is not None:
        return Destination(tree, Secret("secret_file", {"secret_file": secret_file}, None, secret_file))
    return Destination(tree, Secret("secret_file", {"secret": secret}, secret, Path("webhook-secret")))


def channel_by(*, url: str | None = None, url_file: Path | None = None) -> Destination:
    """A channel to people; its URL is a secret as a whole."""
    tree = {"kind": "notify"}
    if url_file is not None:
        return Destination(tree, Secret("url_file", {"url_file": url_file}, None, url_file))
    return Destination(tree, Secret("url_file", {"url": url}, url, Path("notify-url")))


def new_webhook_secret() -> str:
    """One that nobody guesses, as Standard Webhooks wants it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(KEY_BYTES.start + 8)).decode()


def read_webhook_secret(said: str) -> str:
    """A secret that is known already; a new one if none is.

    Raises:
        ValueError: it is none.
    """
    if not said:
        return new_webhook_secret()
    keys_in(said)
    return said


def without_password(url: str) -> tuple[str, str | None]:
    """A URL, and the password that was in it."""
    parts = urlsplit(url)
    if parts.password is None:
        return url, None
    host = parts.netloc.rpartition("@")[2]
    user = f"{parts.username}@" if parts.username else ""
    return parts._replace(netloc=f"{user}{host}").geturl(), unquote(parts.password)


def with_password(url: str, password: str) -> str:
    """The other way round."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}").geturl()
