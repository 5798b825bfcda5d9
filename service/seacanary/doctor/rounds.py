"""Rounds: beside a running process, the light checks are made again and again, and its /health carries what they find.

One thread makes them one after the other, so that a disk that hangs holds up this thread alone, and never more of them.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from seacanary.config import Configuration
from seacanary.contract import ModelContract
from seacanary.doctor import sources
from seacanary.doctor.coverage import coverage
from seacanary.doctor.deliveries import deliveries
from seacanary.doctor.disks import disks
from seacanary.doctor.examining import THREADS, Check, failed, hung
from seacanary.doctor.findings import Finding
from seacanary.doctor.folders import folders
from seacanary.doctor.permissions import permissions
from seacanary.doctor.running import gauges_of
from seacanary.doctor.subject import Running, Subject
from seacanary.doctor.timekeeping import timekeeping
from seacanary.doctor.versions import versions
from seacanary.health import Health

# A start has other things to do; then each look is some milliseconds.
FIRST_S, EVERY_S = 5.0, 60.0
END_S = 2.0


def light_checks(subject: Subject) -> list[Check]:
    """Those that open nothing that the process has open, ask nobody outside, and load nothing."""
    return [
        Check("versions", partial(versions, subject)),
        Check("clock", partial(timekeeping, subject)),
        Check("coverage", partial(coverage, subject)),
        Check("permissions", partial(permissions, subject)),
        *(
            Check(f"source {place}-{section.kind}", partial(sources.source, subject, place))
            for place, section in enumerate(subject.sources)
        ),
        Check("folders", partial(folders, subject)),
        Check("disks", partial(disks, subject)),
        Check("deliveries", partial(deliveries, subject)),
    ]


class Rounds:
    """Begun and closed by its owner; read() may be called from any thread."""

    def __init__(
        self,
        subject: Callable[[], Subject],
        *,
        checks: Callable[[Subject], list[Check]] = light_checks,
        first_s: float = FIRST_S,
        every_s: float = EVERY_S,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin.

        Args:
            subject: what is examined, as it is now.
            checks: that are made of it, in their order.
            first_s: wait before the first round.
            every_s: wait between rounds.
            monotonic_s: a clock for intervals.
        """
        self._subject, self._checks, self._monotonic_s = subject, checks, monotonic_s
        self._first_s, self._every_s = first_s, every_s
        self._over = threading.Event()
        # Both are replaced as a whole, so a reader needs no lock.
        self._found: tuple[float, tuple[Finding, ...]] | None = None
        self._making: tuple[float, Check] | None = None
        self._thread = threading.Thread(target=self._run, name=f"{THREADS}rounds", daemon=True)
        self._thread.start()

    def details(self) -> dict[str, object]:
        """What the last whole round found, how old that is, and what hangs in the present one; as JSON knows it."""
        now_s, found, making = self._monotonic_s(), self._found, self._making
        findings = list(found[1]) if found else []
        if making is not None and now_s - making[0] > making[1].limit_s:
            findings.append(hung(making[1]))
        return {
            "findings": [finding.model_dump() for finding in findings],
            "examined_s_ago": round(now_s - found[0], 1) if found else None,
        }

    def close(self) -> None:
        """End; a check that hangs is left behind."""
        self._over.set()
        self._thread.join(END_S)

    def _run(self) -> None:
        wait_s = self._first_s
        while not self._over.wait(wait_s):
            self._round()
            wait_s = self._every_s

    def _round(self) -> None:
        findings: list[Finding] = []
        for check in self._checks(self._subject()):
            if self._over.is_set():
                return
            self._making = (self._monotonic_s(), check)
            try:
                findings += check.look()
            except Exception as exc:  # noqa: BLE001  # whatever one check does wrong, the others are still worth reading
                findings.append(failed(check, exc))
            self._making = None
        self._found = (self._monotonic_s(), tuple(findings))


@contextmanager
def examined(
    config: Callable[[], Configuration],
    read: Callable[[], Health],
    *,
    contract: ModelContract | None = None,
    first_s: float = FIRST_S,
    every_s: float = EVERY_S,
) -> Iterator[Callable[[], Health]]:
    """Make rounds for as long as the process runs.

    Args:
        config: in force; called on any thread.
        read: what it knows of itself; called on any thread.
        contract: of its model; None: call types are left out.
        first_s: wait before the first round.
        every_s: wait between rounds.

    Yields:
        The same, with findings among the details.
    """

    def now() -> Subject:
        in_force = config()
        running = Running(holds=True, health=read().as_json(), gauges=gauges_of(in_force))
        return Subject(config=in_force, contract=contract, running=running)

    rounds = Rounds(now, first_s=first_s, every_s=every_s)

    def told() -> Health:
        health = read()
        return replace(health, details={**health.details, **rounds.details()})

    try:
        yield told
    finally:
        rounds.close()
