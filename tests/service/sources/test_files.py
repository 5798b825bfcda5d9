"""Files, folders and watched folders give exact samples, positions and facts."""

import asyncio
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seacanary.audio import AudioBlock
from seacanary.errors import SourceLost, SourceUnusable
from seacanary.sources.files import FileReport, FilesSection, FilesSource, probe
from seacanary.sources.folders import Arrivals

RATE = 8000
START = datetime(2020, 8, 17, 12, tzinfo=UTC)


def noise(frames: int, channels: int = 1, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-1, 1, (frames, channels)).astype(np.float32)


def write(path: Path, samples: NDArray[np.float32], subtype: str = "FLOAT") -> Path:
    soundfile.write(path, samples, RATE, subtype=subtype)
    return path


async def play(source: FilesSource) -> list[AudioBlock]:
    blocks = [block async for block in source.blocks()]
    await source.aclose()
    await source.aclose()
    return blocks


def joined(blocks: list[AudioBlock]) -> dict[str, NDArray[np.float32]]:
    pieces: dict[str, list[NDArray[np.float32]]] = defaultdict(list)
    for block in blocks:
        pieces[block.hydrophone].append(block.samples)
    return {name: np.concatenate(samples) for name, samples in pieces.items()}


async def test_every_sample_of_every_channel_is_delivered(tmp_path: Path) -> None:
    samples = noise(RATE + 17, 3)
    path = write(tmp_path / "20200817_120000.wav", samples)
    blocks = await play(FilesSource(FilesSection(name="h", path=path)))
    channels = joined(blocks)
    assert list(channels) == ["h-ch1", "h-ch2", "h-ch3"]
    np.testing.assert_array_equal(np.stack(list(channels.values()), axis=1), samples)
    assert {block.epoch for block in blocks} == {START}
    assert {block.source_file for block in blocks} == {str(path)}
    assert all(block.arrival is None and not block.samples.flags.writeable for block in blocks)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(block_s=st.floats(0.001, 2.0), bad=st.sets(st.integers(0, 1999), max_size=5))
def test_block_size_does_not_change_what_is_heard(tmp_path: Path, block_s: float, bad: set[int]) -> None:
    samples = noise(2000)
    samples[list(bad)] = np.nan
    section = FilesSection(name="h", path=write(tmp_path / "a.wav", samples))
    heard = np.full(2000, np.nan, np.float32)
    for block in asyncio.run(play(FilesSource(section, block_s=block_s))):
        heard[block.first_sample : block.end_sample] = block.samples
    np.testing.assert_array_equal(heard, samples[:, 0])


async def test_unusable_samples_become_a_gap_in_their_channel_only(tmp_path: Path) -> None:
    samples = noise(1000, 2)
    samples[100:110, 1] = np.nan
    samples[500, 1] = np.inf
    reports: list[FileReport] = []
    section = FilesSection(name="h", path=write(tmp_path / "a.wav", samples), hydrophones=("left", "right"))
    blocks = await play(FilesSource(section, on_file_done=reports.append))
    spans = {
        name: [(b.first_sample, b.end_sample) for b in blocks if b.hydrophone == name] for name in ("left", "right")
    }
    assert spans == {"left": [(0, 1000)], "right": [(0, 100), (110, 500), (501, 1000)]}
    assert reports[0].unusable_samples == 11
    assert any("11 samples are not finite" in text for text in reports[0].warnings)


async def test_a_header_that_promises_too_much_is_reported(tmp_path: Path) -> None:
    path = write(tmp_path / "20200817_120000.wav", noise(1000), "PCM_16")
    path.write_bytes(path.read_bytes()[:-600])
    reports: list[FileReport] = []
    blocks = await play(FilesSource(FilesSection(path=path), on_file_done=reports.append))
    assert sum(block.samples.size for block in blocks) == 700
    assert reports[0].warnings == (f"{path}: truncated: 300 frames that its header promises are missing",)


async def test_a_cut_flac_gives_what_was_decoded_before_the_cut(tmp_path: Path) -> None:
    samples = noise(5 * RATE)
    path = write(tmp_path / "a.flac", samples, "PCM_16")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    reports: list[FileReport] = []
    heard = joined(await play(FilesSource(FilesSection(path=path), on_file_done=reports.append)))["recording"]
    assert 0.4 * samples.size < heard.size < 0.6 * samples.size
    np.testing.assert_allclose(heard, samples[: heard.size, 0], atol=1e-4)
    assert reports[0].damage is not None
    assert reports[0].missing_frames == samples.size - heard.size


async def test_an_undated_file_is_counted_from_1970_and_says_so(tmp_path: Path) -> None:
    reports: list[FileReport] = []
    section = FilesSection(path=write(tmp_path / "a.wav", noise(10)))
    blocks = await play(FilesSource(section, on_file_done=reports.append))
    assert blocks[0].epoch == datetime(1970, 1, 1, tzinfo=UTC)
    assert not probe(section.path).time_known
    assert "start time unknown" in reports[0].warnings[0]


async def test_files_that_follow_each_other_share_an_epoch(tmp_path: Path) -> None:
    whole = noise(3 * RATE)
    for second in (0, 1, 2):
        write(tmp_path / f"20200817_12000{second}.wav", whole[second * RATE : (second + 1) * RATE])
    write(tmp_path / "20200817_120005.wav", noise(RATE))  # two seconds late
    blocks = await play(FilesSource(FilesSection(name="h", path=tmp_path)))
    first = [block for block in blocks if block.epoch == START]
    np.testing.assert_array_equal(joined(first)["h"], whole[:, 0])
    assert [b.first_sample for b in first[1:]] == [b.end_sample for b in first[:-1]]
    later = [block for block in blocks if block.epoch != START]
    assert (later[0].epoch, later[0].first_sample) == (START + timedelta(seconds=5), 0)


