"""A supervised source comes back after every loss, and stays away when it should."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime

import numpy as np
import pytest

from seacanary.audio import AudioBlock
from seacanary.errors import SourceLost, SourceUnusable
from seacanary.sources import Source
from seacanary.sources.alsa import Alsa, AlsaSection
from seacanary.sources.ffmpeg import UrlSource
from seacanary.sources.network import RtpSection, TcpSection, UdpSection, UrlSection
from seacanary.sources.soundcard import Soundcard, SoundcardSection
from seacanary.sources.supervised import LiveSource, SourceChange, SupervisedSource, SupervisionPolicy
from seacanary.sources.tcp import TcpSource
from seacanary.sources.udp import RtpSource, UdpSource

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
Script = list[AudioBlock | Exception | str | Callable[[], object]]
GONE: Script = [SourceLost("gone")]


def block(index: int) -> AudioBlock:
    return AudioBlock("h", np.zeros(10, np.float32), 10 * index, 1000, EPOCH)


class Scripted:
    """Plays one script per opening: blocks are yielded, exceptions raised, "hang" hangs."""

    def __init__(self, script: Script) -> None:
        self._script, self.closed = script, 0

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        for step in self._script:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, AudioBlock):
                yield step
            elif callable(step):
                step()
            else:
                await asyncio.Event().wait()

    async def aclose(self) -> None:
        self.closed += 1


class Counting(Scripted):
    """A live source, which counts what it loses."""

    def __init__(self, script: Script) -> None:
        super().__init__(script)
        self.shed_blocks = self.overflows = 0


class Bench:
    """Scripted openings one after the other, with the clock and the waits in hand."""

    def __init__(self, *scripts: Script, policy: SupervisionPolicy) -> None:
        self.now_s = 0.0
        self.changes: list[SourceChange] = []
        self.waits: list[float] = []
        self.sources = [Scripted(script) for script in scripts]
        waiting = iter(self.sources)
        self.supervised = SupervisedSource(
            lambda: next(waiting),
            policy,
            on_change=self.changes.append,
            monotonic=lambda: self.now_s,
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def run(self) -> list[AudioBlock]:
        async with asyncio.timeout(10):
            return [block async for block in self.supervised.blocks()]

    @property
    def states(self) -> list[str]:
        return [change.state for change in self.changes]


FAST = SupervisionPolicy(stall_s=0.05, opening_s=0.1, first_wait_s=1, longest_wait_s=8, healthy_s=60)


async def test_blocks_pass_and_a_clean_end_ends() -> None:
    bench = Bench([block(0), block(1)], policy=FAST)
    assert [b.first_sample for b in await bench.run()] == [0, 10]
    assert bench.states == ["opening", "running", "ended"]
    assert bench.sources[0].closed == 1


async def test_a_lost_source_is_closed_and_opened_again() -> None:
    bench = Bench([block(0), SourceLost("cable out")], [block(0)], policy=FAST)
    assert len(await bench.run()) == 2
    assert bench.states == ["opening", "running", "lost", "opening", "running", "ended"]
    lost = bench.changes[2]
    assert (lost.reason, lost.restarts, lost.next_try_s) == ("cable out", 1, bench.waits[0])
    assert [source.closed for source in bench.sources] == [1, 1]


@pytest.mark.parametrize("script", [["hang"], [block(0), "hang"]], ids=["from the start", "after a while"])
async def test_silence_is_a_stall(script: Script) -> None:
    bench = Bench(script, [block(0)], policy=FAST)
    await bench.run()
    stalled = next(change for change in bench.changes if change.state == "stalled")
    assert "no audio for" in (stalled.reason or "")
    assert stalled.restarts == 1
    assert bench.sources[0].closed == 1


async def test_a_slow_taker_is_no_stall() -> None:
    bench = Bench([block(0), block(1)], policy=FAST)
    async for _ in bench.supervised.blocks():
        await asyncio.sleep(0.15)
    assert bench.states == ["opening", "running", "ended"]


class Waiting(Scripted):
    """Its second block comes over another thread, while the loop is held up for longer than a stall takes."""

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        yield block(0)
        loop, come = asyncio.get_running_loop(), asyncio.Event()
        loop.call_later(0.01, time.sleep, 0.8)
        coming = threading.Timer(0.2, loop.call_soon_threadsafe, [come.set])
        coming.start()
        await come.wait()
        coming.join()
        yield block(1)


async def test_a_station_that_was_held_up_itself_takes_what_came_meanwhile() -> None:
    changes: list[SourceChange] = []
    supervised = SupervisedSource(lambda: Waiting([]), FAST, on_change=changes.append)
    async with asyncio.timeout(20):
        assert [b.first_sample async for b in supervised.blocks()] == [0, 10]
    assert [change.state for change in changes] == ["opening", "running", "ended"]


async def test_a_patient_policy_waits_for_an_idle_source() -> None:
    bench = Bench(["hang"], policy=FAST.patient())
    waiting = asyncio.ensure_future(bench.run())
    await asyncio.sleep(0.3)
    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert bench.states == ["opening"]
    assert bench.sources[0].closed == 1


async def test_the_waits_widen_are_jittered_and_bounded() -> None:
    bench = Bench(*[GONE] * 40, [block(0)], policy=FAST)
    await bench.run()
    assert len(bench.waits) == 40
    assert all(0.5 <= wait_s <= 8 for wait_s in bench.waits)
    assert bench.waits[0] <= 2
    assert bench.waits[1] <= 4
    assert max(bench.waits[4:]) > 4
    assert len(set(bench.waits)) > 20


async def test_running_well_for_a_while_makes_the_waits_short_again() -> None:
    def an_hour_later() -> None:
        bench.now_s += 3600

    bench = Bench(*[GONE] * 10, [block(0), an_hour_later, SourceLost("gone")], [block(0)], policy=FAST)
    await bench.run()
    assert bench.waits[-1] <= 2
    assert bench.changes[-1].restarts == 11


async def test_what_can_never_work_passes_up() -> None:
    bench = Bench([SourceUnusable("no such codec")], policy=FAST)
    with pytest.raises(SourceUnusable, match="no such codec"):
        await bench.run()
    assert bench.sources[0].closed == 1
    assert bench.waits == []


async def test_what_can_never_work_is_told_with_its_reason_before_it_passes_up() -> None:
    bench = Bench([block(0), SourceLost("gone")], [SourceUnusable("another format")], policy=FAST)
    with pytest.raises(SourceUnusable):
        await bench.run()
    assert bench.states == ["opening", "running", "lost", "opening", "unusable"]
    assert bench.changes[-1] == SourceChange("unusable", "another format", restarts=1, next_try_s=None)


async def test_a_source_that_cannot_even_be_made_is_unusable_too() -> None:
    def refuse() -> Scripted:
        raise SourceUnusable("no background")

    changes: list[SourceChange] = []
    supervised = SupervisedSource(refuse, FAST, on_change=changes.append)
    with pytest.raises(SourceUnusable, match="no background"):
        await anext(supervised.blocks())
    assert [change.state for change in changes] == ["opening", "unusable"]


async def test_a_timeout_of_the_sources_own_is_not_taken_for_a_stall() -> None:
    bench = Bench([TimeoutError("mine")], policy=FAST)
    with pytest.raises(TimeoutError, match="mine"):
        await bench.run()
    assert bench.sources[0].closed == 1


async def test_closing_twice_is_safe() -> None:
    bench = Bench([block(0), "hang"], policy=FAST)
    blocks = bench.supervised.blocks()
    await anext(blocks)
    await bench.supervised.aclose()
    await bench.supervised.aclose()
    assert bench.sources[0].closed == 1


async def test_what_was_shed_and_overflowed_counts_on_over_reopenings() -> None:
    counts: list[tuple[int, int]] = []
    source = Counting([])

    def lose(shed: int, overflows: int) -> Callable[[], None]:
        def count() -> None:
            source.shed_blocks, source.overflows = shed, overflows

        return count

    def note(_: object = None) -> None:
        counts.append((supervised.shed_blocks, supervised.overflows))

    def open_next() -> Counting:
        nonlocal source
        source = Counting(next(scripts))
        return source

    async def no_wait(_: float) -> None:
        note()

    scripts: Iterator[Script] = iter([[lose(3, 1), note, SourceLost("gone")], [note, lose(4, 0), note, lose(6, 2)]])
    supervised = SupervisedSource(open_next, FAST, on_change=lambda _: None, sleep=no_wait)
    note()
    async for _ in supervised.blocks():
        pass
    await supervised.aclose()
    note()
    assert counts == [(0, 0), (3, 1), (3, 1), (3, 1), (7, 1), (9, 3)]


async def test_a_source_that_counts_nothing_has_shed_nothing() -> None:
    bench = Bench([block(0), SourceLost("gone")], [block(0)], policy=FAST)
    await bench.run()
    assert (bench.supervised.shed_blocks, bench.supervised.overflows) == (0, 0)


@pytest.mark.parametrize(
    "source",
    [
        Soundcard(SoundcardSection(hydrophones=("h",), device="d", sample_rate_hz=1000)),
        Alsa(AlsaSection(hydrophones=("h",), device="d", sample_rate_hz=1000)),
        TcpSource(TcpSection(hydrophones=("h",), sample_rate_hz=8000, port=1)),
        UdpSource(UdpSection(hydrophones=("h",), sample_rate_hz=8000, port=1)),
        RtpSource(RtpSection(hydrophones=("h",), sample_rate_hz=8000, port=1)),
        UrlSource(UrlSection(hydrophones=("h",), url="tcp://h")),
    ],
    ids=lambda source: type(source).__name__,
)
def test_every_live_source_counts_from_zero(source: Source) -> None:
    assert isinstance(source, LiveSource)
    assert (source.shed_blocks, source.overflows) == (0, 0)
