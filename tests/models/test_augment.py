"""The recorder and codec chain, and the variation of images."""

import numpy as np
import pytest
from numpy.typing import NDArray

from seacanary_models.augment import (
    MODEL_RATE_HZ,
    Codec,
    Example,
    Recorder,
    coloured_noise,
    draw_recorder,
    flipped,
    hidden,
    record,
    stitched,
    vary,
)

pytestmark = pytest.mark.torch
SAMPLES = 98_304


def tone(frequency_hz: float) -> NDArray[np.float32]:
    return (0.3 * np.sin(2 * np.pi * frequency_hz * np.arange(SAMPLES) / MODEL_RATE_HZ)).astype(np.float32)


def level_db(pcm: NDArray[np.float32]) -> float:
    return float(10 * np.log10(np.mean(pcm[SAMPLES // 4 : -SAMPLES // 4] ** 2) + 1e-20))


@pytest.mark.parametrize(
    ("codec", "rate_hz"), [("none", 48_000), ("mp3", 44_100), ("vorbis", 32_000), ("opus", 48_000)]
)
def test_a_slow_recorder_keeps_what_it_can_carry_in_step(codec: Codec, rate_hz: int) -> None:
    pcm = tone(3000)
    heard = record(pcm, Recorder(rate_hz, codec, 0.3, 1.0))
    middle = slice(SAMPLES // 4, 3 * SAMPLES // 4)
    assert heard.shape == pcm.shape
    assert heard.dtype == np.float32
    assert np.corrcoef(heard[middle], pcm[middle])[0, 1] > 0.99


@pytest.mark.parametrize("codec", ["none", "int16", "mp3"])
def test_a_slow_recorder_loses_what_lies_above_its_band(codec: Codec) -> None:
    heard = record(tone(130_000), Recorder(48_000, codec, 0.3, 1.0))
    assert level_db(heard) < -90


def test_a_window_does_not_begin_with_a_bang() -> None:
    heard = record(np.full(SAMPLES, 0.5, np.float32), Recorder(24_000, "none", 0.0, 1.0))
    np.testing.assert_allclose(heard, 0.5, atol=1e-3)


def test_samples_over_full_scale_clip() -> None:
    assert np.abs(record(tone(3000) * 10, Recorder(384_000, "int16", 0.0, 1.0))).max() <= 0.991


def test_a_short_file_is_zero_after_its_end() -> None:
    heard = record(tone(3000), Recorder(48_000, "none", 0.0, 0.5))
    assert heard[: SAMPLES // 2].any()
    assert not heard[SAMPLES // 2 :].any()


def test_word_length_sets_the_floor() -> None:
    quiet = tone(3000) * np.float32(1e-6)
    assert not record(quiet, Recorder(384_000, "int16", 0.0, 1.0)).any()


def test_recorders_are_audible_as_often_as_asked() -> None:
    rng = np.random.default_rng(3)
    drawn = [draw_recorder(rng, audible_share=0.3) for _ in range(600)]
    audible = sum(recorder.rate_hz <= 48_000 for recorder in drawn) / len(drawn)
    assert audible == pytest.approx(0.3, abs=0.06)
    assert all(r.codec in ("none", "int16") for r in drawn if r.rate_hz > 48_000)


def test_noise_slope_is_the_slope_asked_for() -> None:
    noise = coloured_noise(np.random.default_rng(0), 2**16, slope=0.5).astype(np.float64)
    power = np.abs(np.fft.rfft(noise)) ** 2
    assert np.mean(noise**2) == pytest.approx(1, rel=1e-3)
    octave_db = 10 * np.log10(power[4096:8192].mean() / power[8192:16384].mean())
    assert octave_db == pytest.approx(3.01, abs=0.4)


def example_with_a_bar(row: int = 40) -> Example:
    image, marks = np.zeros((256, 256), np.float32), np.zeros((256, 256), np.uint8)
    image[row : row + 4, 10:60] = 0.9
    marks[row : row + 4, 10:60] = 1
    return Example(image, marks, None, np.float32([1, 0, 0]), np.float32([1, 1, 0]))


def test_varied_images_keep_mask_and_call_together() -> None:
    for seed in range(20):
        varied = vary(np.random.default_rng(seed), example_with_a_bar())
        marked = varied.marks > 0
        assert varied.image.min() >= 0
        assert varied.image.max() <= 1
        if marked.any():
            assert varied.image[marked].min() > varied.image[~marked & (varied.image < 0.5)].max()
        assert not (varied.image[~marked] > 0.6).any()


def test_variation_is_seeded() -> None:
    first, second, other = (vary(np.random.default_rng(seed), example_with_a_bar()).image for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_a_stitch_that_cuts_a_call_away_leaves_doubt() -> None:
    empty = Example(
        np.zeros((256, 256), np.float32), np.zeros((256, 256), np.uint8), None, np.zeros(3, np.float32),
        np.ones(3, np.float32),
    )  # fmt: skip
    whole, gone = stitched(example_with_a_bar(), empty, 100), stitched(empty, example_with_a_bar(), 100)
    assert (whole.targets[0], whole.weights[0]) == (1, 1)
    assert gone.weights[0] == 0
    assert not gone.marks.any()
    assert whole.weights[2] == 0  # nobody knew in one of the two


def test_flipping_twice_is_nothing() -> None:
    example = example_with_a_bar()
    np.testing.assert_array_equal(flipped(flipped(example)).image, example.image)
    assert flipped(example).marks[40, 200] == 1


def test_hidden_columns_hold_no_call() -> None:
    example = hidden(example_with_a_bar(), 20, 10)
    assert not example.marks[:, 20:30].any()
    assert not example.image[:, 20:30].any()
    assert example.marks[40, 35] == 1
