"""Signal quality: each fault is found where it is made, and not in real recordings without it."""

import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fakes import EPOCH, blocks_of
from seacanary.audio import AudioBlock
from seacanary.quality.band_levels import power_spectrum
from seacanary.quality.signal import (
    Seconds,
    SignalQuality,
    Stretch,
    count_spikes,
    hum_share,
    measure,
    silent_share,
    stuck_share,
)
from seacanary.sources.recordings import RecordingReader, probe

RATE_HZ = 48_000
AUDIO = Path(os.environ.get("SEACANARY_AUDIO", Path(__file__).parents[3] / "../shared/data/audio"))


def noise(seed: int = 0, *, rms: float = 0.01, count: int = RATE_HZ) -> NDArray[np.float32]:
    return (rms * np.random.default_rng(seed).standard_normal(count)).astype(np.float32)


def quality_of(samples: NDArray[np.float32], rate_hz: int = RATE_HZ) -> SignalQuality:
    stretch = Stretch("h1", samples, 0, rate_hz, EPOCH)
    return measure(stretch, power_spectrum(samples, rate_hz) if stretch.complete else None)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), rms=st.floats(1e-4, 0.2), rate_hz=st.sampled_from((48_000, 384_000)))
def test_plain_noise_has_no_fault(seed: int, rms: float, rate_hz: int) -> None:
    quality = quality_of(noise(seed, rms=rms, count=rate_hz), rate_hz)
    assert quality.rms == pytest.approx(rms, rel=0.03)
    assert (quality.clipped, quality.silent, quality.stuck, quality.spikes) == (0, 0, 0, 0)
    assert abs(quality.dc_offset) < 0.03 * rms
    assert quality.hum is not None
    assert quality.hum < 0.5


@settings(deadline=None)
@given(share=st.floats(0.001, 0.5))
def test_clipped_samples_are_counted(share: float) -> None:
    samples = noise()
    clipped = round(share * samples.size)
    samples[:clipped] = np.where(samples[:clipped] > 0, 1, -1)
    assert quality_of(samples).clipped == pytest.approx(clipped / samples.size)


@settings(deadline=None)
@given(offset=st.floats(-0.9, 0.9))
def test_an_offset_is_measured_with_its_sign_and_is_no_sound(offset: float) -> None:
    quality = quality_of(noise() + np.float32(offset))
    assert quality.dc_offset == pytest.approx(offset, abs=1e-3)
    assert quality.rms == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("value", [0.0, 0.25, -1e-3])
def test_nothing_but_one_value_is_silence(value: float) -> None:
    assert silent_share(np.full(RATE_HZ, value, np.float32), RATE_HZ) == 1