async def test_joining_can_be_switched_off(tmp_path: Path) -> None:
    for second in (0, 1):
        write(tmp_path / f"20200817_12000{second}.wav", noise(RATE))
    section = FilesSection(name="h", path=tmp_path, join_tolerance_s=None)
    assert len({block.epoch for block in await play(FilesSource(section))}) == 2


async def test_undated_files_of_a_folder_have_epochs_of_their_own_every_time(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path / f"{name}.wav", noise(10))
    section = FilesSection(name="h", path=tmp_path)
    epochs = {block.source_file: block.epoch for block in await play(FilesSource(section))}
    assert len(set(epochs.values())) == 3
    assert {epoch.replace(microsecond=0) for epoch in epochs.values()} == {datetime(1970, 1, 1, tzinfo=UTC)}
    alone = await play(FilesSource(section, skip=[str(tmp_path / "a.wav"), str(tmp_path / "b.wav")]))
    assert {block.epoch for block in alone} == {epochs[str(tmp_path / "c.wav")]}


async def test_two_recordings_with_one_start_do_not_share_an_epoch(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"{name}_20200817_120000.wav", noise(10))
    blocks = await play(FilesSource(FilesSection(path=tmp_path)))
    assert [block.epoch - START for block in blocks] == [timedelta(), timedelta(microseconds=1)]


async def test_a_folder_plays_in_order_of_time_and_passes_over_bad_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write(tmp_path / "z_20200817_120000.wav", noise(10))
    write(tmp_path / "deep" / "a_20200817_130000.wav", noise(10))
    (tmp_path / "bad.wav").write_text("no sound")
    (tmp_path / "notes.txt").write_text("no sound either, and not asked for")
    reports: list[FileReport] = []
    section = FilesSection(path=tmp_path, recursive=True)
    blocks = await play(FilesSource(section, on_file_done=reports.append))
    assert [Path(block.source_file or "").name for block in blocks] == [
        "z_20200817_120000.wav",
        "a_20200817_130000.wav",
    ]
    assert [report.path.name for report in reports] == ["bad.wav", "z_20200817_120000.wav", "a_20200817_130000.wav"]
    assert "Format not recognised" in (reports[0].refused or "")
    assert len(await play(FilesSource(FilesSection(path=tmp_path)))) == 1


async def test_a_file_with_other_channels_than_named_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "20200817_120000.wav", noise(10, 3))
    write(tmp_path / "20200817_130000.wav", noise(10, 2))
    reports: list[FileReport] = []
    section = FilesSection(path=tmp_path, hydrophones=("a", "b"))
    blocks = await play(FilesSource(section, on_file_done=reports.append))
    assert [block.hydrophone for block in blocks] == ["a", "b"]
    assert "the feed has 3 channels" in (reports[0].refused or "")


async def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceUnusable, match="holds no sound files"):
        await play(FilesSource(FilesSection(path=tmp_path)))


async def test_realtime_pace_gives_a_block_when_its_last_sample_is_due(tmp_path: Path) -> None:
    now, waited = [100.0], list[float]()

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        now[0] += seconds

    section = FilesSection(path=write(tmp_path / "a.wav", noise(RATE)), pace="realtime")
    source = FilesSource(section, monotonic=lambda: now[0], sleep=sleep)
    async for _ in source.blocks():
        now[0] += 0.1  # a slow taker does not slow the pace
    await source.aclose()
    assert waited == pytest.approx([0.25, 0.15, 0.15, 0.15])


async def take(source: AsyncIterator[AudioBlock], count: int) -> list[AudioBlock]:
    async with asyncio.timeout(20):
        return [await anext(source) for _ in range(count)]


async def test_a_watched_folder_takes_files_once_complete(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    elsewhere.mkdir()
    write(folder / "20200817_120000.wav", noise(10))
    late = write(elsewhere / "20200817_130000.wav", noise(1000)).read_bytes()
    source = FilesSource(FilesSection(path=folder, watch=True, settle_s=0.1))
    blocks = source.blocks()
    (first,) = await take(blocks, 1)
    (folder / "20200817_130000.wav").write_bytes(late[: len(late) // 2])
    waiting = asyncio.ensure_future(take(blocks, 1))
    await asyncio.sleep(0.4)
    assert not waiting.done()  # its header promises more: still being copied
    shutil.copy(elsewhere / "20200817_130000.wav", folder)
    (second,) = await waiting
    assert (first.samples.size, second.samples.size) == (10, 1000)
    await source.aclose()


async def test_a_watched_folder_that_is_missing_may_come_back(tmp_path: Path) -> None:
    with pytest.raises(SourceLost, match="expected a readable folder"):
        await play(FilesSource(FilesSection(path=tmp_path / "absent", watch=True)))


def test_a_growing_file_is_not_complete_until_it_stands_still(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"1")
    arrivals = Arrivals(2.0, lambda _: True)
    assert arrivals.complete([path], 0.0) == []
    path.write_bytes(b"12")
    assert arrivals.complete([path], 2.0) == []
    assert arrivals.complete([path], 3.9) == []
    assert arrivals.complete([path], 4.0) == [path]
    assert arrivals.complete([path], 9.0) == []


def test_a_file_that_never_looks_whole_is_taken_as_the_damaged_file_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"1")
    arrivals = Arrivals(2.0, lambda _: False)
    assert [arrivals.complete([path], now) for now in (0.0, 19.9, 20.0)] == [[], [], [path]]
