"""The common trigger, and what it says each clip is."""

import numpy as np
import pytest
from numpy.typing import NDArray

from seacanary.simulation import beluga_click, porpoise_click
from seacanary_models.click_trials import (
    CLIP_SAMPLES,
    LEAD_SAMPLES,
    ORIGINS,
    PER_WINDOW,
    SEPARATION_SAMPLES,
    TRIGGER_BAND_HZ,
    band_passed,
    click_trials,
    joined,
    triggers,
)

pytestmark = pytest.mark.torch
SAMPLES, RATE_HZ = 76_800, 384_000
Floats = NDArray[np.float32]


def noise(rms: float = 0.001) -> Floats:
    return (rms * np.random.default_rng(3).standard_normal(SAMPLES)).astype(np.float32)


def train_of(click: Floats, starts: list[int], *, peak: float = 0.1) -> Floats:
    stem = np.zeros(SAMPLES, np.float32)
    for start in starts:
        stem[start : start + click.size] += click * np.float32(peak / np.abs(click).max())
    return stem


def porpoises(starts: list[int], *, peak: float = 0.1) -> Floats:
    click = porpoise_click(np.random.default_rng(1), sample_rate_hz=RATE_HZ, centre_hz=130e3, duration_s=1e-4)
    return train_of(click, starts, peak=peak)


def belugas(starts: list[int], *, peak: float = 0.3) -> Floats:
    return train_of(beluga_click(np.random.default_rng(2), sample_rate_hz=RATE_HZ, off_axis=0.0), starts, peak=peak)


def test_every_loud_click_fires_once_where_it_is() -> None:
    starts = [9_000, 20_000, 31_000, 60_000]
    peaks, excess_db = triggers(band_passed(noise() + porpoises(starts), TRIGGER_BAND_HZ))
    np.testing.assert_allclose(peaks, np.array(starts) + 45, atol=40)
    assert excess_db.min() > 20


def test_clicks_nearer_than_the_separation_are_one() -> None:
    starts = [20_000, 20_000 + SEPARATION_SAMPLES, 40_000]
    peaks, _ = triggers(band_passed(noise() + porpoises(starts), TRIGGER_BAND_HZ))
    assert peaks.size == 2


def test_an_offset_of_the_recorder_is_no_click() -> None:
    assert not len(click_trials(noise() + np.float32(0.5), {}))


def test_steady_noise_and_silence_fire_nothing() -> None:
    assert not len(click_trials(noise(), {}))
    assert not len(click_trials(np.zeros(SAMPLES, np.float32), {}))


def test_the_excess_does_not_depend_on_gain() -> None:
    heard = band_passed(noise() + porpoises([20_000]), TRIGGER_BAND_HZ)
    _, excess_db = triggers(heard)
    _, quieter_db = triggers(heard / np.float32(100))
    np.testing.assert_allclose(quieter_db, excess_db, atol=0.01)


def test_each_clip_is_what_dominates_its_trigger() -> None:
    stems = {"porpoise_click": porpoises([10_000]), "beluga_click": belugas([30_000])}
    spike = porpoises([50_000])  # of unknown origin: in no stem
    trials = click_trials(noise() + stems["porpoise_click"] + stems["beluga_click"] + spike, stems)
    assert [ORIGINS[k] for k in trials.origin] == ["porpoise_click", "beluga_click", "other"]
    assert trials.porpoise.tolist() == [True, False, False]
    assert trials.ambiguous == 0


def test_a_porpoise_click_under_a_beluga_click_as_loud_is_ambiguous() -> None:
    porpoise, sum_of_both = porpoises([20_000]), porpoises([20_000]) + porpoises([20_000])
    trials = click_trials(noise() + sum_of_both, {"porpoise_click": porpoise, "beluga_click": porpoise})
    assert (len(trials), trials.ambiguous) == (0, 1)


def test_a_porpoise_elsewhere_does_not_make_a_clip_a_porpoises() -> None:
    stems = {"porpoise_click": porpoises([20_000]), "beluga_click": belugas([20_600])}
    trials = click_trials(noise() + stems["porpoise_click"] + stems["beluga_click"], stems)
    assert [ORIGINS[k] for k in trials.origin] == ["porpoise_click", "beluga_click"]


def test_clips_hold_the_click_after_the_lead_even_at_the_window_s_end() -> None:
    stem = porpoises([20_000])[: 20_000 + 80]
    trials = click_trials(noise()[: stem.size] + stem, {"porpoise_click": stem})
    (clip,) = trials.clips
    assert clip.shape == (CLIP_SAMPLES,)
    assert abs(int(np.abs(clip).argmax()) - LEAD_SAMPLES) < 8
    assert not clip[-100:].any()


def test_a_noisy_window_gives_no_more_than_its_share() -> None:
    stem = porpoises(list(range(5_000, 70_000, 2_000)))
    trials = click_trials(noise() + stem, {"porpoise_click": stem})
    assert (len(trials), trials.surplus) == (PER_WINDOW, 33 - PER_WINDOW)
    assert np.all(np.diff(trials.peak_sample) > 0)
    assert trials.peak_sample[-1] > 68_000


def test_joined_trials_number_their_windows_on() -> None:
    stem = porpoises([20_000, 40_000])
    some = click_trials(noise() + stem, {"porpoise_click": stem})
    none = click_trials(noise(), {})
    all_of_them = joined([some, none, some])
    assert all_of_them.window.tolist() == [0, 0, 2, 2]
    assert (all_of_them.windows, len(all_of_them)) == (3, 4)
