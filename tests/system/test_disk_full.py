"""A real small disk (tmpfs) under evidence and archive: filled, made read-only, taken away."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile

from evidence_checks import EvidenceStation, check_evidence, evidence_station
from evidence_folder import NOW, put_clip
from known_audio import EPOCH, known_block, presence
from seacanary.audio import AudioBlock, read_only
from seacanary.conditions import ConditionLog
from seacanary.events import ConditionEvent, Event
from seacanary.evidence.archive import RETRY_S, ArchiveSection, ArchiveWriter
from seacanary.evidence.clips import Stream
from seacanary.evidence.disk import DiskRound, EvidenceDisk
from seacanary.evidence.retention import EvidenceRetention
from seacanary.evidence.spool import Spool, SpoolSection
from seacanary.metrics import Metrics

pytestmark = pytest.mark.system

STREAM = Stream("north", EPOCH, 1000)
EVENT = presence(STREAM, 1000, 7000)
DISK_BYTES, CLIP_BYTES, LEAST_FREE_BYTES = 4 << 20, 200_000, 1_000_000


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True, timeout=20)


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "-l", str(folder)], check=True, timeout=20)


def names_in(folder: Path) -> set[str]:
    """Files at any depth, but for the probe that comes and goes."""
    return {path.name for path in folder.rglob("*") if not path.is_dir()} - {".probe"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of DISK_BYTES."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mount("-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder))
    except (OSError, subprocess.CalledProcessError) as exc:
        pytest.skip(f"a tmpfs can be mounted by root only, and not in every container: {exc}")
    yield folder
    while folder.is_mount():
        unmount(folder)


def fill(disk: Path, *, leave_bytes: int) -> Path:
    """Something else takes the disk's space."""
    ballast, status = disk / "ballast", os.statvfs(disk)
    size = ballast.stat().st_size if ballast.exists() else 0
    with ballast.open("ab") as file:
        os.posix_fallocate(file.fileno(), 0, size + status.f_bavail * status.f_frsize - leave_bytes)
    return ballast


@dataclass
class Watched:
    """A station's evidence with the disk it lies on, looked at ten times a second."""

    station: EvidenceStation
    disk: EvidenceDisk
    told: list[Event]
    rounds: list[DiskRound] = field(default_factory=list)

    def changes(self) -> list[tuple[str, str]]:
        return [(event.condition, event.change) for event in self.told if isinstance(event, ConditionEvent)]

    def deleted(self) -> list[str]:
        return [deletion.clip.stem for seen in self.rounds for deletion in seen.deleted]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                await asyncio.sleep(0.02)

    async def next_round(self) -> None:
        """Wait for a look at the disk that began after now."""
        seen = len(self.rounds)
        await self.until(lambda: len(self.rounds) >= seen + 2)


@asynccontextmanager
async def watching(tmp_path: Path, disk: Path) -> AsyncIterator[Watched]:
    """Evidence on the small disk; journal and spool on another, where events go on."""
    at = evidence_station(tmp_path, path=disk / "evidence", spool={"path": tmp_path / "spool"})
    told: list[Event] = []

    async def tell(events: Sequence[Event]) -> None:
        told.extend(events)

    def looked(seen: DiskRound) -> None:
        watched.rounds.append(seen)
        at.refusal[:] = [seen.verdict.detail] if seen.verdict.stopped else []

    watched = Watched(
        at,
        EvidenceDisk(
            disk / "evidence",
            EvidenceRetention(min_free_bytes=LEAST_FREE_BYTES, min_headroom_hours=0, interval_s=0.1),
            conditions=ConditionLog("station", metrics=Metrics(), tell=tell),
            on_round=looked,
            utc_now=lambda: NOW,
        ),
        told,
    )
    async with at.running():
        looking = asyncio.create_task(watched.disk.run())
        try:
            await watched.until(lambda: bool(watched.rounds))
            yield watched
            assert not looking.done()  # whatever happened
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking
            await watched.disk.aclose()


