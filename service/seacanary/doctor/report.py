"""The doctor's report: a table for people, one JSON object for machines."""

from collections import Counter
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from seacanary import __version__
from seacanary.doctor.examining import Checked
from seacanary.doctor.findings import Finding, Severity, exit_code

STYLES: dict[Severity, str] = {"ok": "green", "unknown": "magenta", "warning": "yellow", "broken": "red"}


def findings_of(report: Sequence[Checked]) -> list[Finding]:
    """All of them, in order."""
    return [finding for checked in report for finding in checked.findings]


def as_table(report: Sequence[Checked]) -> Table:
    """A row for each finding; of what is wrong, also what it means and what to do."""
    table = Table(show_lines=False, pad_edge=False, box=None, padding=(0, 2, 0, 0))
    for heading in ("", "looked at", "what was seen"):
        table.add_column(heading, overflow="fold")
    for finding in findings_of(report):
        style = STYLES[finding.severity]
        table.add_row(Text(finding.severity, style), Text(finding.name), _told(finding, style))
    return table


def _told(finding: Finding, style: str) -> Text:
    told = Text(finding.seen, style if finding.severity != "ok" else "")
    if finding.means:
        told.append(f"\nmeans: {finding.means}", "default")
    if finding.remedy:
        told.append(f"\ndo: {finding.remedy}", "bold default")
    return told


def in_a_sentence(report: Sequence[Checked], *, left_out: Sequence[str] = ()) -> Text:
    """How many of which, and what was not looked at."""
    counts = Counter(finding.severity for finding in findings_of(report))
    parts = [
        f"{counts[severity]} {severity}" for severity in ("broken", "warning", "unknown", "ok") if counts[severity]
    ]
    verdict, style = (("all is well", "green"), ("it works, but", "yellow"), ("something is broken", "red"))[
        exit_code(findings_of(report))
    ]
    rest = f"; left out: {', '.join(left_out)}" if left_out else ""
    return Text.assemble((verdict, style), f": {', '.join(parts)}{rest}")


def as_object(
    report: Sequence[Checked], *, config: str | None, role: str | None, left_out: Sequence[str]
) -> dict[str, object]:
    """All of it, for machines."""
    findings = findings_of(report)
    return {
        "type": "doctor",
        "version": __version__,
        "config": config,
        "role": role,
        "exit_code": exit_code(findings),
        "findings": [
            {"check": checked.name, **finding.model_dump()} for checked in report for finding in checked.findings
        ],
        "skipped": list(left_out),
        "took_s": {checked.name: checked.took_s for checked in report},
    }
