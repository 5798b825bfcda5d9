import tempfile
import threading
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from known_audio import EPOCH, known_block, known_blocks, sample_values
from seacanary.audio import Arrival, AudioBlock
from seacanary.evidence import archive, archive_shelf
from seacanary.evidence.archive import RETRY_S, Archive, ArchiveSection, ArchiveWriter
from seacanary.evidence.archive_file import ArchiveFile
from seacanary.evidence.clips import Stream

STREAM = Stream("north", EPOCH, 8000)
NOW = EPOCH + timedelta(days=1)


class Desk:
    """A writer with a clock in the test's hand."""

    def __init__(self, folder: Path, **changes: object) -> None:
        section = ArchiveSection.model_validate({"path": folder, "file_s": 1, "min_free_bytes": 0, **changes})
        self.now, self.now_s = NOW, 0.0
        self.writer = ArchiveWriter(section, station="pier", utc_now=lambda: self.now, monotonic_s=lambda: self.now_s)

    def write(self, blocks: Iterable[AudioBlock]) -> None:
        for block in blocks:
            self.writer.write(block)
        self.writer.close()


def tags(path: Path) -> dict[str, str]:
    with soundfile.SoundFile(path) as file:
        return dict(line.split(": ", 1) for line in file.comment.splitlines())


def archived(folder: Path) -> dict[Stream, list[tuple[int, NDArray[np.float32]]]]:
    """By stream, each file's first sample and its audio, in order."""
    found: dict[Stream, list[tuple[int, NDArray[np.float32]]]] = {}
    for path in folder.glob("*/*/*.flac"):
        said, (samples, rate_hz) = tags(path), soundfile.read(path, dtype="float32")
        stream = Stream(said["SeaCanary|Hydrophone"], datetime.fromisoformat(said["SeaCanary|Epoch"]), rate_hz)
        found.setdefault(stream, []).append((int(said["SeaCanary|First Sample"]), samples))
    return {stream: sorted(files, key=lambda file: file[0]) for stream, files in found.items()}


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*/*/*.flac"))


@settings(deadline=None, max_examples=25)
@given(
    pieces=st.lists(st.tuples(st.integers(0, 4000), st.integers(1, 20_000)), min_size=1, max_size=4),
    size=st.integers(500, 9000),
)
def test_every_sample_is_archived_bit_by_bit_and_no_file_straddles_a_gap(
    pieces: list[tuple[int, int]], size: int
) -> None:
    ranges, position = [], 0
    for pause, length in pieces:
        ranges.append((position + pause, position + pause + length))
        position += pause + length
    with tempfile.TemporaryDirectory() as name:
        Desk(Path(name)).write(known_blocks(STREAM, ranges, size=size))
        files = archived(Path(name))[STREAM]
    heard = np.concatenate([np.arange(*r) for r in ranges])
    kept = np.concatenate([np.arange(first, first + samples.size) for first, samples in files])
    np.testing.assert_array_equal(kept, heard)
    for first, samples in files:
        np.testing.assert_array_equal(samples, sample_values(STREAM, first, first + samples.size))


def test_files_begin_at_round_utc_and_are_named_by_it(tmp_path: Path) -> None:
    stream = Stream("north", EPOCH + timedelta(seconds=57.25), 8000)
    Desk(tmp_path, file_s=10).write(known_blocks(stream, [(0, 200_000)], size=7000))
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*/*")) == [
        "north/2026-05-01/20260501T120057Z_0_08f579.flac",
        "north/2026-05-01/20260501T120100Z_22000_08f579.flac",
        "north/2026-05-01/20260501T120110Z_102000_08f579.flac",
        "north/2026-05-01/20260501T120120Z_182000_08f579.flac",
    ]


def test_no_sliver_is_cut_for_the_sake_of_a_round_time(tmp_path: Path) -> None:
    stream = Stream("north", EPOCH + timedelta(seconds=59.7), 8000)
    Desk(tmp_path, file_s=10).write(known_blocks(stream, [(0, 100_000)], size=7000))
    assert [samples.size for _, samples in archived(tmp_path)[stream]] == [round(10.3 * 8000), 100_000 - 82_400]


