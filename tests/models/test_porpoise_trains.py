"""Porpoise trains rebuilt from a log: right times, right pitch, days kept apart."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile

from seacanary_models.fpod import NBHF, SONAR, FpodClicks
from seacanary_models.porpoise_trains import LoggedTrain, draw_train, part_of, read_template, render_train
from seacanary_models.recordings import FPOD_TRAIN_DAYS, Recording

pytestmark = pytest.mark.torch
RATE_HZ, SAMPLES = 384_000, 393_216


@pytest.fixture
def template_file(tmp_path: Path) -> Recording:
    """A click like the reference one: 135 kHz under a smooth envelope, at 500 kHz."""
    time_s = np.arange(120) / 500_000
    click = np.hanning(120) * np.sin(2 * np.pi * 135_000 * time_s)
    path = tmp_path / "click.wav"
    soundfile.write(path, np.pad(click, (50, 300)), 500_000, subtype="DOUBLE")
    return Recording(path, "template", "train", None, (1, 1, 1), "template", 500_000, "MIT", "nobody", "a test")


def log(*, days: list[int], species: list[int] | None = None) -> FpodClicks:
    """One click a quarter of a second, in the first minute of each day."""
    count = len(days)
    ones = np.ones(count, np.int64)
    return FpodClicks(
        first_minute=datetime(2024, 12, 7, tzinfo=UTC),
        minute=np.array(days) * 24 * 60,
        time_us=np.arange(count) * 250_000,
        cycles=ones * 10,
        frequency_khz=np.full(count, 130.0),
        amplitude=np.linspace(20, 200, count),
        train=ones,
        species=np.full(count, NBHF) if species is None else np.array(species),
        quality=ones * 2,
    )


@pytest.mark.parametrize("seed", range(6))  # some draw the template, some simulated clicks
@pytest.mark.parametrize("frequency_hz", [122_000.0, 138_000.0])
def test_clicks_sound_when_and_where_they_were_logged(template_file: Recording, seed: int, frequency_hz: float) -> None:
    offsets_s = np.array([0.1, 0.25, 0.9])
    train = LoggedTrain(offsets_s, np.full(3, frequency_hz), np.full(3, 14), np.array([1.0, 0.5, 0.25]), 3)
    template = read_template(template_file)
    pcm = render_train(np.random.default_rng(seed), train, template, sample_rate_hz=RATE_HZ, samples=SAMPLES)
    assert pcm.shape == (SAMPLES,)
    for offset_s, amplitude in zip(offsets_s, train.amplitude, strict=True):
        first = int(offset_s * RATE_HZ)
        click = pcm[first : first + 512]
        peak_hz = np.abs(np.fft.rfft(click, 8192)).argmax() * RATE_HZ / 8192
        assert peak_hz == pytest.approx(frequency_hz, abs=4_000)
        assert np.abs(click).max() == pytest.approx(amplitude, rel=0.45)
    assert np.count_nonzero(pcm) < 3 * 600


def test_a_drawn_window_holds_at_least_three_clicks_inside_it() -> None:
    clicks = log(days=[0] * 40)
    chosen = part_of(clicks, "train")
    for seed in range(20):
        train = draw_train(np.random.default_rng(seed), clicks, chosen, window_s=1.024)
        assert train.offset_s.size >= 3
        assert train.offset_s.min() >= 0
        assert train.offset_s.max() < 1.024
        assert train.amplitude.max() == 1
        assert train.quality == 2


def test_days_and_species_decide_the_part() -> None:
    clicks = log(days=[0, FPOD_TRAIN_DAYS - 1, FPOD_TRAIN_DAYS, 9], species=[NBHF, SONAR, NBHF, NBHF])
    assert part_of(clicks, "train").tolist() == [0]
    assert part_of(clicks, "validation").tolist() == [2, 3]