def test_a_recorder_without_hydrophone_is_not_silent_and_half_a_second_of_zeros_is_half() -> None:
    assert silent_share(noise(rms=10 ** (-115 / 20)), RATE_HZ) == 0
    samples = noise()
    samples[: RATE_HZ // 2] = 0
    assert silent_share(samples, RATE_HZ) == pytest.approx(0.5)


@settings(deadline=None)
@given(first=st.integers(0, RATE_HZ - 5000), length=st.integers(48, 5000), value=st.floats(-0.99, 0.99))
def test_stuck_runs_are_counted_in_samples_unless_they_are_zeros(first: int, length: int, value: float) -> None:
    samples = noise()
    samples[first : first + length] = value
    stuck = stuck_share(samples, RATE_HZ) * RATE_HZ
    assert stuck == pytest.approx(0 if samples[first] == 0 else length, abs=1e-6)


def test_quiet_16_bit_audio_that_rests_on_its_steps_is_not_stuck() -> None:
    samples = np.rint(noise(rms=1.0)).astype(np.float32) / 2**15
    assert stuck_share(samples, RATE_HZ) == 0


def test_spikes_are_counted_one_by_one() -> None:
    samples = noise()
    samples[np.arange(1000, RATE_HZ, RATE_HZ // 20)] += 0.5
    assert count_spikes(samples, RATE_HZ) == 20
    assert count_spikes(noise(), RATE_HZ) == 0
    assert count_spikes(noise(rms=0.05), RATE_HZ) == 0


@pytest.mark.parametrize("rate_hz", [8000, 48_000, 384_000])
@pytest.mark.parametrize("mains_hz", [50.0, 49.85, 60.0, 60.15])
def test_hum_stands_out_of_noise_and_two_tones_alone_are_no_hum(rate_hz: int, mains_hz: float) -> None:
    time_s = np.arange(rate_hz) / rate_hz
    floor = noise(count=rate_hz)
    lines = [0.01 / n * np.sin(2 * np.pi * mains_hz * n * time_s) for n in (1, 2, 3)]
    hum = hum_share(power_spectrum((floor + sum(lines)).astype(np.float32), rate_hz))
    tones = hum_share(power_spectrum((floor + lines[0] + lines[1]).astype(np.float32), rate_hz))
    assert hum > 0.8
    assert tones < 0.5


@settings(deadline=None)
@given(sizes=st.lists(st.integers(1, 900), max_size=30), first=st.integers(0, 3000))
def test_seconds_do_not_depend_on_how_the_audio_arrived(sizes: list[int], first: int) -> None:
    samples = np.arange(5000, dtype=np.float32)
    whole = AudioBlock("h1", samples, first, 1000, EPOCH)
    parts = [
        AudioBlock(b.hydrophone, b.samples, b.first_sample + first, 1000, EPOCH) for b in blocks_of(samples, sizes)
    ]
    one, many = Seconds(), Seconds()
    expected = one.push(whole) + one.end()
    got = [stretch for part in parts for stretch in many.push(part)] + many.end()
    assert [(s.first_sample, s.samples.tolist()) for s in got] == [
        (s.first_sample, s.samples.tolist()) for s in expected
    ]
    assert all(s.first_sample % 1000 == 0 and s.complete for s in got[1:-1])


def test_a_gap_ends_a_second_early_and_the_next_begins_at_the_count() -> None:
    seconds = Seconds()
    before = AudioBlock("h1", np.zeros(1300, np.float32), 0, 1000, EPOCH)
    after = AudioBlock("h1", np.zeros(1000, np.float32), 1700, 1000, EPOCH)
    stretches = seconds.push(before) + seconds.push(after) + seconds.end()
    assert [(s.first_sample, s.samples.size, s.complete) for s in stretches] == [
        (0, 1000, True),
        (1000, 300, False),
        (1700, 300, False),
        (2000, 700, False),
    ]
    assert stretches[2].start == datetime(2026, 5, 1, 12, 0, 1, 700_000, tzinfo=UTC)


def test_a_new_epoch_or_rate_ends_a_second_early_too() -> None:
    seconds = Seconds()
    seconds.push(AudioBlock("h1", np.zeros(300, np.float32), 0, 1000, EPOCH))
    later = EPOCH.replace(hour=13)
    ended = seconds.push(AudioBlock("h1", np.zeros(300, np.float32), 300, 1000, later))
    ended += seconds.push(AudioBlock("h1", np.zeros(300, np.float32), 600, 2000, later))
    assert [(s.samples.size, s.epoch, s.sample_rate_hz) for s in ended] == [(300, EPOCH, 1000), (300, later, 1000)]


@settings(max_examples=50, deadline=None)
@given(count=st.integers(1, 200), value=st.sampled_from((0.0, 0.3, 1.0)))
def test_the_shortest_stretches_can_be_measured(count: int, value: float) -> None:
    quality = quality_of(np.full(count, value, np.float32))
    assert quality.hum is None
    assert quality.spikes == 0
    assert quality.silent == 1


def recording(name: str) -> list[SignalQuality]:
    path = AUDIO / name
    found, reader = probe(path), RecordingReader(path)
    samples = np.ascontiguousarray(reader.read(found.frames)[0])
    reader.close()
    block = AudioBlock("h1", samples, 0, found.sample_rate_hz, EPOCH)
    return [quality_of(s.samples, s.sample_rate_hz) for s in Seconds().push(block)]


@pytest.mark.skipif(not AUDIO.is_dir(), reason="the shared recordings are not here; SEACANARY_AUDIO may name them")
@pytest.mark.parametrize(
    "name",
    [
        "ambient_orcasound_live001.wav",
        "bat_pamguard-resources_20200817_011412.WAV",
        "dolphin-whistle_pamguard_dolphin_whistle.wav",
        "ice_hip-mixer_Rubbing_ice.mp3",
        "ross-seal_hip-mixer_Ommatophoca_rossii.mp3",
        "pile-driving_hip-mixer_2-4km_no_bubble_curtain.mp3",
    ],
)
def test_real_recordings_without_faults_have_none(name: str) -> None:
    qualities = recording(name)
    assert max(q.clipped for q in qualities) == 0
    assert max(q.silent for q in qualities) < 0.02
    assert max(q.stuck for q in qualities) == 0
    assert max(abs(q.dc_offset) for q in qualities) < 0.02
    assert np.median([q.hum for q in qualities if q.hum is not None]) < 0.5
    assert max(q.spikes for q in qualities) < 25


@pytest.mark.skipif(not AUDIO.is_dir(), reason="the shared recordings are not here; SEACANARY_AUDIO may name them")
def test_a_real_stream_that_begins_with_digital_silence_and_hums_is_told_as_such() -> None:
    qualities = recording("ambient_orcasound_live000.wav")
    assert qualities[0].silent == 1
    assert qualities[-1].silent == 0
    assert np.median([q.hum for q in qualities[2:] if q.hum is not None]) > 0.9
