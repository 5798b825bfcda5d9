"""What a backup says of itself, and where what it holds belongs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from seacanary.cluster.edge_config import EdgeConfig
from seacanary.config import Configuration, StationConfig
from seacanary.config_checks import ProcessRole
from seacanary.doctor.subject import Subject
from seacanary.errors import SeaCanaryError
from seacanary.web.review_secret import FILE_NAME

VERSION = 1
CONFIG, JOURNAL, SECRET, MANIFEST = "config.yaml", "journal.db", FILE_NAME, "manifest.json"
EFFORT, EVIDENCE = "effort/", "evidence/"

# Told of a step by name, how much of it is done, and how much there is; in bytes.
Advance: TypeAlias = Callable[[str, int, int], None]


class BackupError(SeaCanaryError):
    """A backup cannot be made, read or restored."""


class BackedFile(BaseModel):
    """A file in the backup.

    Attributes:
        path: its name in the backup.
    """

    model_config = ConfigDict(frozen=True)

    path: str
    size_bytes: int
    sha256: str


class EvidenceFile(BaseModel):
    """A file of evidence that was there."""

    model_config = ConfigDict(frozen=True)

    path: str = Field(description="below the folder of evidence")
    size_bytes: int
    sha256: str | None = Field(description="null: not in the backup, and made from the clip anyway")


class JournalFacts(BaseModel):
    """What the journal was like."""

    model_config = ConfigDict(frozen=True)

    version: int
    events: int
    head: int = Field(description="sequence of the newest event; 0: there is none")
    cursors: Mapping[str, int] = Field(description="sequence up to which each reader of the journal had come")


class Manifest(BaseModel):
    """All of it; the last file of the backup."""

    model_config = ConfigDict(frozen=True)

    version: int = VERSION
    kind: Literal["seacanary backup"] = "seacanary backup"
    program: str = Field(description="version of seacanary that made it")
    made: AwareDatetime
    role: ProcessRole
    station: str | None = Field(description="its name; null: of a worker")
    journal: JournalFacts | None = Field(description="null: there was none yet")
    files: tuple[BackedFile, ...] = Field(description="in the backup beside this one")
    evidence: tuple[EvidenceFile, ...] = Field(description="that was there, whether it is in the backup or not")
    with_evidence: bool


@dataclass(frozen=True, slots=True)
class Places:
    """Where the state of a process lies; None: it has no such thing.

    Attributes:
        journal: of events.
        secret: key of review links, if the process keeps it itself.
        evidence: folder of clips.
        effort: folder of the listening effort.
    """

    journal: Path | None
    secret: Path | None
    evidence: Path | None
    effort: Path | None

    @classmethod
    def of(cls, config: Configuration) -> "Places":
        """Of the process that runs on a configuration, in the present folder."""
        subject = Subject(config=config)
        journal = subject.journal.absolute() if subject.journal else None
        evidence = subject.station.evidence if subject.station else None
        effort = subject.station.effort if subject.station else None
        keeps_secret = isinstance(config, StationConfig) and not isinstance(config, EdgeConfig)
        return cls(
            journal=journal,
            secret=journal.with_name(SECRET) if journal and keeps_secret else None,
            evidence=evidence.path.absolute() if evidence else None,
            effort=effort.path.absolute() if effort else None,
        )

    @classmethod
    def below(cls, folder: Path) -> "Places":
        """As a backup is laid out by itself."""
        return cls(journal=folder / JOURNAL, secret=folder / SECRET, evidence=folder / EVIDENCE, effort=folder / EFFORT)
