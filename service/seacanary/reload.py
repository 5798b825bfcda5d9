"""What a changed configuration changes in a running station, and what has to wait for a restart. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeGuard

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from seacanary.config import PublisherSection, StationConfig, check_against_model
from seacanary.contract import ModelContract
from seacanary.errors import ConfigError
from seacanary.wiring import delivery_policy

# Sections that a running station takes over. All others need a restart.
LIVE = ("presence", "alerts", "publishers", "delivery")

ReloadOutcome = Literal["applied", "partly", "refused"]


class ReloadReport(BaseModel):
    """What came of reading the configuration again.

    The wire format of /health, so a reader of another version passes over what it does not know.
    """

    model_config = ConfigDict(frozen=True)

    number: int = Field(description="requests heard until the file was read, since the process began")
    at: AwareDatetime = Field(description="when it was read")
    outcome: ReloadOutcome = Field(description="partly: something needs a restart, the rest is in force")
    changes: tuple[str, ...] = Field((), description="what is in force now and was not before")
    restart: tuple[str, ...] = Field((), description="fields of the file that wait for a restart")
    reason: str = Field("", description="refused: why; nothing was changed")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done about a changed configuration.

    Attributes:
        config: that will be in force: the running one, with what can be changed now.
        changes: what that changes, a sentence each; no secret is in them.
        restart: fields that wait for a restart.
    """

    config: StationConfig
    changes: tuple[str, ...]
    restart: tuple[str, ...]

    @property
    def outcome(self) -> ReloadOutcome:
        """What carrying it out comes to."""
        return "partly" if self.restart else "applied"


def plan_of(
    running: StationConfig, wanted: StationConfig, contract: ModelContract, *, renewed: Collection[str] = ()
) -> Plan:
    """Tell what can be changed now from what cannot.

    Args:
        running: the configuration in force.
        wanted: the file's, valid by itself.
        contract: of the running model.
        renewed: publishers that name a file (a secret, certificates) whose content has changed.

    Raises:
        ConfigError: what could be changed now speaks of what only a restart would bring.
    """
    config = running.model_copy(update={section: getattr(wanted, section) for section in LIVE})
    restart = tuple(
        path
        for section in type(running).model_fields
        if section not in LIVE
        for path in differing(getattr(running, section), getattr(wanted, section), section)
    )
    _check(config, contract, restart)
    changes = (*_presence_changes(running, wanted), *_alert_changes(running, wanted))
    return Plan(config, (*changes, *_publisher_changes(running, wanted, renewed)), restart)


def _check(config: StationConfig, contract: ModelContract, restart: Sequence[str]) -> None:
    faults = config.contradictions()
    try:
        check_against_model(config, contract)
    except ConfigError as exc:
        faults.append(str(exc))
    if faults:
        waiting = f" before {', '.join(restart)} can change, which needs a restart" if restart else ""
        raise ConfigError(f"this cannot be in force{waiting}:\n  " + "\n  ".join(faults))


def differing(before: object, after: object, path: str) -> list[str]:
    """Paths of the fields in which two values differ, as deep as both have the same shape."""
    if before == after:
        return []
    inside = _both_inside(before, after)
    return [p for name, (a, b) in inside.items() for p in differing(a, b, f"{path}.{name}")] if inside else [path]


def _both_inside(before: object, after: object) -> dict[str, tuple[object, object]]:
    """What two values hold, by name; empty where that cannot be compared piece by piece."""
    if isinstance(before, BaseModel) and type(before) is type(after):
        return {name: (getattr(before, name), getattr(after, name)) for name in type(before).model_fields}
    if isinstance(before, dict) and isinstance(after, dict):
        return {str(name): (before.get(name), after.get(name)) for name in [*before, *(after.keys() - before.keys())]}
    if _are_models(before) and _are_models(after) and len(before) == len(after):
        return {str(i): pair for i, pair in enumerate(zip(before, after, strict=True))}
    return {}


def _are_models(value: object) -> TypeGuard[tuple[BaseModel, ...]]:
    return isinstance(value, tuple) and all(isinstance(item, BaseModel) for item in value)


def _presence_changes(running: StationConfig, wanted: StationConfig) -> Iterator[str]:
    before, after = running.presence, wanted.presence
    for path in differing(before, after, "presence"):
        yield f"{path}: {_found(before, path)} -> {_found(after, path)}"


def _found(section: BaseModel, path: str) -> str:
    """What stands at a path, in a few words."""
    value: object = section
    for name in path.split(".")[1:]:
        value = value.get(name) if isinstance(value, Mapping) else getattr(value, name)
    match value:
        case None:
            return "none"
        case BaseModel():
            return ", ".join(f"{name} {said:g}" for name, said in value.model_dump(exclude_none=True).items())
        case _:
            return f"{value}"


def _alert_changes(running: StationConfig, wanted: StationConfig) -> Iterator[str]:
    before = {rule.name: rule for rule in running.alerts.rules}
    after = {rule.name: rule for rule in wanted.alerts.rules}
    if running.alerts.max_age_s != wanted.alerts.max_age_s:
        yield f"alerts.max_age_s: {running.alerts.max_age_s:g} -> {wanted.alerts.max_age_s:g}"
    yield from _changes_by_name("alert rule", before, after)


def _publisher_changes(running: StationConfig, wanted: StationConfig, renewed: Collection[str]) -> Iterator[str]:
    before = {section.name: section for section in running.publishers}
    after = {section.name: section for section in wanted.publishers}
    yield from _changes_by_name("publisher", before, after)
    for name in sorted(before.keys() & after.keys()):
        if before[name] != after[name]:
            continue
        if _policy(running, before[name]) != _policy(wanted, after[name]):
            yield f"publisher {name} changed: delivery"
        elif name in renewed:
            yield f"publisher {name} changed: content of a file it names"


def _policy(config: StationConfig, section: PublisherSection) -> BaseModel:
    return delivery_policy(section, config.delivery)


def _changes_by_name(what: str, before: Mapping[str, BaseModel], after: Mapping[str, BaseModel]) -> Iterator[str]:
    for name in [*before, *(name for name in after if name not in before)]:
        if name not in after:
            yield f"{what} {name} removed"
        elif name not in before:
            yield f"{what} {name} added"
        elif before[name] != after[name]:
            fields = differing(before[name], after[name], name)
            yield f"{what} {name} changed: {', '.join(path.removeprefix(f'{name}.') for path in fields)}"
