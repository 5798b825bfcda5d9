"""Where one section of a configuration speaks of what another, the role or the model has not: each as one line.

Like config_faults: path, value, and what would be right.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from seacanary.alerts.rules import AlertRule
from seacanary.contract import ModelContract
from seacanary.publishers.selection import Selection

# Cursors of the station's own readers of the journal begin with it; no publisher may share one.
OURS = "@"

ProcessRole = Literal["station", "edge", "worker"]
COMMANDS: Mapping[ProcessRole, str] = {"station": "run", "edge": "edge", "worker": "worker"}


def role_of(tree: Mapping[str, object]) -> ProcessRole:
    """Which role a configuration is of, by the sections it has."""
    if "station" in tree or "sources" in tree:
        return "edge" if "edge" in tree or "kafka" in tree else "station"
    return "worker" if "worker" in tree or "kafka" in tree else "station"


def names_of_our_own(publishers: Sequence[str]) -> list[str]:
    """Publishers whose names are kept for the station itself."""
    return [
        f"publishers.{i}.name: got '{name}': names that begin with '{OURS}' are the station's own; choose another"
        for i, name in enumerate(publishers)
        if name.startswith(OURS)
    ]


def used_twice(publishers: Sequence[str]) -> list[str]:
    """Publishers that share a name, and so would share how far they have come."""
    return [
        f"publishers.{i}.name: got '{name}': publisher names must be unique, and this one is taken"
        for i, name in enumerate(publishers)
        if name in publishers[:i]
    ]


def idle_at_workers(publishers: Sequence[object]) -> list[str]:
    """Publishers that carry nothing a worker has: they would wait for ever, in silence."""
    return [
        f"publishers.{i}.events: got {list(publisher.events)}: a worker has presence and conditions alone, alerts are "
        "made by stations; write [presence]"
        for i, publisher in enumerate(publishers)
        if isinstance(publisher, Selection) and not {"presence", "conditions"} & set(publisher.events)
    ]


def unknown_rules(publishers: Sequence[object], rules: Sequence[str]) -> list[str]:
    """Publishers that carry alerts of rules there are not: they would wait for ever, in silence."""
    return [
        fault
        for i, publisher in enumerate(publishers)
        if isinstance(publisher, Selection)
        for fault in _unknown(f"publishers.{i}.rules", publisher.rules, rules, why="alerts.rules has no such rule")
    ]


def unknown_hydrophones(rules: Sequence[AlertRule], known: Sequence[str], *, recordings: Iterable[str]) -> list[str]:
    """Alert rules that listen to hydrophones no source has.

    Args:
        rules: of the alerts section.
        known: names of hydrophones.
        recordings: names of recordings, whose channels are called NAME-ch1 and so on.
    """
    channel = re.compile(rf"({'|'.join(map(re.escape, recordings))})-ch\d+")
    faults = []
    for i, rule in enumerate(rules):
        channels = [name for name in rule.hydrophones if channel.fullmatch(name)]
        path = f"alerts.rules.{i}.hydrophones"
        faults += _unknown(path, rule.hydrophones, [*known, *channels], why="no source has such a hydrophone")
    return faults


def unknown_to_model(rules: Sequence[AlertRule], contract: ModelContract) -> list[str]:
    """Alert rules about species or call types the model does not know."""
    species = sorted({call_type.species for call_type in contract.call_types})
    why = "the model does not know it"
    faults = []
    for i, rule in enumerate(rules):
        faults += _unknown(f"alerts.rules.{i}.species", rule.species, species, why=why)
        faults += _unknown(f"alerts.rules.{i}.call_types", rule.call_types, contract.call_type_names, why=why)
    return faults


def _unknown(path: str, named: Sequence[str], known: Sequence[str], *, why: str) -> list[str]:
    return [
        f"{path}.{i}: got '{name}': {why}{_suggestion(name, known)}"
        for i, name in enumerate(named)
        if name not in known
    ]


def _suggestion(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known are {', '.join(known)}" if known else "; there are none"
