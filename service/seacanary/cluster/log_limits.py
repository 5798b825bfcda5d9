"""Log limits: libraries that repeat themselves a hundred times a second while a broker is away say it once a while."""

import logging
import time
from collections.abc import Callable

EVERY_S = 30.0
MOST_KINDS = 500


class LogLimit(logging.Filter):
    """Lets a record of the named loggers through if none like it came through of late; counts the others."""

    def __init__(self, *loggers: str, every_s: float = EVERY_S, monotonic_s: Callable[[], float] = time.monotonic):
        """Prepare; add it to handlers, so that it sees the loggers' children too.

        Args:
            loggers: names; their children are meant as well.
            every_s: how long one that has come through keeps others like it back.
            monotonic_s: a clock for intervals.
        """
        super().__init__()
        self._prefixes = tuple(f"{name}." for name in loggers)
        self._every_s, self._monotonic_s = every_s, monotonic_s
        self._let_through_s: dict[tuple[str, str], float] = {}
        self._held_back: dict[tuple[str, str], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record goes on; the first after some were held back says how many."""
        if not f"{record.name}.".startswith(self._prefixes):
            return True
        kind, now_s = (record.name, str(record.msg)), self._monotonic_s()
        if now_s - self._let_through_s.get(kind, -self._every_s) < self._every_s:
            self._held_back[kind] = self._held_back.get(kind, 0) + 1
            return False
        if len(self._let_through_s) >= MOST_KINDS:
            self._let_through_s.clear()
        self._let_through_s[kind] = now_s
        held_back = self._held_back.pop(kind, 0)
        if held_back:
            record.msg, record.args = f"{record.getMessage()} (and {held_back} more like it)", ()
        return True
