"""What a browser or a worker gets of clips and of the last minutes."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile

from known_audio import EPOCH, known_blocks, presence, sample_values
from seacanary.evidence.clips import Stream
from seacanary.evidence.consumer import CURSOR as CLIPS
from seacanary.evidence.names import AUDIO, file_of, stem_of
from seacanary.evidence.recent_audio import RecentAudio
from seacanary.evidence.section import EvidenceSection
from seacanary.evidence.spool import Spool
from seacanary.evidence.writer import ClipWriter
from seacanary.journal import Journal
from seacanary.web.app import web_app
from seacanary.web.event_reading import EventReading
from seacanary.web.evidence_files import EvidenceFiles
from seacanary.web.section import WebSection

RATE_HZ = 8000
NORTH = Stream("north", EPOCH, RATE_HZ)


def utc(seconds: float) -> str:
    moment: datetime = EPOCH + timedelta(seconds=seconds)
    return moment.isoformat()


@asynccontextmanager
async def server(folder: Path) -> AsyncIterator[tuple[httpx.AsyncClient, Spool, Journal, ClipWriter]]:
    """An edge's web application, without reviews, over ten seconds of known audio with a gap."""
    section = EvidenceSection(path=folder / "evidence")
    spool = Spool(section.spool_path, section.spool)
    for block in known_blocks(NORTH, [(0, 40_000), (48_000, 80_000)], size=1000):
        spool.hear(block)
    assert spool.flush(10)
    audio = RecentAudio(spool, section, station="pier")
    path = folder / "journal.db"
    async with await Journal.open(path) as journal, EventReading.over(path) as events:
        app = web_app(WebSection(), station="pier", events=events, evidence=EvidenceFiles(section.path), audio=audio)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8320") as client:
            yield client, spool, journal, ClipWriter(section.path, spool, span_of=section.span_of)
        await audio.aclose()
    spool.close()


async def test_the_last_minutes_are_given_as_flac_with_their_place(tmp_path: Path) -> None:
    async with server(tmp_path) as (client, *_):
        answer = await client.get("/api/audio/north", params={"start": utc(4), "end": utc(7)})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/flac")
        samples, rate_hz = soundfile.read(io.BytesIO(answer.content), dtype="float32")
        expected = sample_values(NORTH, 32_000, 56_000)
        expected[8000:16_000] = 0
        np.testing.assert_array_equal(samples, expected)
        told = {name: value for name, value in answer.headers.items() if name.startswith("seacanary-")}
        assert told == {
            "seacanary-start": utc(4),
            "seacanary-epoch": utc(0),
            "seacanary-sample-rate-hz": str(rate_hz),
            "seacanary-samples": "32000-56000",
            "seacanary-missing": "40000-48000",
            "seacanary-rounded-samples": "0",
            "seacanary-clipped-samples": "0",
        }
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("hydrophone", "start_s", "end_s", "status"),
    [("south", 1, 2, 404), ("north", -9, -8, 410), ("north", 0, 61, 413), ("north", 9, 12, 416), ("north", 2, 1, 422)],
)
async def test_what_cannot_be_given_has_a_status_and_a_reason(
    tmp_path: Path, hydrophone: str, start_s: float, end_s: float, status: int
) -> None:
    async with server(tmp_path) as (client, *_):
        answer = await client.get(f"/api/audio/{hydrophone}", params={"start": utc(start_s), "end": utc(end_s)})
        assert answer.status_code == status
        assert answer.json()["detail"]
        assert answer.headers.get("retry-after") == ("2" if status == 416 else None)


async def test_a_time_without_its_zone_is_refused(tmp_path: Path) -> None:
    async with server(tmp_path) as (client, *_):
        local = {"start": "2026-05-01T12:00:01", "end": "2026-05-01T12:00:02"}
        assert (await client.get("/api/audio/north", params=local)).status_code == 422


async def test_a_clip_is_found_by_the_id_of_its_event(tmp_path: Path) -> None:
    async with server(tmp_path) as (client, _, journal, writer):
        heard, gone = presence(NORTH, 20_000, 28_000), presence(replace(NORTH, hydrophone="far"), 0, 100)
        place = f"/api/events/{heard.id}/clip"
        assert (await client.get(place)).status_code == 404
        await journal.append([heard, gone])
        early = await client.get(place)
        assert (early.status_code, early.json()["detail"]) == (404, "Its clip is not written yet.")
        facts = [writer.write(event) for event in (heard, gone)]
        clip = await client.get(place)
        samples, _ = soundfile.read(io.BytesIO(clip.content), dtype="float32")
        assert facts[0].clip is not None
        np.testing.assert_array_equal(samples, sample_values(NORTH, *facts[0].clip))
        assert (await client.get(f"/evidence/{file_of(stem_of(heard), AUDIO)}")).content == clip.content
        missed = await client.get(f"/api/events/{gone.id}/clip")
        assert (missed.status_code, missed.json()["detail"]) == (410, "Its audio was gone before it could be kept.")


async def test_a_clip_that_made_room_is_not_said_to_come(tmp_path: Path) -> None:
    async with server(tmp_path) as (client, _, journal, _):
        [entry] = await journal.append([presence(NORTH, 20_000, 28_000)])
        await journal.move_cursor(CLIPS, entry.sequence)
        answer = await client.get(f"/api/events/{entry.event.id}/clip")
        assert answer.status_code == 410
        assert "made room" in answer.json()["detail"]


async def test_nobody_reviews_where_there_are_no_links(tmp_path: Path) -> None:
    async with server(tmp_path) as (client, _, journal, _):
        heard = presence(NORTH, 20_000, 28_000)
        await journal.append([heard])
        assert (await client.get("/review/token")).status_code == 404
        word = {"token": "x", "reviewer": "Anna"}
        assert (await client.post(f"/api/events/{heard.id}/review", json=word)).status_code == 404
        assert (await client.get(f"/events/{heard.id}")).status_code == 200


async def test_another_host_name_is_refused(tmp_path: Path) -> None:
    async with server(tmp_path) as (client, *_):
        asked = {"start": utc(1), "end": utc(2)}
        answer = await client.get("/api/audio/north", params=asked, headers={"host": "evil.example"})
        assert answer.status_code == 400
