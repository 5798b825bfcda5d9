"""The station's configuration: composed of each stage's section, read once."""

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from seacanary.batching import BatchingSection
from seacanary.contract import ModelContract
from seacanary.detection import DetectorSection
from seacanary.errors import ConfigError
from seacanary.guard import GuardSection
from seacanary.metrics import MetricsSection
from seacanary.presence_rules import PresenceSection
from seacanary.publishers.delivery import DeliveryPolicy
from seacanary.publishers.jsonl import JsonLinesSection
from seacanary.publishers.redis_streams import RedisStreamsSection
from seacanary.sources.alsa import AlsaSection
from seacanary.sources.files import FilesSection
from seacanary.sources.network import RtpSection, TcpSection, UdpSection, UrlSection
from seacanary.sources.simulated import SimulatedSection
from seacanary.sources.soundcard import SoundcardSection
from seacanary.sources.supervised import SupervisionPolicy

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
PublisherSection = Annotated[JsonLinesSection | RedisStreamsSection, Field(discriminator="kind")]

_VARIABLE = re.compile(r"\$\{(\w+)\}")


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


class StationConfig(BaseModel):
    """A whole station."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    station: StationSection
    sources: tuple[SourceSection, ...] = Field(min_length=1, description="hydrophone feeds")
    supervision: SupervisionPolicy = SupervisionPolicy()
    model: DetectorSection = DetectorSection()
    batching: BatchingSection = BatchingSection()
    presence: PresenceSection = PresenceSection()
    guard: GuardSection = GuardSection()
    journal: JournalSection = JournalSection()
    publishers: tuple[PublisherSection, ...] = ()
    delivery: DeliveryPolicy = DeliveryPolicy()
    metrics: MetricsSection = MetricsSection()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for what, names in (
            ("hydrophone", [h for source in self.sources for h in source.hydrophone_names]),
            ("publisher", [p.name for p in self.publishers]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{what} names must be unique in a station; used twice: {', '.join(twice)}")
        return self


def read_config(path: Path, environment: Mapping[str, str] | None = None) -> StationConfig:
    """Read a station's YAML file; ${NAME} is replaced from the environment.

    Raises:
        ConfigError: every fault found, each with its path in the file, the value
            and what would be right.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: cannot be read: {exc}") from exc
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise ConfigError(f"{path}: not valid YAML: {exc}") from exc
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected a mapping with station:, sources: and so on, got {type(tree).__name__}")
    variables = os.environ if environment is None else environment
    return parse_config(_substitute(tree, variables, where=()), where=str(path))


def parse_config(tree: Mapping[str, object], *, where: str) -> StationConfig:
    """Validate a configuration tree.

    Raises:
        ConfigError: as read_config.
    """
    try:
        return StationConfig.model_validate(tree)
    except ValidationError as exc:
        faults = [_describe(fault, tree) for fault in exc.errors(include_url=False)]
        raise ConfigError(f"{where}: {len(faults)} mistake{'s' * (len(faults) > 1)}\n  " + "\n  ".join(faults)) from exc


def check_against_model(config: StationConfig, contract: ModelContract) -> None:
    """Refuse presence overrides for species or call types the model does not know.

    Raises:
        ConfigError: names the override and what the model knows.
    """
    config.presence.check(contract)


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


def _describe(fault: Any, tree: object) -> str:  # pydantic's ErrorDetails
    path = _readable_path(fault["loc"], tree)
    name = ".".join(path) or "(top level)"
    if fault["type"] == "missing":
        return f"{name}: missing; it is required"
    if fault["type"] == "extra_forbidden":
        return f"{name}: unknown field, got {_shown(path, fault['input'])}{_suggest(path, tree)}"
    return f"{name}: got {_shown(path, fault['input'])}: {fault['msg']}"


def _readable_path(location: Sequence[int | str], tree: object) -> list[str]:
    """The path as written in the file: without the union tags pydantic puts in."""
    path: list[str] = []
    here = tree
    for step in location:
        if isinstance(here, Mapping) and here.get("kind") == step and step not in here:
            continue
        path.append(str(step))
        if isinstance(here, Mapping):
            here = here.get(step)
        elif isinstance(here, Sequence) and isinstance(step, int) and step < len(here):
            here = here[step]
        else:
            here = None
    return path


def _shown(path: Sequence[str], value: object) -> str:
    if path and any(word in path[-1] for word in ("password", "secret", "token", "url")):
        return "(not shown)"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _suggest(path: Sequence[str], tree: object) -> str:
    known = _known_fields(path[:-1], tree)
    close = difflib.get_close_matches(path[-1], known, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known fields are {', '.join(known)}" if known else ""


def _known_fields(path: Sequence[str], tree: object) -> list[str]:
    """Field names allowed at a path, found by asking the schema what forbids there."""
    model: Any = StationConfig
    here: Any = tree
    for step in path:
        annotation = (
            model.model_fields[step].annotation
            if hasattr(model, "model_fields") and step in model.model_fields
            else model
        )
        here = here[int(step)] if step.isdigit() else here.get(step)
        model = _section_for(annotation, here)
        if model is None:
            return []
    return list(model.model_fields) if hasattr(model, "model_fields") else []


def _section_for(annotation: Any, value: Any) -> Any:
    """The section class that a value of this annotation would be read as; None if unknown."""
    arguments = getattr(annotation, "__args__", ())
    candidates = [a for a in (annotation, *arguments) if hasattr(a, "model_fields")]
    for argument in arguments:
        candidates += [a for a in getattr(argument, "__args__", ()) if hasattr(a, "model_fields")]
    if isinstance(value, list):
        return annotation
    kind = value.get("kind") if isinstance(value, Mapping) else None
    for candidate in candidates:
        field = candidate.model_fields.get("kind")
        if kind is None or field is None or field.default == kind:
            return candidate
    return None
