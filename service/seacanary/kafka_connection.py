"""How any Kafka client of ours is configured: where the brokers are, who we are, how it is encrypted."""

import ssl
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationInfo
from pydantic import field_validator as validated

LARGEST_PORT = 65_535


def _address(text: str) -> str:
    """A broker as HOST:PORT; an IPv6 address stands in brackets."""
    host, colon, port = text.rpartition(":")
    is_name = bool(host) and not set(host) & set("/@, ") and (":" not in host or host.startswith("["))
    if not (colon and is_name and port.isascii() and port.isdecimal() and 0 < int(port) <= LARGEST_PORT):
        raise ValueError(f"a broker is HOST:PORT, such as kafka-1.example.org:9092, got '{text}'")
    return text


Address = Annotated[str, AfterValidator(_address)]


class KafkaLogin(BaseModel):
    """Who this process is to the brokers: SASL/SCRAM, which never sends the password.

    Nothing is validated over the whole section, as a message about it could show the password.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256"] = Field(
        "SCRAM-SHA-512", description="as the user was created at the brokers"
    )
    username: str = Field(min_length=1, description="user known to the brokers")
    password: SecretStr | None = Field(None, min_length=1, description="its password; or give password_file")
    password_file: Path | None = Field(
        None, validate_default=True, description="file whose first line is the password; read when connecting"
    )

    @validated("password_file")
    @classmethod
    def _one_password(cls, file: Path | None, others: ValidationInfo) -> Path | None:
        if "password" in others.data and (file is None) == (others.data["password"] is None):
            raise ValueError("give password or password_file, one of them")
        return file


class KafkaTls(BaseModel):
    """Encryption, and how each side knows the other. Names in certificates are always checked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ca_file: Path | None = Field(None, description="certificates to trust, PEM; null: the system's")
    certificate_file: Path | None = Field(
        None, description="this process's certificate, PEM, for brokers that ask for one; null: none"
    )
    key_file: Path | None = Field(
        None, validate_default=True, description="private key of the certificate, PEM; null: it is in certificate_file"
    )

    @validated("ca_file")
    @classmethod
    def _readable(cls, file: Path | None) -> Path | None:
        if file is not None:
            try:
                ssl.create_default_context(cafile=file)
            except OSError as exc:
                raise ValueError(f"{file}: no certificates can be read: {exc.strerror or exc}") from exc
        return file

    @validated("key_file")
    @classmethod
    def _belongs_to_a_certificate(cls, file: Path | None, others: ValidationInfo) -> Path | None:
        if file is not None and others.data.get("certificate_file") is None:
            raise ValueError("a key needs certificate_file as well")
        return file


class KafkaConnection(BaseModel):
    """Which Kafka, and how to get in."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    bootstrap_servers: tuple[Address, ...] = Field(
        ("127.0.0.1:9092",), min_length=1, description="some of the brokers, HOST:PORT; they name the others"
    )
    login: KafkaLogin | None = Field(None, description="SASL/SCRAM user; null: the brokers ask for none")
    tls: KafkaTls | None = Field(None, description="encryption; {} trusts the system's certificates; null: none")
    request_timeout_s: float = Field(20, gt=0, le=600, description="longest wait for a broker's answer")

    @property
    def place(self) -> str:
        """The brokers, for messages."""
        return f"kafka at {', '.join(self.bootstrap_servers)}"
