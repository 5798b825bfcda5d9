"""Examining: each check on a thread of its own, none longer than its limit, none harmed by another's failure."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from seacanary.doctor.findings import Finding, unknown
from seacanary.errors import SeaCanaryError

T = TypeVar("T")

LIMIT_S = 15.0
THREADS = "doctor "


@dataclass(frozen=True, slots=True)
class Check:
    """Something to look at.

    Attributes:
        name: of the check.
        look: looks, and says what it found; may block, hang or fail.
        limit_s: how long it is waited for.
    """

    name: str
    look: Callable[[], Iterable[Finding]]
    limit_s: float = LIMIT_S


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of a check."""

    name: str
    findings: tuple[Finding, ...]
    took_s: float


class _Attempt(Generic[T]):
    """A call on a thread of its own, which is left behind if it does not come back."""

    def __init__(self, name: str, call: Callable[[], T]) -> None:
        self._call = call
        self._result: list[T] = []
        self._failure: BaseException | None = None
        self._began_s = time.monotonic()
        self.took_s = 0.0
        self._thread = threading.Thread(target=self._run, name=f"{THREADS}{name}", daemon=True)
        self._thread.start()

    def result(self, limit_s: float) -> T:
        """What the call returned, or raised.

        Raises:
            TimeoutError: it has taken longer than the limit, counted from its beginning.
        """
        self._thread.join(max(0.0, self._began_s + limit_s - time.monotonic()))
        self.took_s = time.monotonic() - self._began_s
        if self._thread.is_alive():
            raise TimeoutError
        if self._failure is not None:
            raise self._failure
        return self._result[0]

    def _run(self) -> None:
        try:
            self._result.append(self._call())
        except BaseException as exc:  # noqa: BLE001  # raised again where the result is asked for
            self._failure = exc


def within(name: str, call: Callable[[], T], *, limit_s: float) -> T:
    """Call, and wait no longer than the limit.

    Raises:
        TimeoutError: it has not come back; it is left behind.
    """
    return _Attempt(name, call).result(limit_s)


def left_behind() -> bool:
    """Whether a check that did not come back in time still runs."""
    return any(thread.name.startswith(THREADS) for thread in threading.enumerate())


def examine(checks: Sequence[Check]) -> list[Checked]:
    """Run checks side by side; what each came to, in their order."""
    attempts = [_Attempt(check.name, lambda check=check: tuple(check.look())) for check in checks]  # type: ignore[misc]  # mypy cannot infer a lambda with a default
    return [_concluded(check, attempt) for check, attempt in zip(checks, attempts, strict=True)]


def _concluded(check: Check, attempt: _Attempt[tuple[Finding, ...]]) -> Checked:
    try:
        findings = attempt.result(check.limit_s)
    except TimeoutError:
        findings = (hung(check),)
    except Exception as exc:  # noqa: BLE001  # whatever one check does wrong, the others are still worth reading
        findings = (failed(check, exc),)
    return Checked(check.name, findings, round(attempt.took_s, 2))


def hung(check: Check) -> Finding:
    """It has taken longer than its limit."""
    return unknown(
        check.name,
        f"no answer within {check.limit_s:g} s",
        means="what this check asks hangs: a disk, a driver, a name server or a far side that takes the call and says "
        "nothing; the station would wait for it too",
        remedy="see the system's log (dmesg, journalctl -k) for a disk or driver in trouble; try the command again",
    )


def failed(check: Check, exc: Exception) -> Finding:
    """It could not be made."""
    kind = "" if isinstance(exc, SeaCanaryError) else f"{type(exc).__name__}: "
    return unknown(
        check.name,
        f"the check could not be made: {kind}{exc}",
        means="nothing is known of what it looks at",
        remedy="if the reason does not tell what to do, report it as a fault of seacanary",
    )
