import asyncio
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seacanary.audio import Arrival
from seacanary.errors import SourceError, SourceLost, SourceUnusable
from seacanary.handoff import Handoff
from seacanary.sources import alsa
from seacanary.sources.alsa import Alsa, AlsaSection, FramePosition, Reader
from seacanary.sources.capture import Captured

RATE_HZ = 1000
PERIOD = 20
SECTION = AlsaSection(hydrophones=("deep",), device="hw:CARD=hydro", sample_rate_hz=RATE_HZ, format="S16_LE")


def test_reads_follow_each_other_whatever_the_clock_and_the_buffer_say() -> None:
    position = FramePosition(RATE_HZ)
    stamps = [position.stamp(PERIOD, waiting=k % 7, monotonic_s=0.5 * k) for k in range(10)]
    assert stamps == [k * PERIOD for k in range(10)]
    assert position.overruns == 0


@given(
    waiting_before=st.integers(0, 500),
    waiting_after=st.integers(0, 50),
    read_after=st.integers(1, PERIOD),
    lost=st.integers(1, 100_000),
)
def test_an_overrun_is_as_long_as_the_clock_says_less_what_was_read_and_what_waits(
    waiting_before: int, waiting_after: int, read_after: int, lost: int
) -> None:
    position = FramePosition(RATE_HZ)
    position.stamp(PERIOD, waiting=waiting_before, monotonic_s=100.0)
    position.overrun()
    # heard between the two readings: the lost ones less those it already held, then those read or waiting
    heard = lost - waiting_before + read_after + waiting_after
    first = position.stamp(read_after, waiting=waiting_after, monotonic_s=100.0 + heard / RATE_HZ)
    assert first == PERIOD + max(1, lost)
    assert position.overruns == 1


def test_an_overrun_seen_only_in_the_fill_level_is_measured_from_the_last_good_one() -> None:
    position = FramePosition(RATE_HZ)
    position.stamp(PERIOD, waiting=0, monotonic_s=1.0)
    position.stamp(PERIOD, waiting=-32, monotonic_s=5.0)
    position.overrun()
    # 6 s after the last known position (frame 20): frame 6020, of which 5 wait and 20 were read
    assert position.stamp(PERIOD, waiting=5, monotonic_s=7.0) == 6020 - 5 - PERIOD


def test_overruns_without_a_good_read_between_are_one_gap() -> None:
    position = FramePosition(RATE_HZ)
    position.stamp(PERIOD, waiting=0, monotonic_s=1.0)
    position.overrun()
    position.overrun()
    assert position.stamp(PERIOD, waiting=0, monotonic_s=1.52) == 520
    assert position.overruns == 1


def test_a_stream_that_begins_with_an_overrun_begins_at_0() -> None:
    position = FramePosition(RATE_HZ)
    position.overrun()
    assert position.stamp(PERIOD, waiting=0, monotonic_s=1.0) == 0


class FakePcm:
    """Gives what the script says, then fails as an unplugged device does."""

    def __init__(self, script: list[tuple[int, bytes]], failure: Exception) -> None:
        self._script: Iterator[tuple[int, bytes]] = iter(script)
        self._failure = failure
        self.closed = False

    def read(self) -> tuple[int, bytes]:
        try:
            return next(self._script)
        except StopIteration:
            raise self._failure from None

    def avail(self) -> int:
        return 0

    def close(self) -> None:
        self.closed = True


async def test_the_reader_stamps_skips_overruns_and_ends_with_what_failed() -> None:
    library = pytest.importorskip("alsaaudio")
    period = np.full(PERIOD, 2**14, "<i2").tobytes()
    pcm = FakePcm([(PERIOD, period), (0, b""), (-32, b""), (PERIOD, period)], library.ALSAAudioError("No such device"))
    ticks = iter([1.0, 3.0])
    handoff = Handoff[Captured | SourceError](asyncio.get_running_loop(), 10)
    position = FramePosition(RATE_HZ)
    reader = Reader(pcm, handoff, position=position, clock=lambda: Arrival(0.0, next(ticks)))
    reader.start()
    first, second, end = [await handoff.get() for _ in range(3)]
    assert isinstance(first, Captured)
    assert isinstance(second, Captured)
    assert (first.first_frame, second.first_frame, second.raw) == (0, 2000, period)
    assert isinstance(end, SourceLost)
    assert "No such device" in str(end)
    await asyncio.to_thread(reader.join, 5)
    assert pcm.closed
    assert position.overruns == 1


class Endless(FakePcm):
    def read(self) -> tuple[int, bytes]:
        return 1, b"\0\x40"


async def test_closing_ends_the_reader_and_releases_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    pcm = Endless([], RuntimeError())
    monkeypatch.setattr(alsa, "open_pcm", lambda _: pcm)
    source = Alsa(SECTION)
    block = await anext(source.blocks())
    assert (block.samples.tolist(), block.hydrophone) == ([0.5], "deep")
    await source.aclose()
    await source.aclose()
    assert pcm.closed


async def test_a_device_that_opens_after_closing_was_given_up_is_closed_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pcm, may_open = Endless([], RuntimeError()), threading.Event()

    def open_slowly(_: AlsaSection) -> FakePcm:
        may_open.wait(5)
        return pcm

    monkeypatch.setattr(alsa, "open_pcm", open_slowly)
    source = Alsa(SECTION)
    for give_up in (lambda: anext(source.blocks()), source.aclose, source.aclose):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await give_up()
    assert not pcm.closed
    may_open.set()
    async with asyncio.timeout(5):
        while not pcm.closed:
            await asyncio.sleep(0.005)


async def test_blocks_that_a_busy_station_does_not_take_are_shed_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    pcm = Endless([], RuntimeError())
    monkeypatch.setattr(alsa, "open_pcm", lambda _: pcm)
    source = Alsa(SECTION.model_copy(update={"handoff_s": SECTION.period_s}))  # keeps one block
    await anext(source.blocks())
    async with asyncio.timeout(5):
        while source.shed_blocks < 10:
            await asyncio.sleep(0.001)
    await source.aclose()


async def test_without_pyalsaaudio_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "alsaaudio", None)
    source = Alsa(SECTION)
    with pytest.raises(SourceUnusable, match=r"pip install 'seacanary\[alsa\]'"):
        await anext(source.blocks())
    await source.aclose()
