"""WebhookSection: where a webhook goes, how it is signed, and what it carries."""

import base64
import binascii
import ipaddress
import re
import ssl
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, HttpUrl, SecretStr, TypeAdapter, ValidationError, ValidationInfo
from pydantic import field_validator as validated

from seacanary.publishers.circuit import PatientPolicy
from seacanary.publishers.selection import Selection
from seacanary.publishers.targets import Network, Targets, literal

PREFIX = "whsec_"
KEY_BYTES = range(24, 65)  # Standard Webhooks 1.0.0, "Signature scheme"
HOW_TO = f"make one with: echo {PREFIX}$(openssl rand -base64 32)"
OURS = ("content-type", "content-length", "transfer-encoding", "connection", "host")

_HTTP_URL = TypeAdapter(HttpUrl)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _header_name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError("a header's name has letters, digits and '-' only")
    if name.lower() in OURS or name.lower().startswith("webhook-"):
        raise ValueError("this header is the service's own")
    return name


def _header_value(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().isprintable() or not value.get_secret_value().isascii():
        raise ValueError("a header's value is printable ASCII, without line breaks")
    return value


HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[SecretStr, AfterValidator(_header_value)]


class WebhookSection(Selection):
    """Events sent by HTTP POST, one each, signed as Standard Webhooks asks.

    Nothing here can be validated against another field at the end, as a message about
    the whole section could show its secrets: fields that depend on others come after them.
    """

    kind: Literal["webhook"] = "webhook"
    name: str = Field("webhook", min_length=1, description="name of the cursor, the metrics and the logs")
    allow_private_networks: bool | tuple[str, ...] = Field(
        False,
        description="true: private and loopback addresses may be connected to; or a list of networks that may be, "
        "such as 10.20.0.0/16",
    )
    url: SecretStr = Field(description="https://HOST/PATH; http:// for allowed private networks only")
    secret: SecretStr | None = Field(
        None,
        validate_default=True,
        description="whsec_... (base64 of 24 to 64 random bytes) that requests are signed with; several, separated "
        "by spaces, while receivers change from one to the next",
    )
    secret_file: Path | None = Field(
        None, validate_default=True, description="file that holds the secret, in place of `secret`; read at the start"
    )
    headers: dict[HeaderName, HeaderValue] = Field({}, description="further headers, such as Authorization")
    ca_file: Path | None = Field(None, description="certificates to trust; null: the system's")
    connect_timeout_s: float = Field(5.0, gt=0, allow_inf_nan=False, description="longest wait for a connection")
    delivery: PatientPolicy = Field(PatientPolicy(), description="how patiently")

    @validated("allow_private_networks")
    @classmethod
    def _networks(cls, allowed: bool | tuple[str, ...]) -> bool | tuple[str, ...]:
        for network in allowed if isinstance(allowed, tuple) else ():
            ipaddress.ip_network(network)  # its ValueError says what is wrong
        return allowed

    @validated("url")
    @classmethod
    def _usable(cls, url: SecretStr, info: ValidationInfo) -> SecretStr:
        normal = _normal(url.get_secret_value())
        parts = urlsplit(normal)
        if parts.username is not None or parts.password is not None:
            raise ValueError("user and password do not belong into the URL; give an Authorization header")
        if "allow_private_networks" in info.data:
            targets = _targets(info.data["allow_private_networks"], encrypted=parts.scheme == "https")
            address = literal(parts.hostname or "")
            if address is not None and (refusal := targets.refusal(address)):
                raise ValueError(refusal)
            if parts.scheme == "http" and not (targets.private or targets.networks):
                raise ValueError("http:// is for allowed private networks only; use https://")
        return SecretStr(normal)

    @validated("secret")
    @classmethod
    def _well_formed(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            keys_in(secret.get_secret_value())
        return secret

    @validated("secret_file")
    @classmethod
    def _one_of_both(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if "secret" in info.data and (file is None) == (info.data["secret"] is None):
            raise ValueError(f"give either secret or secret_file; {HOW_TO}")
        if file is not None:
            keys_in(_read(file))
        return file

    @validated("ca_file")
    @classmethod
    def _readable(cls, ca_file: Path | None) -> Path | None:
        if ca_file is not None:
            try:
                ssl.create_default_context(cafile=ca_file)
            except OSError as exc:
                raise ValueError(f"{ca_file}: no certificates can be read: {exc.strerror or exc}") from exc
        return ca_file

    @property
    def place(self) -> str:
        """Where this points to, for messages: the path may be as good as a password."""
        parts = urlsplit(self.url.get_secret_value())
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def targets(self) -> Targets:
        """What may be connected to."""
        return _targets(self.allow_private_networks, encrypted=self.url.get_secret_value().startswith("https:"))

    def signing_keys(self) -> list[bytes]:
        """What requests are signed with, the current secret first.

        Raises:
            ValueError: the file cannot be read any more, or no longer holds a secret.
        """
        if self.secret is not None:
            return keys_in(self.secret.get_secret_value())
        return keys_in(_read(self.secret_file or Path()))


def keys_in(text: str) -> list[bytes]:
    """The keys in a secret, or in several separated by white space; messages do not quote them.

    Raises:
        ValueError: there is none, or one is not as Standard Webhooks asks.
    """
    secrets = text.split()
    if not secrets:
        raise ValueError(f"there is no secret; {HOW_TO}")
    return [_key(secret) for secret in secrets]


def _key(secret: str) -> bytes:
    body = secret.removeprefix(PREFIX)
    try:
        key = base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or len(key) not in KEY_BYTES:
        raise ValueError(f"a secret is {PREFIX} and the base64 of 24 to 64 random bytes; {HOW_TO}")
    return key


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ValueError(f"{file}: no secret can be read: {getattr(exc, 'strerror', None) or 'not text'}") from None


def _normal(url: str) -> str:
    """The URL as browsers understand it: addresses in decimal or octal and odd names come out plain.

    Raises:
        ValueError: it is none, and not quoted.
    """
    try:
        normal = _HTTP_URL.validate_python(url)
    except ValidationError as exc:
        raise ValueError(exc.errors(include_input=False)[0]["msg"]) from None
    return str(normal).split("#", 1)[0]


def _targets(allowed: bool | tuple[str, ...], *, encrypted: bool) -> Targets:
    networks: tuple[Network, ...] = ()
    if isinstance(allowed, tuple):
        networks = tuple(ipaddress.ip_network(network) for network in allowed)
    return Targets(private=allowed is True, networks=networks, public=encrypted)
