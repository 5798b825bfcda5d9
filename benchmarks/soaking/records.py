"""What a soak notes while it runs: lives of the station, readings, faults that struck.

Times `*_s` are seconds of the monotonic clock since the soak began; the station's own clock may be wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

LEDGER = ("elapsed", "captured", "lost", "analysed", "shed", "unobserved", "pending")


@dataclass(frozen=True, slots=True)
class Counts:
    """One hydrophone's ledger, in samples, as the station told it.

    Attributes:
        at_s: when it was asked.
        elapsed, captured, lost, analysed, shed, unobserved, pending: as in seacanary.ledger.LedgerTotals.
    """

    at_s: float
    elapsed: int
    captured: int
    lost: int
    analysed: int
    shed: int
    unobserved: int
    pending: int

    @property
    def balanced(self) -> bool:
        """Whether every sample is in exactly one place."""
        settled = self.analysed + self.shed + self.unobserved + self.pending
        return self.captured + self.lost == self.elapsed and settled == self.captured


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the process took at one moment."""

    at_s: float
    rss_mb: float
    handles: int
    threads: int


@dataclass(slots=True)
class Life:
    """One process of the station, from its start to its end.

    Attributes:
        number: 0 for the first.
        began_s: when it was started.
        ended_s: when it was gone.
        asked: how its end came: killed by the storm, told to stop, or by itself ("none").
        code: exit code.
        counts: readings by hydrophone, in order; at the end of a life in order, its closing account.
        vitals: readings of the process, in order.
        done_before: recordings that the journal knew as heard when it was started.
        closed: whether it left a closing account.
        failures: counts of what must stay at zero.
        told_s: when it was told to stop, and captured nothing more; None: it was not.
    """

    number: int
    began_s: float
    ended_s: float = 0.0
    asked: Literal["killed", "stopped", "none"] = "none"
    code: int | None = None
    counts: dict[str, list[Counts]] = field(default_factory=dict)
    vitals: list[Vitals] = field(default_factory=list)
    done_before: frozenset[str] = frozenset()
    closed: bool = False
    failures: dict[str, float] = field(default_factory=dict)
    told_s: float | None = None


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that really struck.

    Attributes:
        kind: as in plan.KINDS, or "busy": the machine held the soak itself up.
        began_s: when.
        ended_s: when what was broken was whole again.
        detail: what was done, for the report.
    """

    kind: str
    began_s: float
    ended_s: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge found.

    Attributes:
        name: of what was judged.
        violations: what should not be, each as a sentence; none: passed.
        figures: what came out, for the report.
    """

    name: str
    violations: tuple[str, ...] = ()
    figures: Mapping[str, object] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.violations
