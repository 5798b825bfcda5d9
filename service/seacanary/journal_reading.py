"""Looking into a journal from outside: the latest events, and delivering again."""

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path

from seacanary.events import JournalEntry
from seacanary.journal import Journal

POLL_S = 0.5


async def tail_journal(path: Path, *, count: int, follow: bool, show: Callable[[JournalEntry], None]) -> None:
    """Show the last events, then, if asked, each new one as it arrives.

    Args:
        path: the journal; a running station may be writing it.
        count: events to begin with.
        follow: go on until cancelled.
        show: called with each entry, in order.

    Raises:
        JournalError: there is no readable journal.
    """
    async with await Journal.open_to_read(path) as journal:
        latest = deque[JournalEntry](maxlen=count)
        sequence = 0
        async for entry in journal.entries():
            latest.append(entry)
            sequence = entry.sequence
        for entry in latest:
            show(entry)
        while follow:
            await asyncio.sleep(POLL_S)  # the writer is another process, which cannot wake us
            async for entry in journal.entries(after=sequence):
                show(entry)
                sequence = entry.sequence


async def rewind_publisher(path: Path, publisher: str, *, after: int) -> int:
    """Have everything after a sequence delivered again; returns how many events that is.

    Raises:
        JournalError: no journal, or a running station holds it.
    """
    async with await Journal.open(path) as journal:
        await journal.move_cursor(publisher, min(after, journal.head))
        return max(0, journal.head - after)
