import asyncio
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from seacanary.audio import Arrival
from seacanary.errors import SourceLost
from seacanary.sources.portaudio import Wanted
from seacanary.sources.soundcard import FrameIndex, Soundcard, SoundcardSection

RATE_HZ = 1000
BLOCK = 20
STARTED_S = 1.8e9  # system time at frame 0; the monotonic clock reads 0 then


class Card:
    """A sound card whose callbacks a FrameIndex sees; it says where each block truly began."""

    def __init__(self, *, adc: bool = True, step_s: float = 0.0) -> None:
        self.index = FrameIndex(RATE_HZ)
        self._adc, self._step_s = adc, step_s
        self._heard = 0  # true frame index

    def block(
        self, *, lost: int = 0, flagged: bool = False, late_s: float = 0.0, crystal: float = 1.0
    ) -> tuple[int | None, int]:
        """(stamped, true) index of the next block."""
        true_first = self._heard = self._heard + lost
        self._heard += BLOCK
        seconds = self._heard / RATE_HZ / crystal
        arrival = Arrival(STARTED_S + self._step_s * flagged + seconds + late_s, seconds + late_s)
        adc_s = STARTED_S + self._step_s * flagged + true_first / RATE_HZ / crystal if self._adc else 0.0
        stamped = self.index.stamp(BLOCK, adc_s=adc_s, arrival=arrival, overflowed=flagged)
        return stamped, true_first


def test_blocks_follow_each_other_without_a_flag_whatever_the_clocks_say() -> None:
    card = Card()
    stamps = [card.block(late_s=0.3 * (k % 3), crystal=0.9, lost=k)[0] for k in range(50)]
    assert stamps == [k * BLOCK for k in range(50)]
    assert card.index.overflows == 0


@pytest.mark.parametrize("adc", [True, False])
def test_an_overflow_is_as_long_as_measured_and_its_first_block_is_dropped(adc: bool) -> None:
    card = Card(adc=adc)
    for _ in range(5):
        card.block()
    dropped, _ = card.block(lost=777, flagged=True)
    stamped, true = card.block()
    assert dropped is None
    assert stamped == true
    assert card.index.overflows == 1


def test_every_block_of_a_host_buffer_carries_the_flag_and_it_is_one_overflow() -> None:
    card = Card()
    card.block()
    flagged = [card.block(lost=500 if k == 0 else 0, flagged=True) for k in range(4)]
    assert flagged[0][0] is None
    assert all(stamped == true for stamped, true in flagged[1:])
    assert card.index.overflows == 1


def test_a_second_overflow_right_after_the_first_is_a_second_gap() -> None:
    card = Card()
    card.block()
    card.block(lost=500, flagged=True)
    assert card.block(lost=300, flagged=True)[0] is None
    stamped, true = card.block()
    assert stamped == true
    assert card.index.overflows == 2


def test_a_flag_without_a_jump_still_counts_one_frame() -> None:
    card = Card()
    card.block()
    card.block(flagged=True)
    assert card.block()[0] == 2 * BLOCK + 1


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
def test_a_step_of_the_system_clock_does_not_lengthen_the_gap(step_s: float) -> None:
    card = Card(step_s=step_s)
    card.block()
    card.block(lost=700, flagged=True)
    stamped, true = card.block()
    assert stamped == true


def test_by_arrival_a_stall_before_the_overflow_is_not_taken_off_the_gap() -> None:
    card = Card(adc=False)
    for _ in range(5):
        card.block()
    card.block(late_s=1.0)  # the callback itself was held up, and that is why the driver overflowed
    card.block(lost=900, flagged=True)
    stamped, true = card.block()
    assert stamped == true


@given(lost=st.integers(1, 5000), late_ms=st.integers(0, 80), late_before_ms=st.integers(0, 80))
def test_by_arrival_a_gap_is_never_short_and_longer_only_by_the_delay(
    lost: int, late_ms: int, late_before_ms: int
) -> None:
    card = Card(adc=False)
    card.block()
    card.block(late_s=late_before_ms / 1000)
    card.block(lost=lost, flagged=True, late_s=late_ms / 1000)
    stamped, true = card.block()
    assert stamped is not None
    assert -1 <= stamped - true <= late_ms + 1


def test_a_stream_flagged_from_the_start_begins_with_its_first_clean_block() -> None:
    card = Card()
    assert [card.block(flagged=True)[0], card.block(flagged=True)[0], card.block()[0]] == [None, None, 0]
    assert card.index.overflows == 0


SECTION = SoundcardSection(hydrophones=("deep",), device="hydro", sample_rate_hz=RATE_HZ, format="int16", handoff_s=1)


