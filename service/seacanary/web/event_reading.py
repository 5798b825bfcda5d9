"""EventReading: presence events with what people said of them, read from the journal beside the one who writes it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import ParamSpec, Self, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, computed_field

from seacanary.errors import JournalError
from seacanary.presence_event import PresenceEvent
from seacanary.station_events import ReviewEvent, Verdict

P = ParamSpec("P")
R = TypeVar("R")

# A page of these is some 120 kB of JSON, which takes the loop about 1 ms to write out.
MOST_EVENTS = 200

PRESENCE = "json_extract(event, '$.kind') IN ('started', 'updated', 'ended')"
BY_ID = f"SELECT sequence, event FROM events WHERE id = ? AND {PRESENCE}"
LATEST = f"""
SELECT sequence, event FROM events
WHERE {PRESENCE}
AND sequence < :before
AND (:since IS NULL OR julianday(json_extract(event, '$.onset')) >= julianday(:since))
AND (:species IS NULL OR json_extract(event, '$.species') = :species)
AND (:hydrophone IS NULL OR json_extract(event, '$.hydrophone') = :hydrophone)
ORDER BY sequence DESC LIMIT :limit
"""
# Nobody can judge an event before it is in the journal, so older entries are not looked at.
REVIEWS = """
SELECT event FROM events
WHERE sequence > :first AND json_extract(event, '$.kind') = 'reviewed'
AND json_extract(event, '$.event_id') IN (SELECT value FROM json_each(:ids))
ORDER BY sequence
"""
CURSOR = "SELECT sequence FROM cursors WHERE publisher = ?"
# Larger than any sequence: SQLite's largest integer.
END = 2**63 - 1


class EventQuery(BaseModel):
    """Which presence events; what is not given does not matter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: AwareDatetime | None = Field(None, description="onset at this instant or later")
    species: str | None = Field(None, description="such as beluga")
    hydrophone: str | None = Field(None, description="name of a hydrophone")
    before: int | None = Field(
        None, ge=1, le=END, description="sequence to go on below: `next_before` of the page before"
    )
    limit: int = Field(100, ge=1, le=MOST_EVENTS, description="at most so many")


class JudgedEvent(BaseModel):
    """A presence event with the trail of what people said of it."""

    model_config = ConfigDict(frozen=True)

    sequence: int = Field(description="place in the journal")
    event: PresenceEvent
    reviews: tuple[ReviewEvent, ...] = Field((), description="oldest first")

    @computed_field(description="the last word; null: nobody has judged it")  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> Verdict | None:
        """The last word; None: nobody has judged it."""
        return self.reviews[-1].verdict if self.reviews else None


class EventReading:
    """Queries on a journal, on a connection and a thread of its own, so that no query makes an event wait.

    A query looks at about a million entries a second. Every method may raise JournalError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="web-journal")
        self._opened: sqlite3.Connection | None = None

    @classmethod
    @asynccontextmanager
    async def over(cls, path: Path) -> AsyncIterator[Self]:
        """Read a journal that exists by the time of the first query."""
        reading = cls(path)
        try:
            yield reading
        finally:
            await reading.aclose()

    async def aclose(self) -> None:
        """Let a query end and release the file."""
        await self._on_disk(self._close)
        self._disk.shutdown()

    async def latest(self, query: EventQuery) -> list[JudgedEvent]:
        """Events that match, newest in the journal first."""
        return await self._on_disk(self._latest, query)

    async def find(self, event_id: UUID) -> JudgedEvent | None:
        """The presence event of that id; None: the journal has none."""
        return await self._on_disk(self._find, event_id)

    async def cursor(self, reader: str) -> int:
        """Sequence up to which a reader of the journal has come; 0 if it has not begun."""
        return await self._on_disk(self._cursor, reader)

    def _latest(self, query: EventQuery) -> list[JudgedEvent]:
        values = {**query.model_dump(mode="json"), "before": query.before or END}
        with self._connection() as connection:
            return self._judged(connection, connection.execute(LATEST, values).fetchall())

    def _find(self, event_id: UUID) -> JudgedEvent | None:
        with self._connection() as connection:
            judged = self._judged(connection, connection.execute(BY_ID, (str(event_id),)).fetchall())
        return judged[0] if judged else None

    def _cursor(self, reader: str) -> int:
        with self._connection() as connection:
            rows = connection.execute(CURSOR, (reader,)).fetchall()
        return int(rows[0][0]) if rows else 0

    def _judged(self, connection: sqlite3.Connection, rows: Sequence[tuple[int, str]]) -> list[JudgedEvent]:
        events = {sequence: PresenceEvent.model_validate_json(text) for sequence, text in rows}
        trails: dict[UUID, list[ReviewEvent]] = {event.id: [] for event in events.values()}
        if events:
            ids = "[" + ",".join(f'"{event_id}"' for event_id in trails) + "]"
            for (text,) in connection.execute(REVIEWS, {"first": min(events), "ids": ids}):
                review = ReviewEvent.model_validate_json(text)
                trails[review.event_id].append(review)
        return [JudgedEvent(sequence=n, event=event, reviews=tuple(trails[event.id])) for n, event in events.items()]

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._opened is None:
                self._opened = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=10.0)
            yield self._opened
        except (sqlite3.Error, ValidationError) as exc:
            raise JournalError(f"{self._path}: {exc}") from exc

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    async def _on_disk(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._disk, partial(call, *args, **kwargs))
