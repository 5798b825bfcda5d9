"""Looking into a journal from outside: the latest events, and delivering again."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Rewound:
    """What rewinding came to.

    Attributes:
        publisher: its name.
        from_sequence: sequence up to which it had delivered.
        to_sequence: sequence it goes on after; never beyond from_sequence.
        waiting: events after that, which it is offered at the next start.
    """

    publisher: str
    from_sequence: int
    to_sequence: int
    waiting: int


async def rewind_publisher(path: Path, publisher: str, *, after: int) -> Rewound:
    """Have a publisher go through the journal again from a sequence on.

    Destinations recognise what they still hold, so this doubles nothing: it fills
    what a destination has lost. Redis compares with its stream, which cannot be filled
    in the middle; JSON Lines compares with the lines of its files. To have everything
    written anew, remove the file or the stream first.

    Args:
        path: the journal.
        publisher: name of its cursor.
        after: sequence to go on after; the present place, if that is lower.

    Raises:
        JournalError: no journal, or a running station holds it.
    """
    # Opening to write would begin a journal where there is none.
    await (await Journal.open_to_read(path)).aclose()
    async with await Journal.open(path) as journal:
        delivered = await journal.cursor(publisher)
        to_sequence = min(after, delivered)
        await journal.move_cursor(publisher, to_sequence)
        return Rewound(publisher, delivered, to_sequence, waiting=journal.head - to_sequence)
