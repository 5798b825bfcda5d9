import asyncio
import errno
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import soundfile
from pydantic import ValidationError

from evidence_checks import check_evidence, evidence_station
from known_audio import EPOCH, known_block, known_blocks, presence, sample_values
from seacanary.events import ReviewEvent
from seacanary.evidence.clips import Stream
from seacanary.evidence.consumer import CURSOR
from seacanary.evidence.files import write_whole
from seacanary.evidence.section import EvidenceSection
from seacanary.evidence.spool import SpoolSection
from seacanary.sources.files import FilesSection, FilesSource

RATE_HZ = 1000
STREAM = Stream("north", EPOCH, RATE_HZ)
LATER = replace(STREAM, epoch=EPOCH + timedelta(seconds=60))


async def test_events_wait_for_their_post_roll_together(tmp_path: Path) -> None:
    at = evidence_station(tmp_path)
    events = [presence(STREAM, onset, 7000) for onset in range(1000, 6000, 50)]
    async with at.running():
        at.spool.hear(known_block(STREAM, 0, 8500))
        await at.tell(*events)
        await asyncio.sleep(0.3)
        assert not list(at.section.path.rglob("*.json"))  # half a second of post-roll is still to come
        at.spool.hear(known_block(STREAM, 8500, 9000))
        await at.done()
    assert at.clips == {("north", "complete"): 100}
    for event in events:
        assert check_evidence(at.section.path, event, {STREAM: [(0, 9000)]}).outcome == "complete"


async def test_a_hydrophone_that_falls_silent_gives_what_it_gave(tmp_path: Path) -> None:
    at = evidence_station(tmp_path, silence_s=0.5)
    event = presence(STREAM, 1000, 7000)
    async with at.running():
        at.spool.hear(known_block(STREAM, 0, 7100))
        await at.tell(event)
        await at.done()
    facts = check_evidence(at.section.path, event, {STREAM: [(0, 7100)]})
    assert (facts.outcome, facts.clip) == ("complete", (0, 7100))


async def test_no_clip_waits_for_ever(tmp_path: Path) -> None:
    at = evidence_station(tmp_path, longest_wait_s=0.3)
    event = presence(STREAM, 1000, 7000)
    async with at.running():
        await at.tell(event)
        await at.done()
    assert check_evidence(at.section.path, event, {}).outcome == "missed"
    assert at.clips == {("north", "missed"): 1}


@pytest.mark.parametrize("time_known", [True, False])
async def test_a_stream_that_goes_on_in_another_epoch_has_no_more_post_roll(tmp_path: Path, time_known: bool) -> None:
    at = evidence_station(tmp_path)
    event = presence(STREAM, 1000, 7000)
    async with at.running():
        at.spool.hear(known_block(STREAM, 0, 7100, time_known=time_known))
        await at.tell(event)
        at.spool.hear(known_block(LATER, 0, 500, time_known=time_known))
        await at.done()
    assert check_evidence(at.section.path, event, {STREAM: [(0, 7100)]}).clip == (0, 7100)


async def test_a_presence_that_went_on_in_another_epoch_has_both_in_its_clip(tmp_path: Path) -> None:
    at = evidence_station(tmp_path)
    event = presence(STREAM, 50_000, 65_000, kind="ended")
    async with at.running():
        at.spool.hear(known_block(STREAM, 0, 59_000))
        at.spool.hear(known_block(LATER, 0, 7000))
        await at.tell(event)
        await at.done()
    facts = check_evidence(at.section.path, event, {STREAM: [(0, 59_000)]})
    assert (facts.outcome, facts.missing) == ("partial", ((59_000, 60_000),))


async def test_of_a_long_presence_the_last_minute_is_there(tmp_path: Path) -> None:
    at = evidence_station(tmp_path, longest_clip_s=5)
    event = presence(STREAM, 1000, 100_000, kind="ended")
    async with at.running():
        for block in known_blocks(STREAM, [(0, 105_000)], size=1000):
            at.spool.hear(block)
        await at.tell(event)
        await at.done()
    facts = check_evidence(at.section.path, event, {STREAM: [(0, 105_000)]})
    assert (facts.part, facts.whole, facts.clip) == ((95_000, 100_000), False, (93_000, 102_000))


