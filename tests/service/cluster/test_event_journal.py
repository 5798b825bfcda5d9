"""The events topic as a journal: the same entries wherever and however it is filled."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_samples import event
from seacanary.cluster.event_journal import EventJournal, EventRecord, EventRefused, EventsMissing
from seacanary.events import JournalEntry

# Repeats, two records of one time, a clock that goes back, and one that holds no event.
TIMES_MS = (1_000, 1_000, 1_000, 900, 2_000, 2_000, 2_500)
VALUES = [event(n).model_dump_json().encode() for n in (1, 2, 1, 3, 4, 2)] + [b"{}"]
RECORDS = [EventRecord(n, ms, value) for n, (ms, value) in enumerate(zip(TIMES_MS, VALUES, strict=True))]


async def entries_of(journal: EventJournal) -> list[JournalEntry]:
    return [entry async for entry in journal.journal.entries()]


async def test_entries_have_the_records_times_and_repeats_take_no_place(tmp_path: Path) -> None:
    async with await EventJournal.open(tmp_path / "events.db") as journal:
        refused = await journal.take(RECORDS)
        entries = await entries_of(journal)
    assert [(entry.sequence, entry.entry_ms, entry.entry_step) for entry in entries] == [
        (1, 1000, 0),
        (2, 1000, 1),
        (3, 1000, 2),
        (4, 2000, 0),
    ]
    assert [entry.event for entry in entries] == [event(n) for n in (1, 2, 3, 4)]
    [(record, reason)] = refused
    assert record.offset == 6
    assert isinstance(reason, EventRefused)


@given(cuts=st.lists(st.integers(0, len(RECORDS)), max_size=4), reopened=st.booleans())
@settings(max_examples=15, deadline=None)
def test_entries_do_not_depend_on_how_records_came(
    cuts: list[int], reopened: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    asyncio.run(_compare(tmp_path_factory.mktemp("journal"), sorted(cuts), reopened))


async def _compare(folder: Path, cuts: list[int], reopened: bool) -> None:
    async with await EventJournal.open(folder / "whole.db") as whole:
        await whole.take(RECORDS)
        expected = await entries_of(whole)
    journal = await EventJournal.open(folder / "cut.db")
    for begin, end in zip([0, *cuts], [*cuts, len(RECORDS)], strict=True):
        await journal.take(RECORDS[max(0, begin - 2) : end])  # the last two come again
        if reopened:
            await journal.journal.aclose()
            journal = await EventJournal.open(folder / "cut.db")
    assert await entries_of(journal) == expected
    assert journal.next_offset == len(RECORDS)
    await journal.journal.aclose()


async def test_a_hole_is_refused_and_filled(tmp_path: Path) -> None:
    async def read(after: int) -> AsyncIterator[Sequence[EventRecord]]:
        for record in RECORDS[after:]:
            yield [record]

    async with await EventJournal.open(tmp_path / "events.db") as journal:
        await journal.take(RECORDS[:2])
        with pytest.raises(EventsMissing, match="expected event record 2, got 4"):
            await journal.take(RECORDS[4:])
        assert await journal.fill(read) == 5
        assert journal.journal.head == 4
