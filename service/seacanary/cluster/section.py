"""Configuration of what only a cluster has: Kafka, the edge's spool, the workers."""

import ssl
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationInfo
from pydantic import field_validator as validated

Role = Literal["infer", "track", "deliver", "fleet"]

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


class KafkaSection(BaseModel):
    """Which Kafka, and how the topics are made there."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    bootstrap_servers: tuple[Address, ...] = Field(
        ("127.0.0.1:9092",), min_length=1, description="some of the brokers, HOST:PORT; they name the others"
    )
    login: KafkaLogin | None = Field(None, description="SASL/SCRAM user; null: the brokers ask for none")
    tls: KafkaTls | None = Field(None, description="encryption; {} trusts the system's certificates; null: none")
    topic_prefix: str = Field(
        "seacanary.",
        max_length=100,
        pattern=r"^[\w.-]*$",
        description="before the names of all topics and consumer groups; two prefixes, two separate clusters",
    )
    partitions: int = Field(
        12,
        ge=1,
        le=1_000,
        description="of images, detections and all that follows them by hydrophone: as many workers can share the "
        "work. Cannot be changed later: it decides which worker holds a hydrophone's state",
    )
    replication: int = Field(
        1, ge=1, le=7, description="brokers that hold each record; 3 where there are three, so that one may die"
    )
    images_kept_h: float = Field(
        6, ge=0.1, description="hours that images wait for workers at most; a hydrophone has 2 a second, 64 KiB or less each"
    )
    detections_kept_h: float = Field(72, ge=0.1, description="hours that detections are kept")
    dead_letters_kept_days: float = Field(30, ge=0.1, description="days that refused records are kept")
    request_timeout_s: float = Field(20, gt=0, le=600, description="longest wait for a broker's answer")

    def topic(self, name: str) -> str:
        """A topic's or group's full name."""
        return self.topic_prefix + name


class EdgeSection(BaseModel):
    """What a station at the edge keeps until Kafka has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spool: Path = Field(Path("state/spool"), description="folder of images that wait for Kafka")
    spool_limit_bytes: int = Field(
        20_000_000_000,
        ge=1_000_000,
        description="size of the spool at most; beyond it the oldest is shed and counted as not observed. "
        "An hour of one hydrophone is 0.5 GB or less",
    )


class WorkerSection(BaseModel):
    """What a worker does, and with how much."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    roles: tuple[Role, ...] = Field(
        ("infer", "track", "deliver", "fleet"), min_length=1, description="stages that run in this worker"
    )
    batch_images: int = Field(32, ge=1, le=1_024, description="images in one batch of M, at most")
    deadline_s: float = Field(0.2, gt=0, le=10, description="how long an image may wait for company")
    data: Path = Field(Path("state/worker"), description="folder of Tables and of the delivering worker's journal")
    store: Literal["rocksdb", "memory"] = Field(
        "rocksdb", description="where Tables are held between records; both are restored from Kafka"
    )
    session_timeout_s: float = Field(
        10, ge=6, le=300, description="silence after which a worker counts as dead and others take over"
    )
    host: str = Field("127.0.0.1", min_length=1, description="address that fleet answers on; 0.0.0.0 opens it")
    port: int = Field(8330, ge=0, le=65_535, description="TCP port that fleet answers on; 0 takes a free one")

    @validated("roles")
    @classmethod
    def _once_each(cls, roles: tuple[Role, ...]) -> tuple[Role, ...]:
        if len(set(roles)) != len(roles):
            raise ValueError("a role is named once")
        return roles
