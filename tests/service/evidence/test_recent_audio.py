"""Any stretch of the last minutes, cut out of a spool."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import guano
import numpy as np
import pytest
import soundfile

from known_audio import EPOCH, known_block, known_blocks, sample_values
from seacanary.evidence.clips import Stream
from seacanary.evidence.recent_audio import (
    MOST_WAITING,
    AudioBusy,
    AudioGone,
    AudioNotYet,
    AudioTooLong,
    AudioUnknown,
    RecentAudio,
    Stretch,
)
from seacanary.evidence.section import EvidenceSection
from seacanary.evidence.spool import Spool

RATE_HZ = 8000
NORTH = Stream("north", EPOCH, RATE_HZ)


def at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


@asynccontextmanager
async def recent(folder: Path, **changes: object) -> AsyncIterator[tuple[Spool, RecentAudio]]:
    section = EvidenceSection.model_validate({"path": folder / "evidence", **changes})
    spool = Spool(section.spool_path, section.spool)
    audio = RecentAudio(spool, section, station="pier", location=(78.2, 15.6))
    yield spool, audio
    await audio.aclose()
    spool.close()


def hear(spool: Spool, stream: Stream, *ranges: tuple[int, int]) -> None:
    for block in known_blocks(stream, ranges, size=1000):
        spool.hear(block)
    assert spool.flush(10)


def forget_first_segment(folder: Path) -> None:
    (path,) = folder.rglob("000000000000000_*.f32")
    path.unlink()


def samples_of(found: Stretch) -> np.ndarray:
    samples, rate_hz = soundfile.read(io.BytesIO(found.encoded.flac), dtype="float32")
    assert rate_hz == found.layout.span.stream.sample_rate_hz
    return samples


async def test_a_stretch_has_the_very_samples_and_says_which(tmp_path: Path) -> None:
    async with recent(tmp_path) as (spool, audio):
        hear(spool, NORTH, (0, 10 * RATE_HZ))
        found = await audio.cut("north", at(2.5), at(7.25))
        np.testing.assert_array_equal(samples_of(found), sample_values(NORTH, 20_000, 58_000))
        assert (found.layout.clip, found.layout.missing, found.start) == ((20_000, 58_000), (), at(2.5))
        with soundfile.SoundFile(io.BytesIO(found.encoded.flac)) as file:
            text = guano.GuanoFile.from_string(file.comment)
        assert text["SeaCanary|Station"] == "pier"
        assert text["SeaCanary|First Sample"] == "20000"
        assert text["Loc Position"] == (78.2, 15.6)


async def test_lost_samples_are_zeros_and_listed(tmp_path: Path) -> None:
    async with recent(tmp_path) as (spool, audio):
        hear(spool, NORTH, (0, 30_000), (34_000, 80_000))
        found = await audio.cut("north", at(3), at(5))
        assert found.layout.missing == ((30_000, 34_000),)
        expected = sample_values(NORTH, 24_000, 40_000)
        expected[6000:10_000] = 0
        np.testing.assert_array_equal(samples_of(found), expected)


async def test_a_stretch_goes_on_in_the_next_stream(tmp_path: Path) -> None:
    later = replace(NORTH, epoch=at(6))
    async with recent(tmp_path) as (spool, audio):
        hear(spool, NORTH, (0, 5 * RATE_HZ))
        hear(spool, later, (0, 5 * RATE_HZ))
        found = await audio.cut("north", at(4), at(8))
        assert found.layout.missing == ((5 * RATE_HZ, 6 * RATE_HZ),)
        truth = [sample_values(NORTH, 32_000, 40_000), np.zeros(8000), sample_values(later, 0, 16_000)]
        np.testing.assert_array_equal(samples_of(found), np.concatenate(truth))


async def test_audio_of_an_earlier_process_is_given_too(tmp_path: Path) -> None:
    async with recent(tmp_path) as (spool, _):
        hear(spool, NORTH, (0, 5 * RATE_HZ))
    async with recent(tmp_path) as (_, audio):
        found = await audio.cut("north", at(1), at(2))
        np.testing.assert_array_equal(samples_of(found), sample_values(NORTH, 8000, 16_000))
        with pytest.raises(AudioNotYet) as caught:
            await audio.cut("north", at(4), at(6))
        assert caught.value.retry_s is None  # nothing comes from it now


@pytest.mark.parametrize(
    ("hydrophone", "start_s", "end_s", "refusal", "words"),
    [
        ("south", 1, 2, AudioUnknown, "No audio of a hydrophone named south"),
        ("north", -3, 2, AudioGone, "held from 2026-05-01T12:00:00.000000Z on; what was before is gone"),
        ("north", -3, -2, AudioGone, "what was before is gone"),
        ("north", 19, 21, AudioNotYet, "heard until 2026-05-01T12:00:20.000000Z"),
        ("north", 30, 31, AudioNotYet, "has not come yet"),
        ("north", 11, 12, AudioUnknown, "gave no audio from"),
        ("north", 0, 60.5, AudioTooLong, "At most 60 s"),
    ],
)
async def test_what_cannot_be_given_is_refused_with_the_reason(
    tmp_path: Path, hydrophone: str, start_s: float, end_s: float, refusal: type[Exception], words: str
) -> None:
    async with recent(tmp_path) as (spool, audio):
        hear(spool, NORTH, (0, 10 * RATE_HZ), (15 * RATE_HZ, 20 * RATE_HZ))
        with pytest.raises(refusal, match=words):
            await audio.cut(hydrophone, at(start_s), at(end_s))


async def test_what_is_not_heard_yet_comes_after_the_time_it_says(tmp_path: Path) -> None:
    async with recent(tmp_path) as (spool, audio):
        hear(spool, NORTH, (0, 10 * RATE_HZ))
        with pytest.raises(AudioNotYet) as caught:
            await audio.cut("north", at(9), at(12.5))
        assert caught.value.retry_s == 3
        hear(spool, NORTH, (10 * RATE_HZ, 13 * RATE_HZ))
        assert samples_of(await audio.cut("north", at(9), at(12.5))).size == 3.5 * RATE_HZ


async def test_recordings_without_a_time_cannot_be_asked_for_by_time(tmp_path: Path) -> None:
    async with recent(tmp_path) as (spool, audio):
        spool.hear(known_block(NORTH, 0, 8000, time_known=False))
        assert spool.flush(10)
        with pytest.raises(AudioUnknown, match="without a known time"):
            await audio.cut("north", at(0), at(1))


async def test_samples_that_go_while_they_are_read_are_gone(tmp_path: Path) -> None:
    async with recent(tmp_path) as (spool, audio):
        hear(spool, NORTH, (0, 10 * RATE_HZ))
        forget_first_segment(tmp_path)
        with pytest.raises(AudioGone):
            await audio.cut("north", at(1), at(2))


async def test_too_many_at_once_are_told_to_come_back(tmp_path: Path) -> None:
    async with recent(tmp_path) as (spool, audio):
        hear(spool, NORTH, (0, 10 * RATE_HZ))
        first = [asyncio.create_task(audio.cut("north", at(1), at(2))) for _ in range(MOST_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(AudioBusy):
            await audio.cut("north", at(1), at(2))
        assert len(await asyncio.gather(*first)) == MOST_WAITING
        await audio.cut("north", at(1), at(2))
