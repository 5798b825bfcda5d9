"""Acknowledging: records in their order, each once all that follows from it is with the brokers.

Faust commits what is acknowledged once a second, and does not look whether what was written meanwhile,
a Table's changelog above all, has arrived: its flush gives up after 0.1 s. So we look ourselves. Order matters too:
Faust takes a record acknowledged out of turn for the end of an unbroken row (it allows a hole of one).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

# Records whose writes are on their way; beyond it the reader waits.
MOST_UNDER_WAY = 1000


@dataclass(frozen=True, slots=True)
class _Under:
    writes: Sequence[Awaitable[object]]
    acknowledge: Callable[[], Awaitable[object]]


class Acknowledging:
    """A queue of records that wait for their writes."""

    def __init__(self) -> None:
        self._waiting = asyncio.Queue[_Under](MOST_UNDER_WAY)

    async def after(self, writes: Sequence[Awaitable[object]], acknowledge: Callable[[], Awaitable[object]]) -> None:
        """Acknowledge a record once its writes, and all records before it, are done."""
        await self._waiting.put(_Under(writes, acknowledge))

    async def run(self) -> None:
        """Acknowledge until cancelled.

        Raises:
            Exception: a write has failed for good; nothing after it is acknowledged.
        """
        while True:
            under = await self._waiting.get()
            for write in under.writes:
                await write
            await under.acknowledge()
