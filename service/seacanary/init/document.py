"""The document: answers as a commented YAML file, and nothing of it that reading it again would change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

Tree = Mapping[str, object]

HEAD = """\
# Station {name}, written by `seacanary init`. Change what you like, then ask: seacanary check, seacanary doctor.
# Every field there is: seacanary schema config. What they mean: docs/operator-guide.md.
"""
STATION = "Who and where this is. The name is part of every event's id: keep it once events have been published."
SOURCES = """\
Hydrophones. A device is called by its name, as `seacanary devices` shows it; each channel is a hydrophone.
Porpoise clicks need 384 kHz; what a lower rate cannot carry counts as unobserved, never as absence."""
MODEL = "The model: a folder with transform.onnx and model.onnx. Without this section, the bundled one."
JOURNAL = "Every event is here first, until and after it has been delivered. Keep it over upgrades."
EFFORT = """\
When each hydrophone was listened to, a CSV file for each month: without it nobody can tell an hour without animals
from an hour in which nobody listened."""
PUBLISHERS = """\
Where events go. One that is away gets all it missed once it is back. Passwords and keys are in files of their own
that others cannot read."""
ALERTS = """\
Whom to tell of what: one rule for each species; webhooks and channels carry the alerts of all rules (docs/alerts.md).
A bout of calls is one alert, with its end and a word every 15 minutes in between."""
FURTHER = """\

# Further parts, each explained in docs/operator-guide.md; take out the '# ' to use them.
#
# evidence: {path: state/evidence}     # sound and picture of every event
# retention: {max_age_days: 90}        # how long they are kept
# selftest: {}                         # how much of what is there would be heard today
# web: {port: 8320}                    # pages to look at events and judge them
# metrics: {host: 127.0.0.1, port: 9108}
"""


@dataclass(frozen=True, slots=True)
class Answers:
    """All that was asked, as a configuration names it.

    Attributes:
        station: name and position.
        sources: each source's section.
        publishers: each publisher's section; secrets are named by file.
        rules: of alerts.
        model: folder of the model; None: the bundled one.
        journal: path of the journal.
    """

    station: Tree
    sources: Sequence[Tree]
    journal: Path
    publishers: Sequence[Tree] = ()
    rules: Sequence[Tree] = ()
    model: Path | None = None


def tree_of(answers: Answers) -> dict[str, object]:
    """The configuration as YAML will read it."""
    return {name: value for _, section in _sections(answers) for name, value in section.items()}


def document_of(answers: Answers) -> str:
    """The configuration as a person will read it; as YAML it is tree_of(answers)."""
    parts = [HEAD.format(name=answers.station["name"])]
    for comment, section in _sections(answers):
        lines = "".join(f"# {line}\n" for line in comment.splitlines())
        parts.append(f"\n{lines}{_yaml(section)}")
    return "".join(parts) + FURTHER


def _sections(answers: Answers) -> list[tuple[str, dict[str, object]]]:
    sections: list[tuple[str, dict[str, object]]] = [
        (STATION, {"station": dict(answers.station)}),
        (SOURCES, {"sources": [dict(source) for source in answers.sources]}),
    ]
    if answers.model is not None:
        sections.append((MODEL, {"model": {"path": str(answers.model)}}))
    sections.append((JOURNAL, {"journal": {"path": str(answers.journal)}}))
    sections.append((EFFORT, {"effort": {"path": str(answers.journal.with_name("effort"))}}))
    if answers.publishers:
        sections.append((PUBLISHERS, {"publishers": [dict(publisher) for publisher in answers.publishers]}))
    if answers.rules:
        sections.append((ALERTS, {"alerts": {"rules": [dict(rule) for rule in answers.rules]}}))
    return sections


def _yaml(section: Tree) -> str:
    return yaml.safe_dump(section, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)
