"""Configurations: how any is read, and the station's, composed of each stage's section."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeVar, overload

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from seacanary.alerts.rules import AlertsSection
from seacanary.batching import BatchingSection
from seacanary.config_checks import (
    COMMANDS,
    ProcessRole,
    names_of_our_own,
    role_of,
    unknown_hydrophones,
    unknown_rules,
    unknown_to_model,
)
from seacanary.config_faults import faults_of
from seacanary.contract import ModelContract
from seacanary.detection import DetectorSection
from seacanary.effort import EffortSection
from seacanary.errors import ConfigError
from seacanary.evidence.archive import ArchiveSection
from seacanary.evidence.copies import CopySection
from seacanary.evidence.retention import EvidenceRetention
from seacanary.evidence.section import EvidenceSection
from seacanary.guard import GuardSection
from seacanary.metrics import MetricsSection
from seacanary.presence_rules import PresenceSection
from seacanary.publishers.delivery import DeliveryPolicy
from seacanary.publishers.jsonl import JsonLinesSection
from seacanary.publishers.kafka_section import KafkaEventsSection
from seacanary.publishers.notify import NotifySection
from seacanary.publishers.redis_section import RedisStreamsSection
from seacanary.publishers.webhook_section import WebhookSection
from seacanary.quality.watch import QualitySection
from seacanary.selftest import SelfTestSection
from seacanary.sources.alsa import AlsaSection
from seacanary.sources.files import FilesSection
from seacanary.sources.network import RtpSection, TcpSection, UdpSection, UrlSection
from seacanary.sources.simulated import SimulatedSection
from seacanary.sources.soundcard import SoundcardSection
from seacanary.sources.supervised import SupervisionPolicy
from seacanary.web.section import WebSection

SourceSection = Annotated[
    SoundcardSection
    | AlsaSection
    | FilesSection
    | TcpSection
    | UdpSection
    | RtpSection
    | UrlSection
    | SimulatedSection,
    Field(discriminator="kind"),
]
PublisherSection = Annotated[
    JsonLinesSection | RedisStreamsSection | WebhookSection | NotifySection | KafkaEventsSection,
    Field(discriminator="kind"),
]

_VARIABLE = re.compile(r"\$\{(\w+)\}")


class Configuration(BaseModel):
    """All that one process is told: the root of a YAML file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: ClassVar[ProcessRole]

    def contradictions(self) -> list[str]:
        """Where one section speaks of what no other has, each as one line."""
        return []


ConfigT = TypeVar("ConfigT", bound=Configuration)


class StationSection(BaseModel):
    """Who and where this station is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(
        min_length=1,
        max_length=64,
        pattern=r"^[\w.-]+$",
        description="letters, digits, '.', '_' and '-'; part of event ids",
    )
    latitude: float | None = Field(None, ge=-90, le=90, description="degrees north")
    longitude: float | None = Field(None, ge=-180, le=180, description="degrees east")


class JournalSection(BaseModel):
    """Where events are kept until, and after, they are delivered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path = Field(Path("state/journal.db"), description="SQLite file; its folder is made if absent")


