"""JournalPulse: writes a little into the journal again and again, so that it is known that it can be written."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Never

from seacanary.errors import JournalError
from seacanary.journal import Journal

STATE_KEY = "@station/pulse"
PULSE_S = 10.0
# Publishers and capture live through an outage of the disk; only one that lasts is worth starting again for.
PATIENCE_S = 60.0


class JournalPulse:
    """One journal's pulse; failing() tells when it has stopped."""

    def __init__(self, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """Begin as if the journal had just been written: it has just been opened for that."""
        self._monotonic_s = monotonic_s
        self._wrote_s = monotonic_s()
        self._refusal = ""

    async def run(self, journal: Journal) -> Never:
        """Write until cancelled; a journal that refuses is tried again at the next beat."""
        while True:
            await asyncio.sleep(PULSE_S)
            try:
                await journal.append((), states={STATE_KEY: datetime.now(UTC).isoformat(timespec="seconds")})
            except JournalError as exc:
                self._refusal = f": {exc}"
            else:
                self._wrote_s, self._refusal = self._monotonic_s(), ""

    def failing(self) -> tuple[str, ...]:
        """Why the journal cannot be written, as a sentence; empty: it can."""
        quiet_s = self._monotonic_s() - self._wrote_s
        if quiet_s <= PATIENCE_S:
            return ()
        return (f"the journal could not be written for {quiet_s:.0f} s{self._refusal}",)
