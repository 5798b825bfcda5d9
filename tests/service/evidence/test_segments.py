import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from known_audio import EPOCH, known_block, sample_values
from seacanary.evidence.clips import Stream, subtract
from seacanary.evidence.segments import SegmentStore

RATE_HZ = 100
STREAMS = tuple(
    Stream(hydrophone, EPOCH + timedelta(seconds=later_s, microseconds=1), rate_hz)
    for hydrophone, later_s, rate_hz in (
        ("north", 0, RATE_HZ),
        ("north", 0, 96),
        ("north", 60, RATE_HZ),
        ("../süd 1", 0, RATE_HZ),
    )
)
PLENTY = 1 << 30


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def open_store(folder: Path, *, keep_s: float = 1e9, max_bytes: int = PLENTY) -> SegmentStore:
    return SegmentStore(folder, segment_s=1.0, keep_s=keep_s, max_bytes=max_bytes)


def hear(store: SegmentStore, stream: Stream, first: int, end: int) -> None:
    store.append(known_block(stream, first, end), stream.epoch + timedelta(seconds=first / stream.sample_rate_hz))


def files_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.f32"))


@dataclass(frozen=True)
class Step:
    """A block of one stream, at a distance from where that stream stands; before it, a restart perhaps."""

    stream: Stream
    ahead: int
    size: int
    restart: bool


@st.composite
def steps(draw: st.DrawFn) -> list[Step]:
    return draw(
        st.lists(
            st.builds(
                Step,
                stream=st.sampled_from(STREAMS),
                ahead=st.sampled_from([0, 0, 0, 0, 7, 300, -5, -130, -1000]),
                size=st.integers(1, 260),
                restart=st.sampled_from([False, False, False, True]),
            ),
            max_size=30,
        )
    )


def played(story: Sequence[Step]) -> Iterator[tuple[Step, int, int]]:
    """Each step with the samples [first, end) it brings."""
    stands = dict.fromkeys(STREAMS, 0)
    for step in story:
        first = max(0, stands[step.stream] + step.ahead)
        stands[step.stream] = first + step.size
        yield step, first, first + step.size


