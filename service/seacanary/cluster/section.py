"""Configuration of what only a cluster has: Kafka, the edge's spool, the workers."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator
from pydantic import field_validator as validated

from seacanary.kafka_connection import KafkaConnection, KafkaLogin, KafkaTls

__all__ = ["EdgeSection", "KafkaLogin", "KafkaSection", "KafkaTls", "Role", "WorkerSection"]

Role = Literal["infer", "track", "deliver", "fleet"]


class KafkaSection(KafkaConnection):
    """Which Kafka, and how the topics are made there."""

    topic_prefix: str = Field(
        "seacanary.",
        max_length=100,
        pattern=r"^[A-Za-z0-9._-]*$",
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
        6,
        ge=0.1,
        description="hours that images wait for workers; 2 a second a hydrophone, 64 KiB or less each",
    )
    detections_kept_h: float = Field(72, ge=0.1, description="hours that detections are kept")
    dead_letters_kept_days: float = Field(30, ge=0.1, description="days that refused records are kept")

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
    batch_images_most: int = Field(
        128, ge=1, le=1_024, description="images in one batch where images wait longer than grow_after_s"
    )
    grow_after_s: float = Field(
        2, gt=0, description="how long images may wait for this worker before batches grow to batch_images_most"
    )
    coarsen_after_s: float = Field(
        30,
        gt=0,
        description="how long they may wait, if it does not get less, before only every second image of a hydrophone "
        "is judged; beyond twice as long, every fourth",
    )
    shed_after_s: float = Field(
        600, gt=0, description="how long they may wait, if it does not get less, before the oldest are shed"
    )
    deadline_s: float = Field(0.2, gt=0, le=10, description="how long an image may wait for company")
    data: Path = Field(Path("state/worker"), description="folder of Tables and of the delivering worker's journal")
    store: Literal["rocksdb", "memory"] = Field(
        "rocksdb", description="where Tables are held between records; both are restored from Kafka"
    )
    session_timeout_s: float = Field(
        10, ge=6, le=300, description="silence after which a worker counts as dead and others take over"
    )
    stuck_after_s: float = Field(
        60,
        ge=10,
        le=3_600,
        validate_default=True,
        description="how long nothing may move while records wait and brokers answer; then the worker's watchdog ends "
        "it, for its supervisor to start it again",
    )
    host: str = Field("127.0.0.1", min_length=1, description="address that fleet answers on; 0.0.0.0 opens it")
    port: int = Field(8330, ge=0, le=65_535, description="TCP port that fleet answers on; 0 takes a free one")

    @property
    def journal(self) -> Path:
        """Journal of what deliver delivers."""
        return self.data / "events.db"

    @property
    def hours(self) -> Path:
        """File of hours that fleet answers from."""
        return self.data / "hours.db"

    @model_validator(mode="after")
    def _in_turn(self) -> Self:
        if self.batch_images_most < self.batch_images:
            raise ValueError(
                f"batch_images_most ({self.batch_images_most}) must be batch_images ({self.batch_images}) or more"
            )
        if not self.grow_after_s < self.coarsen_after_s <= self.shed_after_s / 2:
            raise ValueError(
                f"grow_after_s ({self.grow_after_s:g}) must be less than coarsen_after_s ({self.coarsen_after_s:g}), "
                f"and that no more than half of shed_after_s ({self.shed_after_s:g})"
            )
        return self

    @validated("stuck_after_s")
    @classmethod
    def _patience(cls, stuck_after_s: float, others: ValidationInfo) -> float:
        session_s: float = others.data.get("session_timeout_s", 0)
        if stuck_after_s <= session_s:
            raise ValueError(f"stuck_after_s ({stuck_after_s:g}) must be longer than session_timeout_s ({session_s:g})")
        return stuck_after_s

    @validated("roles")
    @classmethod
    def _once_each(cls, roles: tuple[Role, ...]) -> tuple[Role, ...]:
        if len(set(roles)) != len(roles):
            raise ValueError("a role is named once")
        return roles
