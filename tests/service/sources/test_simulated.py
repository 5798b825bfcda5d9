"""Simulated hydrophones: reproducible, paced, with known calls, alone or over a recording."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from seacanary.audio import Arrival, AudioBlock
from seacanary.errors import SourceUnusable
from seacanary.simulation import CallBouts, Scene
from seacanary.sources.simulated import LoopedBackground, SimulatedSection, SimulatedSource

RATE = 48_000
NEVER = CallBouts(bouts_per_min=0)
SCENE = Scene(seed=5, whistle=CallBouts(bouts_per_min=60), beluga_click=NEVER, porpoise_click=NEVER)
START = datetime(2026, 1, 1, tzinfo=UTC)


async def play(source: SimulatedSource) -> list[AudioBlock]:
    blocks = [block async for block in source.blocks()]
    await source.aclose()
    await source.aclose()
    return blocks


def section(**changes: object) -> SimulatedSection:
    basic = {"scene": SCENE, "sample_rate_hz": RATE, "pace": "fast", "seconds": 3.1, "start": START}
    return SimulatedSection.model_validate(basic | changes)


def samples_of(blocks: list[AudioBlock], hydrophone: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.concatenate([block.samples for block in blocks if block.hydrophone == hydrophone])


async def test_the_same_section_gives_the_same_audio_and_another_hydrophone_other() -> None:
    blocks = await play(SimulatedSource(section(hydrophones=("a", "b"))))
    again = await play(SimulatedSource(section(hydrophones=("a", "b"))))
    a, b = (samples_of(blocks, name) for name in ("a", "b"))
    assert a.size == b.size == round(3.1 * RATE)
    np.testing.assert_array_equal(a, samples_of(again, "a"))
    assert not np.array_equal(a, b)
    alone = await play(SimulatedSource(section(hydrophones=("b",), scene=SCENE.model_copy(update={"seed": 6}))))
    np.testing.assert_array_equal(b, samples_of(alone, "b"))
    assert {block.epoch for block in blocks} == {START}
    assert all(block.arrival is None and not block.samples.flags.writeable for block in blocks)


async def test_every_call_is_told_once() -> None:
    source = SimulatedSource(section(seconds=12.0, hydrophones=("a", "b")))
    await play(source)
    told = [(heard.hydrophone, heard.call.onset_sample) for heard in source.calls]
    assert len(told) == len(set(told)) > 5
    assert {heard.call.species for heard in source.calls} == {"beluga"}
    assert {heard.hydrophone for heard in source.calls} == {"a", "b"}


async def test_realtime_pace_does_not_drift_and_dates_by_the_clock() -> None:
    now = [50.0]

    async def sleep(seconds: float) -> None:
        now[0] += seconds + 0.01  # every wait oversleeps

    def clock() -> Arrival:
        return Arrival(system_s=1_000_000 + now[0], monotonic_s=now[0])

    source = SimulatedSource(
        section(pace="realtime", start=None, seconds=5.0), clock=clock, monotonic=lambda: now[0], sleep=sleep
    )
    blocks = await play(source)
    # the first block was due at 50.25 and came 0.01 s late: its first sample counts as 0.25 s older
    assert blocks[0].epoch.timestamp() == pytest.approx(1_000_050.01, abs=1e-6)
    arrivals = [block.arrival.monotonic_s - 50 for block in blocks if block.arrival is not None]
    assert arrivals == pytest.approx([0.25 * (n + 1) + 0.01 for n in range(20)])


async def test_a_background_is_mixed_under_the_scene(tmp_path: Path) -> None:
    tone = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(16_000) / 8000).astype(np.float32)
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone, 8000)
    quiet = SCENE.model_copy(update={"whistle": NEVER})
    mixed = samples_of(
        await play(SimulatedSource(section(scene=quiet, background=str(path), background_gain_db=-6.0))), "simulated"
    )
    between_seams = mixed[RATE // 2 : 3 * RATE // 2]
    spectrum = np.abs(np.fft.rfft(between_seams * np.hanning(RATE))) / (RATE / 4)
    assert np.argmax(spectrum) == 1000
    assert spectrum[1000] == pytest.approx(0.3 * 10 ** (-6 / 20), rel=0.05)


async def test_an_unreadable_background_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceUnusable, match="no such file"):
        await play(SimulatedSource(section(background=str(tmp_path / "absent.wav"))))


@given(sizes=st.lists(st.integers(1, 500), min_size=1, max_size=20), first=st.integers(0, 5000))
def test_the_loop_does_not_depend_on_how_it_is_read(sizes: list[int], first: int) -> None:
    recording = np.random.default_rng(0).normal(0, 0.1, 700).astype(np.float32)
    whole = LoopedBackground(recording, seam_samples=100, first=first).next(sum(sizes))
    pieces = LoopedBackground(recording, seam_samples=100, first=first)
    np.testing.assert_array_equal(np.concatenate([pieces.next(size) for size in sizes]), whole)


def test_the_seam_keeps_continuity_and_level() -> None:
    recording = np.random.default_rng(0).normal(0, 0.1, 50_000).astype(np.float32)
    recording = np.convolve(recording, np.ones(20) / 4.5, "same").astype(np.float32)
    loop = LoopedBackground(recording, seam_samples=10_000).next(100_000)
    usual_step = np.abs(np.diff(recording)).max()
    assert np.abs(np.diff(loop)).max() <= 1.5 * usual_step
    assert loop[40_000:50_000].std() == pytest.approx(recording.std(), rel=0.15)


def test_a_recording_shorter_than_the_seam_still_loops() -> None:
    loop = LoopedBackground(np.ones(3, np.float32), seam_samples=1000).next(10)
    assert np.isfinite(loop).all()
    assert loop.size == 10
