"""PromQL in small pieces, so that a query reads as what it asks.

`$station`, `$hydrophone` and `$species` are the dashboards' variables;
`$__interval`, `$__rate_interval` and `$__range` are filled in by Grafana.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

EVERYWHERE = ""
STATION = 'station=~"$station"'
HYDROPHONE = f'{STATION},hydrophone=~"$hydrophone"'
SPECIES = f'{HYDROPHONE},species=~"$species"'

Form = Literal["series", "now", "buckets", "rows_now", "rows"]


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel.

    Attributes:
        expr: PromQL.
        legend: name of each series, with {{label}} in it.
        form: `series` over time; `now`, the latest value of each; `buckets` of a histogram over time;
            `rows_now` and `rows`, the same as table rows.
    """

    expr: str
    legend: str = "__auto"
    form: Form = "series"


def of(name: str, scope: str, **labels: str) -> str:
    """A selector: one of our metrics in a scope, some labels fixed; a value with | in it is a choice."""
    fixed = (f'{key}{"=~" if "|" in value else "="}"{value}"' for key, value in labels.items())
    matchers = ",".join(part for part in (scope, *fixed) if part)
    return f"seacanary_{name}{{{matchers}}}"


def rate(selector: str) -> str:
    """Per second, over the shortest stretch that holds enough scrapes."""
    return f"rate({selector}[$__rate_interval])"


def grown(selector: str, over: str = "$__range") -> str:
    """How much a counter grew; its series must exist before they are first counted up."""
    return f"increase({selector}[{over}])"


def by(labels: str, inner: str, how: str = "sum") -> str:
    """Aggregate, keeping some labels."""
    return f"{how} by ({labels}) ({inner})"


def share(part: str, whole: str, *, labels: str) -> str:
    """One sum over another, both by the same labels; nothing where the whole is zero."""
    return f"{by(labels, part)} / ({by(labels, whole)} > 0)"


def quantile(q: float, selector: str, *, labels: str = "") -> str:
    """A quantile of a histogram; the selector names its buckets."""
    kept = f"le, {labels}" if labels else "le"
    return f"histogram_quantile({q}, {by(kept, rate(selector))})"


def of_disk(name: str, scope: str = STATION) -> str:
    """A gauge of the evidence disk, least of each station; nothing where no evidence is kept and it means nothing."""
    return f"{by('station', of(name, scope), 'min')} and on (station) {by('station', of('evidence_state', scope))}"


def coded(selector_of: Mapping[int, str], *, labels: str) -> str:
    """One number for the state that holds: series that are 1 for their state, times the state's code.

    Args:
        selector_of: selector of each state's series, by code; the highest code wins.
        labels: what tells the things apart that have a state.

    Returns:
        PromQL; no sample for a thing none of whose states was scraped.
    """
    terms = (f"max_over_time({selector}[$__rate_interval]) * {code}" for code, selector in selector_of.items())
    return by(labels, " or ".join(terms), "max")