def test_time_is_that_of_the_fitted_clock(tmp_path: Path) -> None:
    """True rate 0.1 % low: after 10 minutes the audio is 0.6 s behind the nominal time."""
    began_s, blocks = EPOCH.timestamp(), []
    for second in range(600):
        block = known_block(STREAM, second * 8000, (second + 1) * 8000)
        arrived_s = (second + 1) * 1.001
        blocks.append(
            AudioBlock("north", block.samples, block.first_sample, 8000, EPOCH, Arrival(began_s + arrived_s, arrived_s))
        )
    Desk(tmp_path, file_s=300).write(blocks)
    (_, (first, _), *_) = archived(tmp_path)[STREAM]
    (second,) = tmp_path.glob(f"*/*/*_{first}_*.flac")
    late_s = (datetime.fromisoformat(tags(second)["Timestamp"]) - EPOCH).total_seconds() - first / 8000
    assert late_s == pytest.approx(first / 8000 * 0.001, abs=0.02)


@pytest.mark.parametrize("other", [Stream("north", EPOCH + timedelta(seconds=1), 8000), Stream("north", EPOCH, 16_000)])
def test_another_epoch_or_rate_is_another_file(tmp_path: Path, other: Stream) -> None:
    Desk(tmp_path, file_s=60).write([known_block(STREAM, 0, 4000), known_block(other, 4000, 9000)])
    files = archived(tmp_path)
    assert {stream: [(first, s.size) for first, s in found] for stream, found in files.items()} == {
        STREAM: [(0, 4000)],
        other: [(4000, 5000)],
    }


def test_each_hydrophone_has_its_own_files(tmp_path: Path) -> None:
    other = Stream("../we/ird", EPOCH, 8000)
    desk = Desk(tmp_path)
    by_hydrophone = [known_blocks(stream, [(0, 9000)], size=999) for stream in (STREAM, other)]
    desk.write(block for pair in zip(*by_hydrophone, strict=True) for block in pair)
    assert set(archived(tmp_path)) == {STREAM, other}
    assert not list(tmp_path.parent.glob("we*"))


def test_what_is_beyond_full_scale_is_held_at_it(tmp_path: Path) -> None:
    Desk(tmp_path).write([AudioBlock("north", np.array([2.0, -2.0, 0.5] * 100, np.float32), 0, 8000, EPOCH)])
    ((_, samples),) = archived(tmp_path)[STREAM]
    np.testing.assert_allclose(samples[:3], [1, -1, 0.5], atol=1e-6)


@pytest.mark.parametrize("rate_hz", [44_100, 96_000, 384_000, 576_000])
def test_every_rate_can_be_archived(tmp_path: Path, rate_hz: int) -> None:
    stream = Stream("north", EPOCH, rate_hz)
    Desk(tmp_path, file_s=10).write([known_block(stream, 0, 50_000)])
    ((first, samples),) = archived(tmp_path)[stream]
    np.testing.assert_array_equal(samples, sample_values(stream, first, 50_000))


def test_the_oldest_files_go_for_size_age_and_free_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path, max_bytes=60_000)
    desk.write(known_blocks(STREAM, [(0, 80_000)], size=4000))  # 10 files of about 24 kB
    left = [first for first, _ in archived(tmp_path)[STREAM]]
    assert left == list(range(left[0], 80_000, 8000))
    sizes = [path.stat().st_size for path in sorted(tmp_path.glob("*/*/*.flac"))]
    assert desk.writer.size_bytes == sum(sizes)
    assert sum(sizes[:-1]) <= 60_000 < sum(sizes) + max(sizes)  # the last was begun when there was room

    later = Desk(tmp_path, max_age_days=1)
    later.now = EPOCH + timedelta(days=1, seconds=8.5)
    later.write([known_block(STREAM, 80_000, 84_000)])
    assert [first for first, _ in archived(tmp_path)[STREAM]] == [72_000, 80_000]

    monkeypatch.setattr(archive_shelf.ArchiveShelf, "free_bytes", lambda _: 100)
    full = Desk(tmp_path, min_free_bytes=1000)
    full.write([known_block(STREAM, 84_000, 88_000)])
    assert archived(tmp_path) == {}
    assert full.writer.lost_samples == {"north": 4000}
    assert "min_free_bytes" in (full.writer.trouble or "")


def test_what_a_killed_process_left_is_counted_and_its_torn_file_removed(tmp_path: Path) -> None:
    Desk(tmp_path).write(known_blocks(STREAM, [(0, 16_000)], size=4000))
    torn = next(tmp_path.glob("*/*/*.flac")).with_name(".20260501T120009Z_72000.flac.part")
    torn.write_bytes(b"fLaC")
    desk = Desk(tmp_path)
    desk.write([known_block(STREAM, 16_000, 20_000)])
    assert not torn.exists()
    assert desk.writer.size_bytes == bytes_in(tmp_path)