class StationConfig(Configuration):
    """A whole station."""

    role: ClassVar[ProcessRole] = "station"

    station: StationSection
    sources: tuple[SourceSection, ...] = Field(min_length=1, description="hydrophone feeds")
    supervision: SupervisionPolicy = SupervisionPolicy()
    model: DetectorSection = DetectorSection()
    batching: BatchingSection = BatchingSection()
    presence: PresenceSection = PresenceSection()
    guard: GuardSection = GuardSection()
    journal: JournalSection = JournalSection()
    publishers: tuple[PublisherSection, ...] = ()
    delivery: DeliveryPolicy = Field(DeliveryPolicy(), description="of publishers without a policy of their own")
    alerts: AlertsSection = AlertsSection()
    evidence: EvidenceSection | None = Field(None, description="clips of every event; null: none are kept")
    retention: EvidenceRetention = EvidenceRetention()
    evidence_copy: CopySection | None = Field(None, description="copies of the clips elsewhere; null: none")
    archive: ArchiveSection | None = Field(None, description="all audio, always; null: none is kept")
    quality: QualitySection = QualitySection()
    selftest: SelfTestSection | None = Field(
        None, description="simulated calls mixed into copies of the live audio; null: none"
    )
    effort: EffortSection | None = Field(None, description="when was listened, kept in files; null: it is not")
    web: WebSection | None = Field(None, description="pages to look at and judge events; null: none")
    metrics: MetricsSection = MetricsSection()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        self._refuse_numbered_twins()
        for what, names in (
            ("hydrophone", [h for source in self.sources for h in source.hydrophone_names]),
            ("publisher", [p.name for p in self.publishers]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{what} names must be unique in a station; used twice: {', '.join(twice)}")
        return self

    def _refuse_numbered_twins(self) -> None:
        """A recording's channels are called NAME-ch1 and so on: no other hydrophone may be."""
        recordings = [s.name for s in self.sources if isinstance(s, FilesSection) and not s.hydrophones]
        for name in (h for source in self.sources for h in source.hydrophone_names):
            twin = re.sub(r"-ch\d+$", "", name)
            if twin != name and twin in recordings:
                raise ValueError(f"hydrophone {name} could be a channel of the recordings named {twin}; rename one")

    def contradictions(self) -> list[str]:
        """Alert rules and publishers that speak of what there is not."""
        rules = self.alerts.rules
        names = [name for source in self.sources for name in source.hydrophone_names]
        recordings = [s.name for s in self.sources if isinstance(s, FilesSection) and not s.hydrophones]
        return [
            *names_of_our_own([publisher.name for publisher in self.publishers]),
            *unknown_rules(self.publishers, [rule.name for rule in rules]),
            *unknown_hydrophones(rules, names, recordings=recordings),
        ]


@overload
def read_config(path: Path, environment: Mapping[str, str] | None = None) -> StationConfig: ...


@overload
def read_config(path: Path, environment: Mapping[str, str] | None = None, *, model: type[ConfigT]) -> ConfigT: ...


def read_config(
    path: Path, environment: Mapping[str, str] | None = None, *, model: type[Configuration] = StationConfig
) -> Configuration:
    """Read a YAML file; ${NAME} is replaced from the environment.

    Args:
        path: of the file.
        environment: variables; None: this process's.
        model: what the file is a configuration of; a station by default.

    Raises:
        ConfigError: every fault found, each with its path in the file, the value
            and what would be right.
    """
    return parse_config(read_tree(path, environment, model=model), where=str(path), model=model)


def read_tree(
    path: Path, environment: Mapping[str, str] | None = None, *, model: type[Configuration] = StationConfig
) -> dict[str, object]:
    """Read a YAML file as read_config does, without asking whether what it says is right.

    Raises:
        ConfigError: the file cannot be read, is no mapping, or names a variable that is not set.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: cannot be read: {exc}") from exc
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise ConfigError(f"{path}: not valid YAML: {_place_of(exc)}") from None  # it would quote the line
    except (ValueError, RecursionError) as exc:  # 2026-02-30, or brackets in brackets without end
        raise ConfigError(f"{path}: not valid YAML: {exc}") from None
    if not isinstance(tree, dict):
        sections = ", ".join(f"{name}:" for name in list(model.model_fields)[:2])
        raise ConfigError(f"{path}: expected a mapping with {sections} and so on, got {type(tree).__name__}")
    variables = os.environ if environment is None else environment
    return {str(name): _substitute(value, variables, where=(str(name),)) for name, value in tree.items()}


@overload
def parse_config(tree: Mapping[str, object], *, where: str) -> StationConfig: ...


@overload
def parse_config(tree: Mapping[str, object], *, where: str, model: type[ConfigT]) -> ConfigT: ...


def parse_config(
    tree: Mapping[str, object], *, where: str, model: type[Configuration] = StationConfig
) -> Configuration:
    """Validate a configuration tree.

    Raises:
        ConfigError: as read_config.
    """
    try:
        config = model.model_validate(tree)
    except ValidationError as exc:
        _refuse(faults_of(exc, model), where + _other_role(tree, model))
        raise
    _refuse(config.contradictions(), where)
    return config


def check_against_model(config: StationConfig, contract: ModelContract) -> None:
    """Refuse presence overrides and alert rules for species or call types the model does not know.

    Raises:
        ConfigError: names what it is about, and what the model knows.
    """
    config.presence.check(contract)
    _refuse(unknown_to_model(config.alerts.rules, contract), "alerts")


def _refuse(faults: Sequence[str], where: str) -> None:
    if faults:
        raise ConfigError(f"{where}: {len(faults)} mistake{'s' * (len(faults) > 1)}\n  " + "\n  ".join(faults))


def _other_role(tree: Mapping[str, object], model: type[Configuration]) -> str:
    """What a file is, that was given to another role's command."""
    looks = role_of(tree)
    if looks == model.role:
        return ""
    return f": by its sections it is for `seacanary {COMMANDS[looks]}`; for `seacanary {COMMANDS[model.role]}`"


def _place_of(error: yaml.YAMLError) -> str:
    """Where a fault is and what it is, without the text around it."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return f"{type(error).__name__}: it holds characters that YAML does not allow"


def _substitute(value: Any, variables: Mapping[str, str], *, where: tuple[str, ...]) -> Any:  # YAML is untyped
    if isinstance(value, dict):
        return {k: _substitute(v, variables, where=(*where, str(k))) for k, v in value.items()}
    if isinstance(value, list):
        return [_substitute(v, variables, where=(*where, str(i))) for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value
    missing = [name for name in _VARIABLE.findall(value) if name not in variables]
    if missing:
        raise ConfigError(f"{'.'.join(where)}: environment variable {missing[0]} is not set; got {value!r}")
    return _VARIABLE.sub(lambda match: variables[match.group(1)], value)
