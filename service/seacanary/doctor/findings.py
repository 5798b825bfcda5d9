"""Finding: one thing that was looked at: what was seen, what it means, and what to do."""

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Severity = Literal["ok", "unknown", "warning", "broken"]

# From good to bad; what could not be looked at is no more than a warning.
RANKS: dict[Severity, int] = {"ok": 0, "unknown": 1, "warning": 1, "broken": 2}


class Finding(BaseModel):
    """What one look gave."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="what was looked at")
    severity: Severity
    seen: str = Field(description="what was seen, as a sentence")
    means: str = Field("", description="what that means for the station; empty: nothing is wrong")
    remedy: str = Field("", description="what to do; empty: nothing")


def ok(name: str, seen: str) -> Finding:
    """Nothing is wrong."""
    return Finding(name=name, severity="ok", seen=seen)


def unknown(name: str, seen: str, *, means: str, remedy: str) -> Finding:
    """It could not be looked at."""
    return Finding(name=name, severity="unknown", seen=seen, means=means, remedy=remedy)


def warning(name: str, seen: str, *, means: str, remedy: str) -> Finding:
    """The station works, and less well than it could, or not for long."""
    return Finding(name=name, severity="warning", seen=seen, means=means, remedy=remedy)


def broken(name: str, seen: str, *, means: str, remedy: str) -> Finding:
    """Something does not work."""
    return Finding(name=name, severity="broken", seen=seen, means=means, remedy=remedy)


def exit_code(findings: Iterable[Finding]) -> int:
    """0 all is well, 1 something may not be, 2 something is broken."""
    return max((RANKS[finding.severity] for finding in findings), default=0)
