import os
import signal
import sqlite3
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_samples import HOP, WINDOW, end, image, lost
from fakes import EPOCH
from seacanary.cluster.envelope import EndEnvelope, Envelope, ImageEnvelope, LostEnvelope
from seacanary.cluster.envelope_codec import decode
from seacanary.cluster.image_spool import FILE, ImageSpool, Spooled
from seacanary.cluster.spool_schema import SpoolError

PLENTY = 10**9
Opened = Callable[..., ImageSpool]
ONE_IMAGE = 600  # bytes, at least, of one image of 64 pixels with its header


def open_spool(folder: Path, bound_bytes: int = PLENTY) -> ImageSpool:
    return ImageSpool.open(folder, bound_bytes=bound_bytes, system_s=EPOCH.timestamp)


@pytest.fixture
def opened() -> Iterator[Opened]:
    with ExitStack() as stack:

        def remembered(folder: Path, bound_bytes: int = PLENTY) -> ImageSpool:
            spool = open_spool(folder, bound_bytes)
            stack.callback(spool.close)
            return spool

        yield remembered


def drained(spool: ImageSpool) -> list[Envelope]:
    """All that waits, in the order it would be sent."""
    found: list[Envelope] = []
    while taken := spool.take(limit_bytes=2000):
        found += [decode(item.record) for item in taken]
        spool.acknowledge(taken)
    return found


