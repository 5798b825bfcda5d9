"""Looking into a journal and rewinding it: a replay fills what a destination has lost, and no more."""

# ruff: noqa: ASYNC240  (files are looked at while nothing else runs)

import asyncio
import json
from contextlib import aclosing, suppress
from pathlib import Path

import pytest

from event_samples import event
from seacanary.errors import JournalError
from seacanary.journal import Journal
from seacanary.journal_reading import Rewound, rewind_publisher
from seacanary.publishers.delivery import Delivery, DeliveryPolicy
from seacanary.publishers.jsonl import JsonLines, JsonLinesSection


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


async def filled(path: Path, events: int) -> None:
    async with await Journal.open(path) as journal:
        await journal.append([event(n) for n in range(1, events + 1)])


async def deliver(path: Path, file: Path, *, rotate_bytes: int | None = None) -> None:
    """One run of a station with nothing to hear: everything waiting is delivered."""
    section = JsonLinesSection(path=file, rotate_bytes=rotate_bytes, keep_files=2)
    async with (
        asyncio.timeout(30),
        await Journal.open(path) as journal,
        aclosing(JsonLines(section)) as publisher,
    ):
        delivery = Delivery(journal, publisher, policy=DeliveryPolicy(), on_change=lambda _: None)
        running = asyncio.create_task(delivery.run())
        assert await delivery.drain(30)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def onsets(*files: Path) -> list[int]:
    return [json.loads(line)["data"]["onset_sample"] for file in files for line in file.read_text().splitlines()]


async def test_a_rewound_publisher_has_the_rest_waiting(path: Path, tmp_path: Path) -> None:
    await filled(path, 10)
    await deliver(path, tmp_path / "events.jsonl")
    rewound = await rewind_publisher(path, "jsonl", after=4)
    assert rewound == Rewound("jsonl", from_sequence=10, to_sequence=4, waiting=6)
    async with await Journal.open(path) as journal:
        assert await journal.cursor("jsonl") == 4


@pytest.mark.parametrize("after", [7, 100])
async def test_rewinding_never_goes_forward_past_what_is_undelivered(path: Path, tmp_path: Path, after: int) -> None:
    await filled(path, 10)
    async with await Journal.open(path) as journal:
        await journal.move_cursor("jsonl", 6)
    assert await rewind_publisher(path, "jsonl", after=after) == Rewound("jsonl", 6, 6, waiting=4)
    await deliver(path, tmp_path / "events.jsonl")
    assert onsets(tmp_path / "events.jsonl") == [7, 8, 9, 10]


async def test_a_publisher_that_never_delivered_stays_at_the_beginning(path: Path) -> None:
    await filled(path, 3)
    assert await rewind_publisher(path, "jsonl", after=2) == Rewound("jsonl", 0, 0, waiting=3)


async def test_a_running_stations_journal_is_not_rewound(path: Path) -> None:
    async with await Journal.open(path):
        with pytest.raises(JournalError, match="another seacanary is writing"):
            await rewind_publisher(path, "jsonl", after=0)


async def test_there_must_be_a_journal_to_rewind(path: Path) -> None:
    with pytest.raises(JournalError, match="there is no journal here"):
        await rewind_publisher(path, "jsonl", after=0)
    assert not path.exists()


# --- and what the next run makes of it ---------------------------------------


async def test_a_file_that_was_deleted_is_written_again(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    await filled(path, 300)
    await deliver(path, file)
    file.unlink()
    await rewind_publisher(path, "jsonl", after=0)
    await deliver(path, file)
    assert onsets(file) == list(range(1, 301))


async def test_a_file_that_was_kept_is_left_as_it_is_however_long(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    await filled(path, 2500)
    await deliver(path, file)
    whole = file.read_bytes()
    await rewind_publisher(path, "jsonl", after=0)
    await deliver(path, file)
    assert file.read_bytes() == whole


async def test_only_lines_that_were_lost_come_again(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    await filled(path, 2500)
    await deliver(path, file)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:100] + lines[200:]))
    await rewind_publisher(path, "jsonl", after=0)
    await deliver(path, file)
    assert sorted(onsets(file)) == list(range(1, 2501))


async def test_rotated_files_are_known_too_and_one_that_was_deleted_is_written_again(
    path: Path, tmp_path: Path
) -> None:
    file = tmp_path / "events.jsonl"
    older, oldest = file.with_name("events.jsonl.1"), file.with_name("events.jsonl.2")
    await filled(path, 500)
    await deliver(path, file, rotate_bytes=150_000)
    kept = [file.read_bytes(), older.read_bytes(), oldest.read_bytes()]
    await rewind_publisher(path, "jsonl", after=0)
    await deliver(path, file, rotate_bytes=150_000)
    assert [file.read_bytes(), older.read_bytes(), oldest.read_bytes()] == kept
    oldest.unlink()
    await rewind_publisher(path, "jsonl", after=0)
    await deliver(path, file, rotate_bytes=150_000)
    assert sorted(onsets(file, older, *([oldest] if oldest.exists() else []))) == list(range(1, 501))


@pytest.mark.parametrize("after", [0, 300, 450])
async def test_a_replay_of_more_than_rotated_files_keep_ends_with_the_newest(
    path: Path, tmp_path: Path, after: int
) -> None:
    file = tmp_path / "events.jsonl"
    older, oldest = file.with_name("events.jsonl.1"), file.with_name("events.jsonl.2")
    await filled(path, 1000)
    await deliver(path, file, rotate_bytes=150_000)
    assert onsets(oldest, older, file) == list(range(401, 1001))
    await rewind_publisher(path, "jsonl", after=after)
    await deliver(path, file, rotate_bytes=150_000)
    kept = onsets(oldest, older, file)
    assert len(kept) == len(set(kept))
    assert set(range(501, 1001)) <= set(kept)
