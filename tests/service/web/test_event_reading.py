"""Reading events for people: filters, pages, trails, beside the one who writes."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from event_samples import EPOCH, RATE_HZ, event
from seacanary.errors import JournalError
from seacanary.event_ids import named_by
from seacanary.events import PresenceEvent, ReviewEvent
from seacanary.journal import Journal
from seacanary.web.event_reading import EventQuery, EventReading
from web_samples import alert_of

SECOND = RATE_HZ


def review(of: PresenceEvent, by: str, verdict: str = "confirmed") -> ReviewEvent:
    return ReviewEvent(
        id=named_by(str(of.id), by, verdict),
        station=of.station,
        hydrophone=of.hydrophone,
        species=of.species,
        event_id=of.id,
        verdict=verdict,
        reviewer=by,
        reviewed_at=datetime(2026, 5, 2, tzinfo=UTC),
    )


async def sequences(reading: EventReading, **query: object) -> list[int]:
    return [judged.sequence for judged in await reading.latest(EventQuery.model_validate(query))]


async def test_events_come_newest_first_and_only_presences(tmp_path: Path) -> None:
    path = tmp_path / "journal #1?.db"
    async with await Journal.open(path) as journal, EventReading.over(path) as reading:
        assert await reading.latest(EventQuery()) == []
        await journal.append([event(1), alert_of(event(1)), review(event(1), "Anna"), event(2)])
        assert await sequences(reading) == [4, 1]
        await journal.append([event(3)])
        assert await sequences(reading) == [5, 4, 1]


async def test_each_filter_keeps_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await Journal.open(path) as journal, EventReading.over(path) as reading:
        await journal.append(
            [
                event(1 * SECOND),
                event(2 * SECOND, species="porpoise"),
                event(3 * SECOND + SECOND // 2, hydrophone="south"),
                event(4 * SECOND, hydrophone="south", species="porpoise"),
            ]
        )
        assert await sequences(reading, species="porpoise") == [4, 2]
        assert await sequences(reading, hydrophone="south") == [4, 3]
        assert await sequences(reading, hydrophone="south", species="beluga") == [3]
        assert await sequences(reading, since=EPOCH + timedelta(seconds=3)) == [4, 3]
        assert await sequences(reading, since=EPOCH + timedelta(seconds=3.5)) == [4, 3]
        assert await sequences(reading, since=EPOCH + timedelta(seconds=3.501)) == [4]
        assert await sequences(reading, since="2026-05-01T02:00:04+02:00") == [4]
        assert await sequences(reading, limit=2) == [4, 3]
        assert await sequences(reading, limit=2, before=3) == [2, 1]
        assert await sequences(reading, species="' OR 1=1 --") == []


async def test_each_event_has_its_own_trail_oldest_first(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await Journal.open(path) as journal, EventReading.over(path) as reading:
        await journal.append([event(1), event(2), event(3)])
        await journal.append([review(event(1), "Anna"), review(event(2), "Ben"), review(event(1), "Cleo", "rejected")])
        three, two, one = await reading.latest(EventQuery())
        assert [r.reviewer for r in one.reviews] == ["Anna", "Cleo"]
        assert [r.reviewer for r in two.reviews] == ["Ben"]
        assert (one.verdict, two.verdict, three.verdict) == ("rejected", "confirmed", None)
        assert await reading.find(event(1).id) == one


async def test_only_presences_are_found(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await Journal.open(path) as journal, EventReading.over(path) as reading:
        await journal.append([event(1), alert_of(event(1))])
        assert await reading.find(alert_of(event(1)).id) is None
        assert await reading.find(UUID(int=1)) is None


async def test_a_missing_journal_is_said_and_not_made(tmp_path: Path) -> None:
    async with EventReading.over(tmp_path / "journal.db") as reading:
        with pytest.raises(JournalError, match=r"journal\.db"):
            await reading.latest(EventQuery())
    assert not await asyncio.to_thread(lambda: list(tmp_path.iterdir()))