def test_rates_above_384_khz_are_sent_to_alsa() -> None:
    with pytest.raises(ValidationError, match="PortAudio refuses rates above 384000 Hz; use kind: alsa for 576000 Hz"):
        SoundcardSection(hydrophones=("deep",), device="hydro", sample_rate_hz=576_000)


class FakePortAudio:
    """Opens at once, or when let; says what was closed."""

    def __init__(self) -> None:
        self.wanted: Wanted | None = None
        self.may_open = threading.Event()
        self.may_open.set()
        self.opened = threading.Event()
        self.closed: list[str] = []

    def open(self, wanted: Wanted) -> str:
        self.may_open.wait(5)
        self.wanted = wanted
        self.opened.set()
        return "opened"

    def close(self, opened: str) -> None:
        self.closed.append(opened)

    def unplug(self) -> None:
        assert self.wanted is not None
        self.wanted.ended("unplugged")

    def call_back(self, values: list[int], *, overflow: bool = False) -> None:
        """What PortAudio does for a block: its buffer is used again right after."""
        assert self.wanted is not None
        buffer = bytearray(np.array(values, "<i2").tobytes())
        flags = SimpleNamespace(input_overflow=overflow)
        self.wanted.callback(buffer, len(values), SimpleNamespace(inputBufferAdcTime=0.0), flags)
        buffer[:] = b"\x7f" * len(buffer)


async def test_blocks_carry_copies_positions_and_the_epoch_by_the_injected_clock() -> None:
    fake = FakePortAudio()
    source = Soundcard(SECTION, clock=lambda: Arrival(STARTED_S, 5.0), portaudio=fake)
    blocks = source.blocks()
    first = asyncio.create_task(anext(blocks))
    await asyncio.to_thread(fake.opened.wait, 5)
    fake.call_back([2**14, -(2**14)])
    fake.call_back([2**13])
    assert (await first).samples.tolist() == [0.5, -0.5]
    second = await anext(blocks)
    assert (second.first_sample, second.samples.tolist(), second.hydrophone) == (2, [0.25], "deep")
    assert second.epoch.timestamp() == pytest.approx(STARTED_S - 2 / RATE_HZ)
    assert second.arrival == Arrival(STARTED_S, 5.0)
    fake.unplug()
    with pytest.raises(SourceLost, match="unplugged"):
        await anext(blocks)
    await source.aclose()
    await source.aclose()
    assert set(fake.closed) == {"opened"}


async def test_blocks_that_a_busy_station_does_not_take_are_shed_and_counted() -> None:
    fake = FakePortAudio()
    source = Soundcard(SECTION, portaudio=fake)  # keeps 1 s of blocks of 0.02 s
    blocks = source.blocks()
    waiting = asyncio.create_task(anext(blocks))
    await asyncio.to_thread(fake.opened.wait, 5)
    for _ in range(50 + 7):
        fake.call_back([0] * BLOCK)
    assert (await waiting).first_sample == 7 * BLOCK
    assert source.shed_blocks == 7
    for _ in range(49):
        await anext(blocks)
    assert source.shed_blocks == 7  # also when all is taken
    await source.aclose()


async def test_a_cancelled_open_still_releases_the_device() -> None:
    fake = FakePortAudio()
    fake.may_open.clear()
    source = Soundcard(SECTION, portaudio=fake)
    opening = asyncio.create_task(anext(source.blocks()))
    await asyncio.sleep(0.01)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    fake.may_open.set()
    await source.aclose()
    assert fake.closed == ["opened"]


async def test_a_device_that_opens_after_closing_was_given_up_is_closed_all_the_same() -> None:
    fake = FakePortAudio()
    fake.may_open.clear()
    source = Soundcard(SECTION, portaudio=fake)
    for give_up in (lambda: anext(source.blocks()), source.aclose, source.aclose):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await give_up()
    assert fake.closed == []
    fake.may_open.set()
    async with asyncio.timeout(5):
        while not fake.closed:
            await asyncio.sleep(0.005)
    assert set(fake.closed) == {"opened"}


async def test_a_device_that_fails_to_open_after_closing_was_given_up_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Refusing(FakePortAudio):
        def open(self, wanted: Wanted) -> str:
            super().open(wanted)
            raise SourceLost("no such device")

    fake = Refusing()
    fake.may_open.clear()
    source = Soundcard(SECTION, portaudio=fake)
    for give_up in (lambda: anext(source.blocks()), source.aclose):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await give_up()
    fake.may_open.set()
    await source.aclose()
    assert fake.closed == []
    assert caplog.messages == []


async def test_closing_a_source_that_was_never_opened_does_nothing() -> None:
    fake = FakePortAudio()
    await Soundcard(SECTION, portaudio=fake).aclose()
    assert fake.closed == []