async def test_what_waits_when_the_process_ends_is_written_by_the_next(tmp_path: Path) -> None:
    at = evidence_station(tmp_path)
    event = presence(STREAM, 1000, 7000)
    async with at.running():
        at.spool.hear(known_block(STREAM, 0, 8000))
        await at.tell(event)
        await asyncio.sleep(0.2)
    assert at.facts(event) is None
    async with at.running():
        at.spool.hear(known_block(STREAM, 0, 9500))  # read again from the beginning
        await at.done()
    assert check_evidence(at.section.path, event, {STREAM: [(0, 9500)]}).outcome == "complete"


async def test_the_end_of_the_streams_is_the_end_of_waiting(tmp_path: Path) -> None:
    at = evidence_station(tmp_path)
    event = presence(STREAM, 1000, 7000)
    async with at.running():
        at.spool.hear(known_block(STREAM, 0, 7000))
        await at.tell(event)
        assert await at.evidence.drain(10)
    assert check_evidence(at.section.path, event, {STREAM: [(0, 7000)]}).outcome == "complete"


async def test_a_disk_that_takes_nothing_stops_evidence_until_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seacanary.evidence.consumer.FIRST_RETRY_S", 0.1)
    at = evidence_station(tmp_path, spool={"path": tmp_path / "spool"})
    at.section.path.write_text("a file where the folder should be")
    event = presence(STREAM, 1000, 7000)
    async with at.running():
        at.spool.hear(known_block(STREAM, 0, 9000))
        await at.tell(event)
        await asyncio.sleep(0.5)
        assert await at.journal.cursor(CURSOR) == 0
        assert not await at.evidence.drain(0.1)
        at.section.path.unlink()
        await at.done()
        await asyncio.sleep(0.1)
    assert [state for state, _ in at.states] == ["recording", "stopped", "recording"]
    assert "evidence" in str(at.states[1][1])
    assert check_evidence(at.section.path, event, {STREAM: [(0, 9000)]}).outcome == "complete"


async def test_too_little_room_stops_evidence_before_the_disk_is_full(tmp_path: Path) -> None:
    at = evidence_station(tmp_path)
    at.refusal.append("1 hour of recording is left")
    async with at.running():
        at.spool.hear(known_block(STREAM, 0, 9000))
        await at.tell(presence(STREAM, 1000, 7000))
        await asyncio.sleep(0.3)
        assert at.states[-1] == ("stopped", "1 hour of recording is left")
        at.refusal.clear()
        await at.done()
        await asyncio.sleep(0.1)
    assert at.states[-1] == ("recording", None)


async def test_audio_that_a_stopped_clip_needs_is_kept_beyond_its_time(tmp_path: Path) -> None:
    at = evidence_station(tmp_path, longest_clip_s=5, spool={"keep_s": 10, "segment_s": 1})
    at.refusal.append("no room")
    event = presence(STREAM, 3000, 5000)
    async with at.running():
        for block in known_blocks(STREAM, [(0, 10_000)], size=500):
            at.spool.hear(block)
        await at.tell(event)
        await asyncio.sleep(0.3)
        for block in known_blocks(STREAM, [(10_000, 60_000)], size=500):
            at.spool.hear(block)
        at.spool.flush(10)
        at.refusal.clear()
        await at.done()
    assert check_evidence(at.section.path, event, {STREAM: [(0, 60_000)]}).outcome == "complete"


async def test_trouble_with_the_spool_is_trouble_with_evidence_and_counted(tmp_path: Path) -> None:
    blocked = tmp_path / "spool"
    blocked.write_text("a file where the folder should be")
    at = evidence_station(tmp_path, spool={"path": blocked}, silence_s=0.3)
    event = presence(STREAM, 1000, 7000)
    async with at.running():
        at.spool.hear(known_block(STREAM, 0, 9000))
        await at.tell(event)
        await at.done()
        await asyncio.sleep(0.1)
    assert at.states[-1][0] == "stopped"
    assert at.shed == {"north": 9000}
    assert check_evidence(at.section.path, event, {}).outcome == "missed"


