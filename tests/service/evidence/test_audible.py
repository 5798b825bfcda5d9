import io

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from event_samples import EPOCH, event
from fakes import tiny_contract
from seacanary.detection import Detector, DetectorSection
from seacanary.evidence.audible import MOST_GAIN_DB, OUTPUT_HZ, PEAK_DBFS, audible, is_ultrasonic, slow_down


def tone(hz: float, *, rate_hz: int, level: float = 0.01, length_s: float = 0.2) -> NDArray[np.float32]:
    time_s = np.arange(round(rate_hz * length_s)) / rate_hz
    return (level * np.sin(2 * np.pi * hz * time_s)).astype(np.float32)


def loudest_hz(samples: NDArray[np.float32]) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return float(spectrum.argmax() * OUTPUT_HZ / samples.size)


@pytest.mark.parametrize("rate_hz", [250_000, 384_000, 576_000])
def test_a_100_khz_tone_is_heard_at_10_khz_ten_times_as_long(rate_hz: int) -> None:
    slowed = slow_down(tone(100_000, rate_hz=rate_hz), rate_hz)
    assert loudest_hz(slowed.samples) == pytest.approx(10_000, abs=2)
    assert slowed.samples.size == pytest.approx(2.0 * OUTPUT_HZ, abs=1)


def test_the_level_is_normalised_by_the_gain_it_states() -> None:
    slowed = slow_down(tone(50_000, rate_hz=384_000, level=0.001), 384_000)
    assert 20 * np.log10(np.abs(slowed.samples).max()) == pytest.approx(PEAK_DBFS, abs=0.01)
    assert slowed.gain_db == pytest.approx(60 + PEAK_DBFS, abs=0.5)


def test_a_ship_does_not_drown_the_click() -> None:
    mixed = tone(60, rate_hz=384_000, level=0.5) + tone(120_000, rate_hz=384_000, level=0.001)
    assert loudest_hz(slow_down(mixed, 384_000).samples[OUTPUT_HZ // 2 :]) == pytest.approx(12_000, abs=5)


def test_silence_stays_silent_and_noise_of_a_bit_is_not_blown_up() -> None:
    assert not slow_down(np.zeros(1000, np.float32), 384_000).samples.any()
    assert slow_down(tone(50_000, rate_hz=384_000, level=1e-7), 384_000).gain_db == MOST_GAIN_DB


def test_the_file_says_what_was_done_to_it() -> None:
    flac = audible(tone(100_000, rate_hz=384_000), 384_000, start=EPOCH, event=event(7))
    with soundfile.SoundFile(io.BytesIO(flac)) as file:
        assert (file.samplerate, file.format, file.channels) == (OUTPUT_HZ, "FLAC", 1)
        assert loudest_hz(file.read(dtype="float32")) == pytest.approx(10_000, abs=2)
        lines = file.comment.splitlines()
    assert "TE: 10" in lines
    assert "SeaCanary|Recorded Samplerate: 384000" in lines
    assert any(line.startswith("SeaCanary|Gain: 3") for line in lines)
    assert f"SeaCanary|Event: {event(7).id}" in lines


def test_only_ultrasonic_call_types_are_slowed() -> None:
    detector = Detector.load(DetectorSection(sessions=1))
    heard = event(0).model_copy(update={"call_types": ("whistle",)})
    assert not is_ultrasonic(heard, detector.contract)
    assert is_ultrasonic(heard.model_copy(update={"call_types": ("porpoise_click", "whistle")}), detector.contract)
    assert not is_ultrasonic(heard, tiny_contract())
    detector.close()
