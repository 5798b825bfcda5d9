import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from threading import Event as Flag

import pytest

from evidence_checks import EvidenceStation, evidence_station
from known_audio import EPOCH, known_block, presence
from seacanary.events import PresenceEvent
from seacanary.evidence.clips import ClipAudio, Stream
from seacanary.evidence.extras import CURSOR, Extras, Maker
from seacanary.evidence.files import write_whole
from seacanary.evidence.names import AUDIBLE, AUDIO, PICTURE, Part, stem_of

STREAM = Stream("north", EPOCH, 1000)
EVENTS = [presence(STREAM, onset, 7000) for onset in (1000, 2000, 3000)]


@asynccontextmanager
async def following(at: EvidenceStation, makers: dict[Part, Maker]) -> AsyncIterator[Extras]:
    extras = Extras(at.journal, at.section.path, makers, retry_s=0.05)
    task = asyncio.create_task(extras.run())
    try:
        yield extras
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await extras.aclose()


async def write_clips(at: EvidenceStation) -> None:
    at.spool.hear(known_block(STREAM, 0, 9000))
    await at.tell(*EVENTS)


def named(clip: ClipAudio, event: PresenceEvent) -> bytes:
    assert clip.path.exists()
    return f"{clip.first_sample} {event.onset_sample}".encode()


def content(at: EvidenceStation, part: Part) -> list[bytes | None]:
    paths = [at.section.path / f"{stem_of(event)}{part}" for event in EVENTS]
    return [path.read_bytes() if path.exists() else None for path in paths]


async def test_each_clip_gets_what_is_made_of_it_and_nothing_where_there_is_nothing(tmp_path: Path) -> None:
    at = evidence_station(tmp_path)
    async with at.running(), following(at, {PICTURE: named, AUDIBLE: lambda _clip, _event: None}) as extras:
        await write_clips(at)
        await at.done()
        assert await extras.drain(10)
    assert content(at, PICTURE) == [b"0 1000", b"0 2000", b"1000 3000"]
    assert content(at, AUDIBLE) == [None] * 3


async def test_no_clip_waits_for_a_slow_maker(tmp_path: Path) -> None:
    at = evidence_station(tmp_path)
    free = Flag()

    def slow(clip: ClipAudio, event: PresenceEvent) -> bytes:
        free.wait(20)
        return named(clip, event)

    async with at.running(), following(at, {PICTURE: slow}) as extras:
        await write_clips(at)
        await at.done()
        assert content(at, PICTURE) == [None] * 3
        assert not await extras.drain(0.1)
        free.set()
        assert await extras.drain(10)
    assert None not in content(at, PICTURE)


async def test_what_a_killed_process_did_not_make_the_next_one_does(tmp_path: Path) -> None:
    at = evidence_station(tmp_path)
    async with at.running():
        await write_clips(at)
        await at.done()
    path = at.section.path / f"{stem_of(EVENTS[1])}{PICTURE}"
    path.write_bytes(b"made before")
    async with at.running(), following(at, {PICTURE: named}) as extras:
        assert await extras.drain(10)
    assert content(at, PICTURE) == [b"0 1000", b"made before", b"1000 3000"]


async def test_a_maker_that_fails_costs_its_own_file_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    at = evidence_station(tmp_path)

    def fails(clip: ClipAudio, event: PresenceEvent) -> bytes:
        if event.onset_sample == 2000:
            raise RuntimeError("no font")
        return named(clip, event)

    async with at.running(), following(at, {PICTURE: fails}) as extras:
        await write_clips(at)
        await at.done()
        assert await extras.drain(10)
    assert content(at, PICTURE) == [b"0 1000", None, b"1000 3000"]
    assert "no font" in caplog.text


async def test_a_full_disk_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = evidence_station(tmp_path)
    fails = [3]

    def sometimes(path: Path, whole: bytes) -> None:
        if fails[0]:
            fails[0] -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        write_whole(path, whole)

    monkeypatch.setattr("seacanary.evidence.extras.write_whole", sometimes)
    async with at.running(), following(at, {PICTURE: named}) as extras:
        await write_clips(at)
        await at.done()
        assert await extras.drain(10)
    assert None not in content(at, PICTURE)


async def test_missed_events_and_clips_that_were_let_go_are_passed_over(tmp_path: Path) -> None:
    at = evidence_station(tmp_path)
    async with at.running():
        await write_clips(at)
        await at.tell(presence(STREAM, 1000, 7000, species="unheard").model_copy(update={"hydrophone": "south"}))
        assert await at.evidence.drain(10)
        head = at.journal.head
    (at.section.path / f"{stem_of(EVENTS[0])}{AUDIO}").unlink()
    async with at.running(), following(at, {PICTURE: named}) as extras:
        assert await extras.drain(10)
        assert await at.journal.cursor(CURSOR) == head
    assert content(at, PICTURE) == [None, b"0 2000", b"1000 3000"]