async def test_an_event_that_no_clip_can_be_made_of_is_put_aside_in_its_turn(tmp_path: Path) -> None:
    at = evidence_station(tmp_path)
    strange = presence(STREAM, 1000, 7000, species="strange").model_copy(
        update={"onset": datetime.min.replace(tzinfo=UTC)}
    )
    before, after = presence(STREAM, 1000, 7000), presence(STREAM, 2000, 7000)
    async with at.running():
        await at.tell(before, strange, after)
        await asyncio.sleep(0.3)
        assert await at.journal.dead_letters(CURSOR) == []  # the one before it still waits
        at.spool.hear(known_block(STREAM, 0, 9000))
        await at.done()
        letters = await at.journal.dead_letters(CURSOR)
    assert len(letters) == 1
    assert at.clips == {("north", "complete"): 2}


async def test_other_events_are_passed_over(tmp_path: Path) -> None:
    at = evidence_station(tmp_path)
    judged = presence(STREAM, 1000, 7000)
    review = ReviewEvent(
        id=judged.id,
        station="station",
        hydrophone="north",
        species="beluga",
        event_id=judged.id,
        verdict="confirmed",
        reviewer="somebody",
        reviewed_at=EPOCH,
    )
    async with at.running():
        await at.tell(review)
        await at.done()
    assert not at.clips


async def test_a_spool_that_cannot_hold_a_clip_is_refused() -> None:
    with pytest.raises(ValidationError, match="keep_s"):
        EvidenceSection(longest_clip_s=60, spool=SpoolSection(keep_s=60))


async def test_a_full_disk_on_the_way_is_no_other_events_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seacanary.evidence.consumer.FIRST_RETRY_S", 0.05)
    at = evidence_station(tmp_path)
    fails = [3]

    def sometimes(path: Path, content: bytes) -> None:
        if fails[0]:
            fails[0] -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        write_whole(path, content)

    monkeypatch.setattr("seacanary.evidence.writer.write_whole", sometimes)
    events = [presence(STREAM, onset, 7000) for onset in (1000, 2000, 3000)]
    async with at.running():
        at.spool.hear(known_block(STREAM, 0, 9000))
        await at.tell(*events)
        await at.done()
    assert at.clips == {("north", "complete"): 3}
    assert all(check_evidence(at.section.path, event, {STREAM: [(0, 9000)]}) for event in events)


async def test_clips_reach_across_the_files_of_a_recorder(tmp_path: Path) -> None:
    """Six files of ten seconds, the fourth missing: two epochs of three and two files."""
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    second = replace(STREAM, epoch=EPOCH + timedelta(seconds=40))
    for number in (0, 1, 2, 4, 5):
        stream, place = (STREAM, number) if number < 3 else (second, number - 4)
        start = EPOCH + timedelta(seconds=10 * number)
        samples = sample_values(stream, 10_000 * place, 10_000 * (place + 1))
        soundfile.write(recordings / f"{start:%Y%m%d_%H%M%S}.wav", samples, RATE_HZ, subtype="PCM_24")
    chance = random.Random(3)
    told = [
        presence(stream, onset, min(onset + chance.choice([1, 700, 12_000]), length), revision=revision)
        for stream, length in ((STREAM, 30_000), (second, 20_000))
        for revision, onset in enumerate([chance.randrange(length) for _ in range(60)] + [9_999, 10_000, length - 1])
    ]
    at = evidence_station(tmp_path)
    source = FilesSource(
        FilesSection(path=recordings, name="north", pace="fast"), skip=(), on_file_done=lambda _report: None
    )
    async with at.running():
        async for block in source.blocks():
            at.spool.hear(block)
        await source.aclose()
        await at.tell(*told)
        assert await at.evidence.drain(30)
    heard = {STREAM: [(0, 30_000)], second: [(0, 20_000)]}
    facts = [check_evidence(at.section.path, event, heard) for event in told]
    assert {fact.outcome for fact in facts} == {"complete"}
    assert sum(fact.part[0] // 10_000 < (fact.part[1] - 1) // 10_000 for fact in facts) > 20  # of two files
