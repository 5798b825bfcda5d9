"""Taking back: a restored journal learns from Redis what was told after the backup was taken.

Without that, what happened since would be unknown to the journal though it is known to the world: a recording that is
read again would be told again, under the same ids but in new places of the stream, where Redis cannot know them.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from seacanary.config import StationConfig
from seacanary.errors import DeliveryError, JournalError
from seacanary.events import JournalEntry
from seacanary.journal_store import JournalStore
from seacanary.publishers.redis_history import entries_beyond
from seacanary.publishers.redis_section import RedisStreamsSection


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What one destination gave.

    Attributes:
        publisher: its name.
        events: how many it held beyond the journal.
        trouble: why there are no more, or none; None: these are all it had.
    """

    publisher: str
    events: int
    trouble: str | None


def take_back(journal: Path, config: StationConfig) -> list[TakenBack]:
    """Have a journal hold what the station's Redis streams hold beyond it.

    Args:
        journal: that nobody uses; an older one is brought up to date.
        config: whose publishers are asked, in order: each goes on where the one before it ended.

    Raises:
        JournalError: it cannot be written.
    """
    sections = [section for section in config.publishers if isinstance(section, RedisStreamsSection)]
    with JournalStore.open(journal) as store:
        return [_taken(store, section, station=config.station.name) for section in sections]


def _taken(store: JournalStore, section: RedisStreamsSection, *, station: str) -> TakenBack:
    newest = store.read_after(store.head - 1, 1) if store.head else []
    reading = _Reading(entries_beyond(section, newest[0] if newest else None, station=station))
    try:
        events = store.take_back(reading, publisher=section.name)
    except JournalError as exc:
        return TakenBack(section.name, 0, str(exc))
    return TakenBack(section.name, events, reading.trouble)


class _Reading:
    """Entries up to where something goes wrong: what came before that is worth having."""

    def __init__(self, entries: Iterator[JournalEntry]) -> None:
        self._entries = entries
        self.trouble: str | None = None

    def __iter__(self) -> Iterator[JournalEntry]:
        with suppress(StopIteration):
            while True:
                try:
                    entry = next(self._entries)
                except DeliveryError as exc:
                    self.trouble = str(exc)
                    return
                yield entry
