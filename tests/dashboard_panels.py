"""The committed dashboards as tests see them: panels, queries, and variables filled in as Grafana does."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser

FOLDER = Path(__file__).parents[1] / "dashboards"
FILES = sorted(FOLDER.glob("*.json"))


@dataclass(frozen=True)
class PanelQuery:
    """One query of one panel."""

    dashboard: str
    panel: str
    letter: str
    expr: str
    instant: bool

    def __str__(self) -> str:
        return f"{self.dashboard} / {self.panel} / {self.letter}"


def dashboard(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def panels(tree: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All panels but the rows."""
    return [panel for panel in tree["panels"] if panel["type"] != "row"]


def queries() -> Iterator[PanelQuery]:
    """Every query of every panel of every dashboard."""
    for path in FILES:
        for panel in panels(dashboard(path)):
            for target in panel["targets"]:
                yield PanelQuery(path.stem, panel["title"], target["refId"], target["expr"], bool(target["instant"]))


def filled_in(expr: str, variables: Mapping[str, str]) -> str:
    """Replace $name and ${name}, longest name first, and leave no variable behind."""
    for name in sorted(variables, key=len, reverse=True):
        expr = re.sub(rf"\$(?:{re.escape(name)}\b|\{{{re.escape(name)}\}})", lambda _, n=name: variables[n], expr)
    left = re.findall(r"\$(?!\d)\{?\w+", expr)
    assert not left, f"no value for {left} in {expr}"
    return expr


def metric_names(expr: str) -> set[str]:
    """Metric names of a PromQL expression.

    Raises:
        ValueError: it is none.
    """
    return set(_names(promql_parser.parse(expr)))


def _names(node: Any) -> Iterator[str]:
    if isinstance(node, promql_parser.VectorSelector):
        yield node.name
        return
    inner = [getattr(node, part, None) for part in ("expr", "lhs", "rhs", "vector_selector", "param")]
    for child in [*inner, *getattr(node, "args", ())]:
        if isinstance(child, promql_parser.Expr):
            yield from _names(child)