def test_what_was_put_leaves_in_order_under_the_spools_own_numbers(opened: Opened, tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.put([image(0), image(1), lost(1536, 2048, reason="inference_failed")], now_s=0)
    spool.put([image(4), end()], now_s=1)
    found = drained(spool)
    assert [type(item) for item in found] == [ImageEnvelope, ImageEnvelope, LostEnvelope, ImageEnvelope, EndEnvelope]
    assert [(item.run, item.number) for item in found] == [(EPOCH, n) for n in range(1, 6)]
    assert spool.is_empty
    assert spool.state().envelopes == spool.state().size_bytes == 0


def test_what_is_taken_stays_until_it_is_acknowledged(opened: Opened, tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.put([image(0), image(1)], now_s=0)
    first = spool.take(limit_bytes=PLENTY)
    assert len(first) == 2
    assert spool.take(limit_bytes=PLENTY) == []
    spool.give_back()
    again = spool.take(limit_bytes=PLENTY)
    assert again == first
    spool.acknowledge(again[:1])
    assert spool.take(limit_bytes=PLENTY) == first[1:]


def test_a_reopened_spool_goes_on_with_its_run_and_never_gives_a_number_twice(opened: Opened, tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.put([image(0), image(1)], done=["a.wav"], now_s=0)
    spool.acknowledge(spool.take(limit_bytes=PLENTY))
    spool.close()
    again = ImageSpool.open(tmp_path, bound_bytes=PLENTY, system_s=lambda: EPOCH.timestamp() + 3600)
    assert again.run == EPOCH
    assert again.done_files() == {"a.wav"}
    assert again.hydrophones() == ["h1"]
    again.put([image(2)], now_s=0)
    assert [item.number for item in drained(again)] == [3]
    again.close()


def test_hydrophones_take_turns_so_that_none_starves_behind_anothers_backlog(opened: Opened, tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.put([image(i, hydrophone="backlog") for i in range(40)], now_s=0)
    spool.put([image(0, hydrophone="live"), image(0, hydrophone="other")], now_s=0)
    names = []
    for _ in range(4):
        taken = spool.take(limit_bytes=1)
        names += [item.hydrophone for item in taken]
        spool.acknowledge(taken)
    assert names == ["backlog", "live", "other", "backlog"]


def test_the_oldest_is_shed_and_stands_as_one_stretch_in_its_place(opened: Opened, tmp_path: Path) -> None:
    spool = opened(tmp_path, bound_bytes=5 * ONE_IMAGE)
    spool.put([image(i) for i in range(12)], now_s=0)
    found = drained(spool)
    (stretch,), images = [i.lost for i in found if isinstance(i, LostEnvelope)], found[1:]
    assert (stretch.reason, stretch.first_sample) == ("shed", 0)
    first_kept = images[0]
    assert isinstance(first_kept, ImageEnvelope)
    assert stretch.end_sample == first_kept.first_sample - HOP + WINDOW
    shed = spool.state().shed["h1"]
    assert shed.images == 12 - len(images)
    assert shed.samples == first_kept.first_sample  # the kept one holds the rest


def test_the_newest_image_of_each_hydrophone_is_never_shed(opened: Opened, tmp_path: Path) -> None:
    spool = opened(tmp_path, bound_bytes=1)
    spool.put([image(i, hydrophone=name) for i in range(5) for name in ("h1", "h2")], now_s=0)
    kept = [item for item in drained(spool) if isinstance(item, ImageEnvelope)]
    assert {item.hydrophone: item.first_sample for item in kept} == {"h1": 4 * HOP, "h2": 4 * HOP}


def test_a_spool_keeps_to_its_bound_however_long_the_network_is_away(opened: Opened, tmp_path: Path) -> None:
    spool, bound_bytes = opened(tmp_path, 100_000), 100_000
    for place in range(0, 200, 2):
        spool.put([image(place, pixels=4000), image(place + 1, pixels=4000)], now_s=place)
        assert spool.state().size_bytes <= bound_bytes
    # Freed pages are used again; the write-ahead log is bounded by itself.
    assert (tmp_path / FILE).stat().st_size < 2 * bound_bytes
    assert spool.state().envelopes > 20


def test_what_may_be_with_the_broker_is_not_shed(opened: Opened, tmp_path: Path) -> None:
    spool = opened(tmp_path, bound_bytes=3 * ONE_IMAGE)
    spool.put([image(0), image(1)], now_s=0)
    taken = spool.take(limit_bytes=PLENTY)
    spool.put([image(i) for i in range(2, 9)], now_s=0)
    spool.acknowledge(taken)
    found = drained(spool)
    assert [item.lost.first_sample for item in found if isinstance(item, LostEnvelope)] == [2 * HOP]
    shed = spool.state().shed["h1"]
    # Image 1 was sent and holds the first half of image 2.
    assert shed.samples == (shed.images - 1) * HOP


def test_stretches_of_two_epochs_are_not_joined(opened: Opened, tmp_path: Path) -> None:
    spool = opened(tmp_path, bound_bytes=1)
    later = EPOCH + timedelta(hours=1)
    spool.put([image(0), image(1), image(0, epoch=later), image(1, epoch=later)], now_s=0)
    found = drained(spool)
    assert [item.lost.epoch for item in found if isinstance(item, LostEnvelope)] == [EPOCH, later]
    assert spool.state().shed["h1"].samples == 2 * WINDOW - HOP + HOP


def test_room_ends_before_anything_is_shed(opened: Opened, tmp_path: Path) -> None:
    spool = opened(tmp_path, bound_bytes=20 * ONE_IMAGE)
    place = 0
    while spool.has_room:
        spool.put([image(place)], now_s=place)
        place += 1
    assert not spool.state().shed["h1"].images
    assert spool.state().oldest_s == 0
    spool.acknowledge(spool.take(limit_bytes=4000))
    assert spool.has_room


@settings(max_examples=40, deadline=None)
@given(data=st.data(), bound=st.integers(1, 30 * ONE_IMAGE))
def test_every_window_leaves_once_or_stands_in_a_shed_stretch(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, bound: int
) -> None:
    with closing(open_spool(tmp_path_factory.mktemp("spool"), bound)) as spool:
        _put_and_take(spool, data)


def _put_and_take(spool: ImageSpool, data: st.DataObject) -> None:
    put: dict[str, int] = defaultdict(int)
    left: list[Envelope] = []
    for _ in range(data.draw(st.integers(1, 12))):
        names = data.draw(st.lists(st.sampled_from(["a", "b", "c"]), max_size=8))
        items = []
        for name in names:
            items.append(image(put[name], hydrophone=name))
            put[name] += 1
        spool.put(items, now_s=0)
        if data.draw(st.booleans()):
            taken = spool.take(limit_bytes=data.draw(st.integers(1, 5000)))
            if data.draw(st.booleans()):
                spool.put([image(put["a"], hydrophone="a")], now_s=0)  # may shed around what is on its way
                put["a"] += 1
            if data.draw(st.booleans()):
                spool.give_back()
            else:
                left += [decode(item.record) for item in taken]
                spool.acknowledge(taken)
    left += drained(spool)
    for name, count in put.items():
        mine = [item for item in left if item.hydrophone == name]
        assert [item.number for item in mine] == sorted({item.number for item in mine})
        places = [item.first_sample // HOP for item in mine if isinstance(item, ImageEnvelope)]
        stretches = [item.lost for item in mine if isinstance(item, LostEnvelope)]
        shed = {
            place
            for lost in stretches
            for place in range(lost.first_sample // HOP, (lost.end_sample - WINDOW) // HOP + 1)
        }
        assert sorted([*places, *shed]) == list(range(count))
        held = {sample for place in places for sample in range(place * HOP, place * HOP + WINDOW, HOP)}
        missing = {place * HOP for place in range(count + 1)} - held
        assert spool.state().shed[name].samples == len(missing) * HOP


def test_a_spool_in_use_is_refused(opened: Opened, tmp_path: Path) -> None:
    spool = opened(tmp_path)
    with pytest.raises(SpoolError, match="another seacanary uses this spool"):
        opened(tmp_path)
    spool.close()
    opened(tmp_path).close()


def test_another_programs_file_and_another_version_are_left_alone(opened: Opened, tmp_path: Path) -> None:
    foreign = sqlite3.connect(tmp_path / FILE)
    foreign.execute("CREATE TABLE theirs (x)")
    foreign.commit()
    foreign.close()
    with pytest.raises(SpoolError, match="not a seacanary image spool"):
        opened(tmp_path)
    opened(tmp_path / "new").close()
    newer = sqlite3.connect(tmp_path / "new" / FILE)
    newer.execute("PRAGMA user_version = 9")
    newer.close()
    with pytest.raises(SpoolError, match="spool of version 9"):
        opened(tmp_path / "new")


def test_a_folder_that_cannot_be_made_is_named(opened: Opened, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SpoolError, match="cannot be written here"):
        opened(tmp_path / "file")


def test_a_put_that_fails_leaves_nothing_behind(opened: Opened, tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.put([image(0)], now_s=0)
    full = sqlite3.connect(tmp_path / FILE)
    full.execute("CREATE TRIGGER full BEFORE INSERT ON done_files BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    full.commit()
    with pytest.raises(SpoolError, match="disk is full"):
        spool.put([image(1)], done=["a.wav"], now_s=0)
    assert spool.state().envelopes == 1
    full.execute("DROP TRIGGER full")
    full.commit()
    full.close()
    spool.put([image(1)], done=["a.wav"], now_s=0)
    assert [item.number for item in drained(spool)] == [1, 2]


_WRITER = """
import sys
from pathlib import Path
from cluster_samples import image
from seacanary.cluster.image_spool import ImageSpool
spool = ImageSpool.open(Path(sys.argv[1]), bound_bytes=10**9)
place = int(sys.argv[2])
while True:
    spool.put([image(place), image(place + 1)], now_s=0)
    place += 2
    print(place, flush=True)
"""


def test_nothing_that_was_stored_is_lost_to_a_kill(opened: Opened, tmp_path: Path) -> None:
    stored = 0
    for lines in (3, 1, 7, 20):
        child = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path), str(stored)],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
        assert child.stdout is not None
        for _ in range(lines):
            stored = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        stored = max([stored, *(int(line) for line in child.stdout.read().split())])
        child.stdout.close()
        child.wait()
        spool = opened(tmp_path)
        waiting = spool.state().envelopes
        spool.close()
        assert stored <= waiting <= stored + 2  # two more may have been stored and not told of
        stored = waiting
    spool = opened(tmp_path)
    found = drained(spool)
    assert [item.number for item in found] == list(range(1, stored + 1))
    assert [i.first_sample // HOP for i in found if isinstance(i, ImageEnvelope)] == list(range(stored))
    spool.close()


def test_a_taken_envelope_says_whose_it_is(opened: Opened, tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.put([image(0, hydrophone="h9")], now_s=0)
    (taken,) = spool.take(limit_bytes=1)
    assert isinstance(taken, Spooled)
    assert (taken.number, taken.hydrophone) == (1, "h9")
    spool.close()


def test_a_record_that_the_disk_has_damaged_stops_no_shedding_and_is_sent_as_it_is(
    opened: Opened, tmp_path: Path
) -> None:
    spool = opened(tmp_path, bound_bytes=5 * ONE_IMAGE)
    spool.put([image(0), image(1)], now_s=0)
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("UPDATE envelopes SET record = zeroblob(bytes) WHERE number = 1")
    spool.put([image(place) for place in range(2, 12)], now_s=1)
    taken = spool.take(limit_bytes=PLENTY)
    assert taken[0].number == 1
    assert set(taken[0].record) == {0}
    shed, *kept = [decode(item.record) for item in taken[1:]]
    assert isinstance(shed, LostEnvelope)
    assert shed.lost.first_sample == HOP
    assert {type(item) for item in kept} == {ImageEnvelope}
