import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from known_audio import EPOCH, known_block, known_blocks, sample_values
from seacanary.audio import Arrival, AudioBlock
from seacanary.evidence.clips import Stream
from seacanary.evidence.segments import SegmentStore
from seacanary.evidence.spool import Spool, SpoolSection

RATE_HZ = 1000
STREAM = Stream("north", EPOCH, RATE_HZ)
SECTION = SpoolSection(segment_s=1.0, queue_bytes=1 << 16)
BLOCK = 4096  # 16 KiB: four fill the queue


@contextmanager
def open_spool(folder: Path, section: SpoolSection = SECTION) -> Iterator[Spool]:
    spool = Spool(folder, section)
    try:
        yield spool
    finally:
        spool.close()


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """A disk that takes nothing until the event is set."""
    free, append = threading.Event(), SegmentStore.append

    def wait_and_append(self: SegmentStore, *args: object) -> None:
        free.wait(10)
        append(self, *args)  # type: ignore[arg-type]  # passed on as they come

    monkeypatch.setattr(SegmentStore, "append", wait_and_append)
    return free


def test_what_is_handed_over_is_read_back_exactly(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        for block in known_blocks(STREAM, [(0, 3000), (3500, 9000)], size=333):
            spool.hear(block)
        assert spool.flush(10)
        samples, missing = spool.read(STREAM, 100, 8000)
        heard = spool.heard("north")
    assert missing == [(3000, 3500)]
    np.testing.assert_array_equal(samples[:2900], sample_values(STREAM, 100, 3000))
    np.testing.assert_array_equal(samples[3400:], sample_values(STREAM, 3500, 8000))
    assert heard is not None
    assert (heard.stream, heard.end_sample, heard.end) == (STREAM, 9000, EPOCH + timedelta(seconds=9))


def test_another_process_takes_up_what_the_last_one_left(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        spool.hear(known_block(STREAM, 0, 500))
    with open_spool(tmp_path) as spool:
        assert spool.read(STREAM, 0, 500)[1] == []
        assert spool.heard("north") is None


def test_a_slow_disk_holds_nobody_up_and_costs_the_oldest_which_are_counted(
    tmp_path: Path, slow_disk: threading.Event
) -> None:
    with open_spool(tmp_path) as spool:
        for block in known_blocks(STREAM, [(0, 20 * BLOCK)], size=BLOCK):
            spool.hear(block)  # would hang here if it waited
        assert not spool.has_room
        slow_disk.set()
        assert spool.flush(10)
        assert spool.has_room
        _, missing = spool.read(STREAM, 0, 20 * BLOCK)
        shed = spool.shed_samples()["north"]
    lost = sum(end - first for first, end in missing)
    assert shed == lost
    assert 15 * BLOCK <= lost <= 16 * BLOCK  # four wait, one may be with the disk
    assert missing[-1][1] == 16 * BLOCK


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(1, 9000), min_size=1, max_size=30))
def test_whatever_is_shed_the_rest_is_exact_and_the_sum_is_right(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    with open_spool(tmp_path_factory.mktemp("spool")) as spool:
        first = 0
        for size in sizes:
            spool.hear(known_block(STREAM, first, first + size))
            first += size
        assert spool.flush(10)
        samples, missing = spool.read(STREAM, 0, first)
        shed = spool.shed_samples()["north"]
    truth = sample_values(STREAM, 0, first)
    for low, high in missing:
        truth[low:high] = 0
    np.testing.assert_array_equal(samples, truth)
    assert shed == sum(high - low for low, high in missing)


def test_a_disk_that_takes_nothing_is_told_of_and_used_again_when_it_does(tmp_path: Path) -> None:
    blocked = tmp_path / "spool"
    blocked.write_text("a file where the folder should be")
    with open_spool(blocked) as spool:
        spool.hear(known_block(STREAM, 0, 500))
        assert spool.flush(10)
        assert spool.trouble is not None
        assert spool.shed_samples() == {"north": 500}
        blocked.unlink()
        spool.hear(known_block(STREAM, 500, 900))
        assert spool.flush(10)
        assert spool.trouble is None
        assert spool.read(STREAM, 0, 900)[1] == [(0, 500)]


def test_audio_has_the_time_of_the_streams_clock_not_of_its_nominal_rate(tmp_path: Path) -> None:
    """A recorder 100 ppm fast, heard for three minutes: the nominal rate is 18 ms off by then."""
    true_rate_hz = RATE_HZ * 1.0001
    with open_spool(tmp_path, SECTION.model_copy(update={"keep_s": 1000.0})) as spool:
        for first in range(0, 180 * RATE_HZ, RATE_HZ):
            arrival_s = (first + RATE_HZ) / true_rate_hz
            quiet = np.zeros(RATE_HZ, np.float32)
            arrival = Arrival(EPOCH.timestamp() + arrival_s, arrival_s)
            spool.hear(AudioBlock("north", quiet, first, RATE_HZ, EPOCH, arrival))
            spool.flush(10)
        newest = max(spool.held("north"), key=lambda held: held.first_sample)
    assert newest.start is not None
    true = EPOCH + timedelta(seconds=newest.first_sample / true_rate_hz)
    nominal = EPOCH + timedelta(seconds=newest.first_sample / RATE_HZ)
    assert abs((newest.start - true).total_seconds()) < 0.012 < (nominal - true).total_seconds()


def test_a_stream_that_went_on_in_another_is_known_as_left(tmp_path: Path) -> None:
    later = Stream("north", EPOCH + timedelta(seconds=60), RATE_HZ)
    with open_spool(tmp_path) as spool:
        spool.hear(known_block(STREAM, 0, 500))
        spool.hear(known_block(later, 0, 500, time_known=False))
        assert spool.flush(10)
        assert spool.has_left(STREAM)
        assert not spool.has_left(later)
        heard = spool.heard("north")
    assert heard is not None
    assert heard.end is None


def test_silence_is_counted_from_the_last_block(tmp_path: Path) -> None:
    now_s = [100.0]
    spool = Spool(tmp_path, SECTION, monotonic_s=lambda: now_s[0])
    now_s[0] = 107.0
    assert spool.silent_s("north") == 7.0
    spool.hear(known_block(STREAM, 0, 500))
    now_s[0] = 110.0
    assert spool.silent_s("north") == 3.0
    spool.close()


def test_what_nobody_foresaw_costs_a_block_and_not_the_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append = SegmentStore.append

    def fails_once(store: SegmentStore, block: AudioBlock, start: datetime | None) -> None:
        if block.first_sample == 800:
            raise MemoryError
        append(store, block, start)

    monkeypatch.setattr(SegmentStore, "append", fails_once)
    spool = Spool(tmp_path / "spool", SpoolSection(min_free_bytes=0))
    stream = Stream("north", EPOCH, 8000)
    for first in (0, 800, 1600):
        spool.hear(known_block(stream, first, first + 800))
    assert spool.flush(5.0)
    assert spool.read(stream, 0, 2400)[1] == [(800, 1600)]
    assert spool.shed_samples() == {"north": 800}
    spool.close()
