"""Acknowledging: records in their order, each once all that follows from it is with the brokers.

Faust commits what is acknowledged once a second, and does not look whether what was written meanwhile,
a Table's changelog above all, has arrived: its flush gives up after 0.1 s. So we look ourselves. Order matters too:
Faust takes a record acknowledged out of turn for the end of an unbroken row (it allows a hole of one).
And Faust itself must acknowledge none: it does so when an agent fails, and, where its compiled stream is
missing, for records of before a rebalance that it only skips.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from faust import Event

# Records whose writes are on their way; beyond it the reader waits.
MOST_UNDER_WAY = 1000


class HeldEvent(Event):
    """A record that only we acknowledge."""

    def ack(self) -> bool:
        """Faust's own word on it, which does not count."""
        return False

    def acknowledge(self) -> None:
        """Let it be committed, with those before it.

        One that was read before a rebalance will be read again, and is not committed: its Table may have been
        restored to what was before it.
        """
        if self.app.flow_control.is_active() and self.message.generation_id == self.app.consumer_generation_id:
            super().ack()


@dataclass(frozen=True, slots=True)
class _Under:
    writes: Sequence[Awaitable[object]]
    acknowledge: Callable[[], None]


class Acknowledging:
    """A queue of records that wait for their writes."""

    def __init__(self) -> None:
        self._waiting = asyncio.Queue[_Under](MOST_UNDER_WAY)

    async def after(self, writes: Sequence[Awaitable[object]], acknowledge: Callable[[], None]) -> None:
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
            under.acknowledge()
