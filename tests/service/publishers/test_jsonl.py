"""JSON Lines: each event once in the file, also after a crash in the middle of a line."""

# ruff: noqa: ASYNC240  (files are looked at while nothing else runs)

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from event_samples import entry
from seacanary.errors import DeliveryRetryable
from seacanary.events import JournalEntry, PresenceEvent
from seacanary.publishers.jsonl import JsonLines, JsonLinesSection


def onsets(path: Path) -> list[int]:
    return [json.loads(line)["data"]["onset_sample"] for line in path.read_text().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "events.jsonl"


@pytest.fixture
async def publisher(path: Path) -> AsyncIterator[JsonLines]:
    opened = JsonLines(JsonLinesSection(path=path))
    yield opened
    await opened.aclose()


async def reopened(path: Path, *entries: JournalEntry, rotate_bytes: int | None = None) -> None:
    publisher = JsonLines(JsonLinesSection(path=path, rotate_bytes=rotate_bytes, keep_files=2))
    await publisher.publish(entries)
    await publisher.aclose()


async def test_each_line_is_a_cloud_event(publisher: JsonLines, path: Path) -> None:
    await publisher.publish([entry(1), entry(2)])
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert first["specversion"] == "1.0"
    assert first["type"] == "org.seacanary.presence.started.v1"
    assert first["id"] == str(entry(1).event.id)
    assert PresenceEvent.model_validate(second["data"]) == entry(2).event


async def test_a_repeated_batch_is_not_written_twice(publisher: JsonLines, path: Path) -> None:
    await publisher.publish([entry(1), entry(2)])
    await publisher.publish([entry(1), entry(2), entry(3)])
    assert onsets(path) == [1, 2, 3]


@pytest.mark.parametrize("torn_bytes", [1, 100, 400])
async def test_after_a_crash_within_a_line_it_is_written_whole(path: Path, torn_bytes: int) -> None:
    await reopened(path, entry(1), entry(2), entry(3))
    path.write_bytes(path.read_bytes()[:-torn_bytes])
    await reopened(path, entry(2), entry(3))
    assert onsets(path) == [1, 2, 3]


async def test_after_a_crash_before_the_acknowledgement_nothing_is_doubled(path: Path) -> None:
    await reopened(path, entry(1), entry(2))
    await reopened(path, entry(1), entry(2), entry(3))
    assert onsets(path) == [1, 2, 3]


async def test_files_rotate_and_a_repeat_is_known_across_the_rotation(path: Path) -> None:
    for first in range(1, 40, 2):
        await reopened(path, entry(first), entry(first + 1), rotate_bytes=4096)
    newest, older, oldest = (path.with_name(path.name + end) for end in ("", ".1", ".2"))
    assert not path.with_name(path.name + ".3").exists()
    kept = onsets(oldest) + onsets(older) + onsets(newest)
    assert kept == list(range(kept[0], 41))
    newest.unlink()
    await reopened(path, *(entry(onset) for onset in onsets(older)[-2:]), entry(41), rotate_bytes=4096)
    assert onsets(path) == [41]


async def test_foreign_lines_are_left_where_they_are(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("a note by the operator\n")
    await reopened(path, entry(1))
    note, line = path.read_text().splitlines()
    assert note == "a note by the operator"
    assert json.loads(line)["subject"] == "beluga"


async def test_a_file_that_cannot_be_written_is_tried_again_later(publisher: JsonLines, path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(DeliveryRetryable, match=r"events\.jsonl: Is a directory"):
        await publisher.publish([entry(1)])
    path.rmdir()
    await publisher.publish([entry(1)])
    assert onsets(path) == [1]


async def test_a_full_disk_leaves_no_half_line(
    publisher: JsonLines, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publisher.publish([entry(1)])

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", full)
        with pytest.raises(DeliveryRetryable, match="No space left"):
            await publisher.publish([entry(2)])
    assert onsets(path) == [1]
    await publisher.publish([entry(2)])
    assert onsets(path) == [1, 2]