def test_a_disk_that_fails_loses_audio_counts_it_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, write, broken = Desk(tmp_path, file_s=10), ArchiveFile.write, False

    def failing(file: ArchiveFile, samples: NDArray[np.float32]) -> None:
        if broken:
            raise OSError(28, "No space left on device")
        write(file, samples)

    monkeypatch.setattr(ArchiveFile, "write", failing)
    blocks = known_blocks(STREAM, [(0, 40_000)], size=4000)
    for number, block in enumerate(blocks):
        broken = 3 <= number < 6
        desk.now_s = number * RETRY_S * 0.6
        desk.writer.write(block)
    assert desk.writer.trouble is None
    desk.writer.close()
    kept = {first: samples.size for first, samples in archived(tmp_path)[STREAM]}
    assert sum(kept.values()) + desk.writer.lost_samples["north"] == 40_000
    assert max(kept) <= 28_000
    assert list(tmp_path.glob("*/*/.*")) == []


async def test_whoever_hands_over_never_waits_and_what_is_shed_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free, write = threading.Event(), archive.ArchiveWriter.write

    def stuck(writer: ArchiveWriter, block: AudioBlock) -> None:
        free.wait(20)
        write(writer, block)

    monkeypatch.setattr(archive.ArchiveWriter, "write", stuck)
    section = ArchiveSection(path=tmp_path, min_free_bytes=0, queue_bytes=1 << 16)
    recording = Archive(section, station="pier")
    began_s = time.monotonic()
    for block in known_blocks(STREAM, [(0, 400_000)], size=4000):
        recording.hear(block)
    assert time.monotonic() - began_s < 5
    free.set()
    await recording.aclose(30)
    kept = sum(samples.size for _, samples in archived(tmp_path)[STREAM])
    shed = recording.shed_samples()["north"]
    assert shed > 300_000
    assert kept + shed == 400_000


async def test_the_archive_writes_all_and_tells_its_size(tmp_path: Path) -> None:
    sizes: list[int] = []
    section = ArchiveSection(path=tmp_path, min_free_bytes=0, file_s=1)
    recording = Archive(section, station="pier", on_bytes=sizes.append)
    for block in known_blocks(STREAM, [(0, 50_000)], size=4000):
        recording.hear(block)
    recording.hear(known_block(Stream("undated", EPOCH, 8000), 0, 8000, time_known=False))
    await recording.aclose()
    assert list(archived(tmp_path)) == [STREAM]
    assert sum(samples.size for _, samples in archived(tmp_path)[STREAM]) == 50_000
    assert sizes[-1] == bytes_in(tmp_path)
    assert recording.trouble is None
    assert not recording.shed_samples()


def test_files_say_where_they_come_from(tmp_path: Path) -> None:
    Desk(tmp_path).write([known_block(STREAM, 4000, 8000)])
    said = tags(next(tmp_path.glob("*/*/*.flac")))
    assert said["SeaCanary|Station"] == "pier"
    assert said["Samplerate"] == "8000"
    assert datetime.fromisoformat(said["Timestamp"]) == EPOCH + timedelta(seconds=0.5)


def test_epochs_and_hydrophones_that_look_alike_do_not_overwrite_each_other(tmp_path: Path) -> None:
    later = Stream("north", EPOCH + timedelta(seconds=0.4), 8000)
    streams = [STREAM, later, Stream("a b", EPOCH, 8000), Stream("a_b", EPOCH, 8000)]
    Desk(tmp_path).write([known_block(stream, 0, 800) for stream in streams])
    assert set(archived(tmp_path)) == set(streams)


async def test_what_nobody_foresaw_costs_a_block_and_not_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = archive.ArchiveWriter.write

    def fails_once(writer: ArchiveWriter, block: AudioBlock) -> None:
        if block.first_sample == 800:
            raise MemoryError
        write(writer, block)

    monkeypatch.setattr(archive.ArchiveWriter, "write", fails_once)
    recording = Archive(ArchiveSection(path=tmp_path, min_free_bytes=0), station="pier")
    for block in known_blocks(STREAM, [(0, 2400)], size=800):
        recording.hear(block)
    await recording.aclose()
    assert recording.shed_samples() == {"north": 800}
    assert sum(samples.size for _, samples in archived(tmp_path)[STREAM]) == 1600
