"""The section of a Redis publisher: where Redis is, and how to log in."""

import ssl
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from seacanary.errors import ConfigError

SCHEMES = ("redis", "rediss", "unix")


class RedisStreamsSection(BaseModel):
    """Events sent to a Redis stream, one stream per station."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["redis_streams"] = "redis_streams"
    name: str = Field("redis", min_length=1, description="name of the cursor, the metrics and the logs")
    url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        description="redis://[USER:PASSWORD@]HOST:PORT/DB, rediss:// for TLS, unix:///PATH",
    )
    password_file: Path | None = Field(
        None, description="file whose first line is the password, in place of one in `url`; read at the start"
    )
    stream: str = Field(
        "{seacanary}:events",
        min_length=1,
        description="key of the stream; STREAM:state is the current-state hash (braces keep both "
        "in one slot of a Redis Cluster)",
    )
    maxlen: int | None = Field(100_000, ge=1, description="newest entries kept, approximately; null: every one")
    ca_file: Path | None = Field(None, description="certificates to trust for rediss://; null: the system's")
    connect_timeout_s: float = Field(5.0, gt=0, description="longest wait for a connection")

    @field_validator("url")
    @classmethod
    def _usable(cls, url: SecretStr) -> SecretStr:
        _check(url.get_secret_value())
        return url

    @field_validator("password_file")
    @classmethod
    def _one_of_both(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if file is not None:
            url = info.data.get("url")
            if url is not None and urlsplit(url.get_secret_value()).password:
                raise ValueError("the url has a password too; give one of them")
            _first_line(file)
        return file

    @field_validator("ca_file")
    @classmethod
    def _readable(cls, ca_file: Path | None) -> Path | None:
        if ca_file is not None:
            try:
                ssl.create_default_context(cafile=ca_file)
            except OSError as exc:
                raise ValueError(f"{ca_file}: no certificates can be read: {exc.strerror or exc}") from exc
        return ca_file

    def login(self) -> dict[str, str]:
        """What redis-py is told beside the URL.

        Raises:
            ValueError: the file cannot be read any more.
        """
        return {} if self.password_file is None else {"password": _first_line(self.password_file)}

    @property
    def place(self) -> str:
        """Where this points to, without user and password, for messages."""
        parts = urlsplit(self.url.get_secret_value())
        host = parts.hostname or parts.path
        return f"{parts.scheme}://{host}:{parts.port or 6379} {self.stream}"


def login_options(section: RedisStreamsSection) -> dict[str, Any]:
    """What redis-py is told of passwords and certificates beside the URL.

    Raises:
        ConfigError: the password's file cannot be read any more.
    """
    encrypted = section.url.get_secret_value().startswith("rediss:")
    tls = {"ssl_ca_certs": str(section.ca_file)} if section.ca_file and encrypted else {}
    try:
        return {**tls, **section.login()}
    except ValueError as exc:
        raise ConfigError(f"publisher {section.name}: {exc}") from exc


def _check(url: str) -> None:
    """Refuse a URL that no client can be made of; what is said of it holds no password.

    Raises:
        ValueError: what is wrong with it. Its cause is left out, as that may quote the URL.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("this is not a URL") from None
    if parts.scheme not in SCHEMES:
        raise ValueError(f"scheme must be one of {', '.join(SCHEMES)}, got '{parts.scheme}'")
    try:
        has_port = parts.port != 0
    except ValueError:
        has_port = False
    if not has_port:
        raise ValueError(
            "port must be a number from 1 to 65535; in user and password write '/', '?', '#' and '@' "
            "as %2F, %3F, %23 and %40"
        )


def _first_line(file: Path) -> str:
    try:
        line = file.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as exc:
        raise ValueError(f"{file}: no password can be read: {getattr(exc, 'strerror', None) or 'not text'}") from None
    if not line:
        raise ValueError(f"{file}: its first line is empty; it must be the password")
    return line
