"""Health: whether a process is alive and does its work, posted by its loop and read by whoever probes it.

Two questions, two answers. A process that fails must be started again: its loop hangs, or nothing it finds can be
kept. One that is not ready does not do its work now, and starting it again would not help: a hydrophone is unplugged,
brokers are away, it has only begun.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import MappingProxyType

from pydantic import BaseModel

from seacanary import __version__

# Nothing holds the loop beyond 10 ms; a machine that swaps may hold the whole process for seconds.
LOOP_S = 30.0
# A journal of gigabytes is looked through before the loop begins to post.
STARTING_S = 600.0

NOTHING: Mapping[str, object] = MappingProxyType({})


def digest_of(config: BaseModel) -> str:
    """Tells one configuration from another, and nothing of what is in it; secrets are left out of it."""
    return hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a process knows of itself at one moment.

    Attributes:
        failing: why it must be started again, as sentences; empty: it need not.
        unready: why it does not do its work, as sentences; empty: it does.
        details: more of it, as JSON knows it.
        standstill: why it does none of its work at all, as sentences; empty: it does some.
    """

    failing: tuple[str, ...] = ()
    unready: tuple[str, ...] = ()
    details: Mapping[str, object] = field(default_factory=lambda: NOTHING)
    standstill: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Health:
    """What a probe is told.

    Attributes:
        failing: as in Vitals, with what the loop cannot say of itself.
        unready: as in Vitals.
        details: as in Vitals, with the role and the versions.
        standstill: as in Vitals; a process that is starting does nothing yet.
    """

    failing: tuple[str, ...]
    unready: tuple[str, ...]
    details: Mapping[str, object]
    standstill: tuple[str, ...] = ()

    @property
    def is_alive(self) -> bool:
        """Whether it should be left running."""
        return not self.failing

    @property
    def is_ready(self) -> bool:
        """Whether it does its work."""
        return not self.failing and not self.unready

    @property
    def is_working(self) -> bool:
        """Whether it does at least some of its work, and keeps what it finds."""
        return not self.failing and not self.standstill

    def as_json(self) -> dict[str, object]:
        """All of it, for machines."""
        return {
            "alive": self.is_alive,
            "ready": self.is_ready,
            "failing": list(self.failing),
            "unready": list(self.unready),
            **self.details,
        }


# Something beside the process that adds to what it knows of itself, for as long as it runs.
Examined = Callable[[Callable[[], Health]], AbstractContextManager[Callable[[], Health]]]


class HealthBoard:
    """Where the loop posts its vitals; read() may be called from any thread."""

    def __init__(
        self,
        role: str,
        *,
        facts: Mapping[str, object] = NOTHING,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin: the process is starting.

        Args:
            role: station, edge or worker.
            facts: what holds for as long as the process runs: its model, its configuration.
            monotonic_s: a clock for intervals.
        """
        self._facts = {"role": role, "versions": {"seacanary": __version__}, **facts}
        self._monotonic_s = monotonic_s
        self._began_s = monotonic_s()
        self._posted: tuple[float, Vitals] | None = None  # replaced as a whole, so a reader needs no lock

    def post(self, vitals: Vitals) -> None:
        """Take the place of what was posted before."""
        self._posted = (self._monotonic_s(), vitals)

    def read(self) -> Health:
        """What is known now; a loop that has stopped posting hangs."""
        now_s, posted = self._monotonic_s(), self._posted
        facts = {**self._facts, "running_s": round(now_s - self._began_s, 1)}
        if posted is None:
            return self._starting(now_s - self._began_s, facts)
        posted_s, vitals = posted
        quiet_s = now_s - posted_s
        hanging = (f"the event loop has not turned for {quiet_s:.0f} s",) if quiet_s > LOOP_S else ()
        failing = (*hanging, *vitals.failing)
        return Health(failing, vitals.unready, {**facts, **vitals.details}, vitals.standstill)

    def _starting(self, since_s: float, facts: Mapping[str, object]) -> Health:
        failing = (f"it has not begun its work within {since_s:.0f} s",) if since_s > STARTING_S else ()
        starting = ("it is starting",)
        return Health(failing, starting, facts, starting)