async def one_event(watched: Watched, number: int) -> None:
    """An event comes, with its audio: it is in the journal whatever becomes of its clip."""
    head = watched.station.journal.head
    event = presence(STREAM, 1000 + number, 7000)
    watched.station.spool.hear(known_block(STREAM, number * 20_000, number * 20_000 + 9500))
    await watched.station.tell(event)
    assert watched.station.journal.head == head + 1


async def test_a_full_disk_costs_common_clips_then_all_then_new_ones_but_no_event(tmp_path: Path, disk: Path) -> None:
    folder = disk / "evidence"
    belugas = [put_clip(folder, age_h, CLIP_BYTES) for age_h in (9, 8, 7, 6, 5)]
    rare = put_clip(folder, 500, CLIP_BYTES, species="narwhal")
    async with watching(tmp_path, disk) as watched:
        await watched.next_round()
        assert watched.deleted() == []

        fill(disk, leave_bytes=LEAST_FREE_BYTES - CLIP_BYTES)  # room for one clip is short
        await watched.until(lambda: len(watched.deleted()) >= 1)
        await watched.next_round()
        assert watched.deleted() == belugas[: len(watched.deleted())]
        assert len(watched.deleted()) <= 2
        assert watched.changes() == []  # retention was enough

        while watched.disk.refusal() is None:  # what is freed is taken at once
            fill(disk, leave_bytes=0)
            await watched.next_round()
        assert set(watched.deleted()) == {*belugas, rare}
        assert watched.deleted()[:4] == belugas[:4]
        await watched.next_round()
        assert watched.changes() == [("disk_low", "begun"), ("evidence_stopped", "begun")]
        await one_event(watched, 0)
        await asyncio.sleep(0.5)
        assert watched.station.facts(EVENT) is None
        assert watched.station.states[-1][0] == "stopped"

        (disk / "ballast").unlink()
        await watched.station.done()
        await watched.until(lambda: len(watched.changes()) == 4)
    assert check_evidence(folder, EVENT, {STREAM: [(0, 9500)]}).outcome == "complete"
    assert watched.changes()[2:] == [("disk_low", "ended"), ("evidence_stopped", "ended")]
    assert watched.station.states[-1][0] == "recording"


async def test_a_disk_that_fills_between_two_looks_leaves_no_half_clip(tmp_path: Path, disk: Path) -> None:
    async with watching(tmp_path, disk) as watched:
        watched.station.refusal = []  # the writer runs into the full disk itself
        ballast = fill(disk, leave_bytes=8192)
        await one_event(watched, 0)
        await asyncio.sleep(1)
        assert watched.station.facts(EVENT) is None
        assert names_in(disk / "evidence") == set()
        ballast.unlink()
        await watched.station.done(within_s=40)
    assert check_evidence(disk / "evidence", EVENT, {STREAM: [(0, 9500)]}).outcome == "complete"


async def test_a_disk_made_read_only_stops_evidence_until_it_can_be_written(tmp_path: Path, disk: Path) -> None:
    async with watching(tmp_path, disk) as watched:
        mount("-o", "remount,ro", str(disk))
        await watched.until(lambda: watched.disk.refusal() is not None)
        assert "Read-only file system" in (watched.disk.refusal() or "")
        await one_event(watched, 0)
        await asyncio.sleep(0.5)
        assert watched.station.facts(EVENT) is None
        mount("-o", "remount,rw", str(disk))
        await watched.station.done(within_s=40)
        await watched.next_round()
    assert check_evidence(disk / "evidence", EVENT, {STREAM: [(0, 9500)]}).outcome == "complete"
    assert watched.changes() == [("evidence_stopped", "begun"), ("evidence_stopped", "ended")]