@settings(deadline=None)
@given(steps(), st.integers(0, 600), st.integers(1, 2000))
def test_what_was_heard_is_read_exactly_and_what_was_not_is_missing(story: list[Step], first: int, length: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = open_store(folder)
        heard = dict[Stream, list[tuple[int, int]]]()
        for step, low, high in played(story):
            if step.restart:
                store.close()
                store = open_store(folder)
            hear(store, step.stream, low, high)
            heard.setdefault(step.stream, []).append((low, high))
        for stream in STREAMS:
            samples, missing = store.read(stream, first, first + length)
            expected = subtract([(first, first + length)], heard.get(stream, []))
            assert missing == expected
            truth = sample_values(stream, first, first + length)
            for low, high in expected:
                truth[low - first : high - first] = 0
            np.testing.assert_array_equal(samples, truth)
        distinct = sum(len(set().union(*(range(*r) for r in ranges))) for ranges in heard.values())
        assert store.size_bytes == 4 * distinct == sum(path.stat().st_size for path in files_in(folder))
        store.close()


@settings(deadline=None)
@given(steps(), st.integers(400, 4000))
def test_a_bound_on_bytes_holds_and_what_is_left_is_exact(story: list[Step], max_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = open_store(folder, max_bytes=max(max_bytes, 4 * 260))
        brought = 0
        for step, low, high in played(story):
            hear(store, step.stream, low, high)
            brought += high - low
            assert sum(path.stat().st_size for path in files_in(folder)) <= max(max_bytes, 4 * 260)
        kept = 0
        for hydrophone in ("north", "../süd 1"):
            for held in store.held(hydrophone):
                samples, missing = store.read(held.stream, held.first_sample, held.end_sample)
                assert missing == []
                np.testing.assert_array_equal(samples, sample_values(held.stream, held.first_sample, held.end_sample))
                kept += samples.size
        assert store.size_bytes == 4 * kept
        assert kept + sum(store.dropped_samples.values()) <= brought
        store.close()


def hear_blocks(store: SegmentStore, first: int, end: int) -> list[int]:
    """Hear blocks of half a second; return where what is held then begins."""
    for low in range(first, end, 50):
        hear(store, STREAMS[0], low, low + 50)
    return [held.first_sample for held in store.held("north")]


def test_audio_goes_when_enough_was_heard_since_and_it_was_released(folder: Path) -> None:
    store = open_store(folder, keep_s=3.0)
    assert hear_blocks(store, 0, 600) == [0, 100, 200, 300, 400, 500]
    store.release({})
    assert hear_blocks(store, 600, 1200) == [200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100]
    assert store.dropped_samples == {}


def test_what_is_needed_stays_whatever_its_age(folder: Path) -> None:
    store = open_store(folder, keep_s=3.0)
    hear_blocks(store, 0, 1000)
    store.release({"north": EPOCH + timedelta(seconds=4, microseconds=1)})
    assert hear_blocks(store, 1000, 1100)[0] == 400
    store.release({})
    assert hear_blocks(store, 1100, 1200)[0] == 700


def test_silence_ages_nothing(folder: Path) -> None:
    store = open_store(folder, keep_s=3.0)
    hear(store, STREAMS[0], 0, 100)
    hear(store, STREAMS[2], 10_000_000, 10_000_100)  # days later
    store.release({})
    hear(store, STREAMS[2], 10_000_100, 10_000_200)
    assert {held.stream for held in store.held("north")} == {STREAMS[0], STREAMS[2]}


def test_what_is_heard_again_is_young_again(folder: Path) -> None:
    store = open_store(folder, keep_s=3.0)
    for _ in range(3):
        for first in range(0, 300, 100):
            hear(store, STREAMS[0], first, first + 100)
    store.release({})
    hear(store, STREAMS[0], 300, 400)
    assert store.held("north")[0].first_sample == 0


def test_a_file_cut_within_a_sample_by_a_kill_ends_before_it(folder: Path) -> None:
    store = open_store(folder)
    hear(store, STREAMS[0], 0, 50)
    store.close()
    (path,) = files_in(folder)
    os.truncate(path, 4 * 30 + 3)
    again = open_store(folder)
    samples, missing = again.read(STREAMS[0], 0, 50)
    assert missing == [(30, 50)]
    np.testing.assert_array_equal(samples[:30], sample_values(STREAMS[0], 0, 30))
    hear(again, STREAMS[0], 0, 50)
    assert again.read(STREAMS[0], 0, 50)[1] == []
    again.close()


def test_files_that_vanish_are_missing_and_heard_anew(folder: Path) -> None:
    store = open_store(folder)
    hear(store, STREAMS[0], 0, 150)
    for path in files_in(folder):
        path.unlink()
    assert store.read(STREAMS[0], 0, 150)[1] == [(0, 150)]
    hear(store, STREAMS[0], 0, 150)
    assert store.read(STREAMS[0], 0, 150)[1] == []
    assert store.size_bytes == 600
    store.close()


def test_foreign_files_are_left_alone(folder: Path) -> None:
    (folder / "north-1").mkdir(parents=True)
    (folder / "north-1" / "hydrophone").write_text("north")
    (folder / "north-1" / "1_2").mkdir()
    (folder / "north-1" / "1_2" / "notes.f32").write_text("abcd")
    (folder / "README").write_text("x")
    assert open_store(folder).held("north") == ()
    assert (folder / "north-1" / "1_2" / "notes.f32").exists()


def test_undated_audio_is_found_by_index_and_has_no_time(folder: Path) -> None:
    store = open_store(folder)
    store.append(known_block(STREAMS[0], 0, 100), None)
    store.close()
    again = open_store(folder)
    (held,) = again.held("north")
    assert held.start is None
    assert again.read(STREAMS[0], 0, 100)[1] == []


def test_times_are_kept_to_the_microsecond(folder: Path) -> None:
    store = open_store(folder)
    start = EPOCH + timedelta(seconds=1, microseconds=234_567)
    store.append(known_block(STREAMS[0], 0, 100), start)
    store.close()
    (held,) = open_store(folder).held("north")
    assert (held.start, held.stream) == (start, STREAMS[0])


def test_epochs_before_1970_are_kept_too(folder: Path) -> None:
    old = replace(STREAMS[0], epoch=EPOCH.replace(year=1965))
    store = open_store(folder)
    hear(store, old, 0, 10)
    store.close()
    assert open_store(folder).read(old, 0, 10)[1] == []


def test_what_may_go_stays_while_there_is_room_for_it(folder: Path) -> None:
    store = SegmentStore(folder, segment_s=1.0, keep_s=2.0, max_bytes=4 * 800, older_bytes=4 * 800)
    for first in range(0, 3000, 50):
        hear(store, STREAMS[0], first, first + 50)
        store.release({})
    held = [stretch.first_sample for stretch in store.held("north")]
    assert held == list(range(2200, 3000, 100))
    assert store.dropped_samples == {}  # its time was over


def test_what_goes_before_its_time_is_counted_however_much_room_was_meant_for_it(folder: Path) -> None:
    store = SegmentStore(folder, segment_s=1.0, keep_s=9.0, max_bytes=4 * 800, older_bytes=4 * 800)
    for first in range(0, 1000, 50):
        hear(store, STREAMS[0], first, first + 50)
        store.release({})
    assert store.dropped_samples == {"north": 200}
