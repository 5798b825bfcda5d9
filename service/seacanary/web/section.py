"""Configuration of the web server."""

from ipaddress import ip_address
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

# HMAC-SHA256 keys shorter than this can be guessed at leisure by whoever holds one link.
SHORTEST_SECRET = 16
DAY_S = 86_400.0


class WebSection(BaseModel):
    """Where events can be looked at and judged."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    enabled: bool = Field(True, description="serve the pages and the API")
    host: str = Field("127.0.0.1", min_length=1, description="address to listen on; 0.0.0.0 opens it to the network")
    port: int = Field(8320, ge=0, le=65535, description="TCP port; 0 takes a free one")
    public_url: str | None = Field(
        None,
        description="how people reach this server, such as https://canary.example.org/north; "
        "null: messages carry no links",
    )
    review_secret: SecretStr | None = Field(
        None, description="key that signs the links in messages, 16 characters or more; null: see review_secret_file"
    )
    review_secret_file: Path | None = Field(
        None, description="file that holds the key; null: one is made once and kept beside the journal"
    )
    links_last_s: float = Field(7 * DAY_S, gt=0, description="how long after an alert its links can be used, seconds")

    @field_validator("public_url")
    @classmethod
    def _is_a_place(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise ValueError("must be http://HOST[:PORT][/PATH] or https://..., without user and password")
        if parts.query or parts.fragment:
            raise ValueError("must end with its path: no '?' and no '#'")
        return url.rstrip("/")

    @field_validator("review_secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value()) < SHORTEST_SECRET:
            raise ValueError(f"must have {SHORTEST_SECRET} characters or more")
        return secret

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if self.review_secret is not None and self.review_secret_file is not None:
            raise ValueError("give review_secret or review_secret_file, not both")
        return self

    @property
    def prefix(self) -> str:
        """Path of the public URL, "" for none: where the pages lie for those outside."""
        return urlsplit(self.public_url).path if self.public_url else ""

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """Names this server answers to.

        On loopback a foreign name is refused: a hostile web page could point its own
        name at 127.0.0.1 and read the answers (DNS rebinding).
        """
        if not _is_loopback(self.host):
            return ("*",)
        public = urlsplit(self.public_url).hostname if self.public_url else None
        return ("localhost", "127.0.0.1", "[::1]", self.host, *((public,) if public else ()))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