async def test_sound_that_waits_for_a_full_disk_leaves_the_journal_room(tmp_path: Path, disk: Path) -> None:
    least = 1 << 20
    spool = {"min_free_bytes": least, "segment_s": 0.5}
    at = evidence_station(disk, path=disk / "evidence", spool=spool)
    at.refusal[:] = ["the disk is low"]
    async with at.running():
        await at.tell(EVENT)
        for number in range(60):  # 12 MB of sound that an event waits for, on a disk of 4
            at.spool.hear(known_block(STREAM, number * 50_000, (number + 1) * 50_000))
            await asyncio.to_thread(at.spool.flush, 5.0)
            assert os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize > least // 2
        await at.tell(presence(STREAM, 2000, 3000))
        assert at.journal.head == 2
    assert at.spool.shed_samples()["north"] > 0


async def test_sound_is_not_written_below_the_bare_mount_point(tmp_path: Path, disk: Path) -> None:
    spool = Spool(disk / "evidence" / "spool", SpoolSection(min_free_bytes=0, segment_s=1))
    for number in range(3):
        if number == 1:
            unmount(disk)
        spool.hear(known_block(STREAM, number * 2000, (number + 1) * 2000))
        await asyncio.to_thread(spool.flush, 5.0)
    assert names_in(disk) == set()
    assert "mount it again" in (spool.trouble or "")
    await asyncio.to_thread(spool.close)


async def test_a_disk_that_is_gone_is_not_written_elsewhere_and_waited_for(tmp_path: Path, disk: Path) -> None:
    async with watching(tmp_path, disk) as watched:
        await watched.next_round()
        unmount(disk)
        await watched.until(lambda: watched.disk.refusal() is not None)
        assert "mount it again" in (watched.disk.refusal() or "")
        await one_event(watched, 0)
        await asyncio.sleep(0.5)
        assert names_in(disk) == set()  # not below the bare mount point
        mount("-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(disk))
        (disk / "evidence").mkdir()
        await watched.station.done(within_s=40)
        await watched.next_round()
    assert check_evidence(disk / "evidence", EVENT, {STREAM: [(0, 9500)]}).outcome == "complete"
    assert watched.changes() == [("evidence_stopped", "begun"), ("evidence_stopped", "ended")]


def noise(second: int) -> AudioBlock:
    samples = np.random.default_rng(second).uniform(-1, 1, 96_000).astype(np.float32)
    return AudioBlock("north", read_only(samples), second * 96_000, 96_000, EPOCH)


def archived_samples(folder: Path) -> int:
    return sum(soundfile.info(path).frames for path in folder.glob("*/*/*.flac"))


def test_an_archive_within_its_limits_goes_round_on_a_small_disk(disk: Path) -> None:
    section = ArchiveSection(path=disk / "archive", file_s=1, min_free_bytes=1 << 20)
    writer = ArchiveWriter(section, station="s", utc_now=lambda: EPOCH, monotonic_s=lambda: 0.0)
    for second in range(40):  # 11 MB on a disk of 4
        writer.write(noise(second))
    writer.close()
    starts = sorted(path.name.partition("_")[0] for path in disk.glob("archive/*/*/*.flac"))
    assert starts[-1] == f"{EPOCH + timedelta(seconds=39):%Y%m%dT%H%M%SZ}"
    assert len(starts) >= 8
    assert (writer.trouble, writer.lost_samples) == (None, {})


def test_an_archive_on_a_full_disk_loses_audio_and_comes_back(disk: Path) -> None:
    now_s = 0.0
    section = ArchiveSection(path=disk / "archive", file_s=5, min_free_bytes=0)
    writer = ArchiveWriter(section, station="s", utc_now=lambda: EPOCH, monotonic_s=lambda: now_s)
    ballast = fill(disk, leave_bytes=500_000)
    for second in range(12):
        writer.write(noise(second))
    assert "No space" in (writer.trouble or "") or "System error" in (writer.trouble or "")
    ballast.unlink()
    now_s = RETRY_S
    for second in range(12, 20):
        writer.write(noise(second))
    writer.close()
    assert writer.trouble is None
    assert archived_samples(disk / "archive") + writer.lost_samples["north"] == 20 * 96_000
    assert archived_samples(disk / "archive") == 8 * 96_000
    assert not list(disk.glob("archive/*/*/.*"))
