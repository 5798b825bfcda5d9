"""Labels of training windows: masks, targets, weights and SNR follow from what is heard."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from seacanary_models.augment import MODEL_RATE_HZ, Recorder
from seacanary_models.datasets import (
    LabelledWindow,
    LoudRecipe,
    ShardPlan,
    WindowRecipe,
    WindowSource,
    load_windows,
    make_shards,
    real_windows,
    row_low_hz,
)
from seacanary_models.recordings import Catalogue
from seacanary_models.scenes import WINDOW_SAMPLES, Scene

pytestmark = pytest.mark.torch
AUDIO = Path(os.environ.get("SEACANARY_AUDIO", Path(__file__).parents[2] / "../shared/data/audio"))
CLEAN = Recorder(MODEL_RATE_HZ, "none", 0.0, 1.0)
FIRST, LAST = WINDOW_SAMPLES // 4, WINDOW_SAMPLES // 2


@pytest.fixture(scope="module")
def source() -> WindowSource:
    """A source that knows no recording: enough for simulated scenes and given ones."""
    recipe = WindowRecipe(shares=(1.0, 0.0, 0.0, 0.0, 0.0))
    return WindowSource(Catalogue((), "none"), "train", recipe)


def noise(seed: int = 0) -> NDArray[np.float32]:
    return (0.003 * np.random.default_rng(seed).standard_normal(WINDOW_SAMPLES)).astype(np.float32)


def tone(frequency_hz: float) -> NDArray[np.float32]:
    """A tone in the second quarter of the window."""
    pcm = np.zeros(WINDOW_SAMPLES, np.float32)
    pcm[FIRST:LAST] = 0.2 * np.sin(2 * np.pi * frequency_hz * np.arange(LAST - FIRST) / MODEL_RATE_HZ)
    return pcm


def whistle_scene(frequency_hz: float = 9000) -> Scene:
    return Scene("over_real", noise(), stems={"whistle": tone(frequency_hz)}, free_level=True)


def test_a_call_is_marked_where_and_when_it_sounds_at_the_snr_asked_for(source: WindowSource) -> None:
    window = source.label(whistle_scene(), CLEAN, snr_db=20)
    rows, columns = np.nonzero(window.marks & 1)
    assert row_low_hz()[rows].min() >= 9000 - 1200
    assert row_low_hz()[rows].max() <= 9000 + 1200
    assert (columns.min(), columns.max()) == pytest.approx((64, 127), abs=1)
    assert window.snr_db[0] == pytest.approx(20, abs=0.01)
    assert window.targets.tolist() == [1, 0, 0]
    assert window.weights.tolist() == [1, 1, 1]
    assert window.image[int(np.median(rows)), 96] > window.image[int(np.median(rows)), 200] + 60


def test_a_call_nobody_could_hear_is_left_out_not_called_absent(source: WindowSource) -> None:
    window = source.label(whistle_scene(), CLEAN, snr_db=-30)
    assert (window.targets[0], window.weights[0]) == (0, 0)


def test_a_call_above_the_recorders_band_is_not_marked(source: WindowSource) -> None:
    window = source.label(whistle_scene(), replace(CLEAN, rate_hz=16_000), snr_db=20)
    assert not window.marks.any()
    assert (window.targets[0], window.weights[0]) == (0, 0)


def test_porpoise_clicks_on_a_250_khz_recorder_teach_nothing(source: WindowSource) -> None:
    scene = Scene("logged_train", noise(), stems={"porpoise_click": tone(112_000)}, free_level=True)
    slow = source.label(scene, replace(CLEAN, rate_hz=250_000), snr_db=20)
    fast = source.label(scene, CLEAN, snr_db=20)
    assert (slow.targets[2], slow.weights[2]) == (0, 0)
    assert (fast.targets[2], fast.weights[2]) == (1, 1)


def test_nothing_is_marked_after_the_end_of_a_short_file(source: WindowSource) -> None:
    window = source.label(whistle_scene(), replace(CLEAN, kept_share=0.375), snr_db=20)
    columns = np.nonzero(window.marks)[1]
    assert columns.max() == 95


def test_absence_is_only_as_sure_as_the_scene(source: WindowSource) -> None:
    window = source.label(Scene("stored_clicks", noise(), weights=(1, 0, 1)), CLEAN, snr_db=0)
    assert window.targets.tolist() == [0, 0, 0]
    assert window.weights.tolist() == [1, 0, 1]


def same(one: LabelledWindow, other: LabelledWindow) -> bool:
    return np.array_equal(one.image, other.image) and np.array_equal(one.marks, other.marks)


def test_a_number_always_gives_the_same_window(source: WindowSource) -> None:
    assert same(source.window(3), source.window(3))
    assert not same(source.window(3), source.window(4))


def test_files_are_cut_into_half_overlapping_windows_that_reach_the_end() -> None:
    hop = WINDOW_SAMPLES // 2
    audio = np.arange(WINDOW_SAMPLES + hop + 10, dtype=np.float32)
    assert [int(window[0]) for window in real_windows(audio)] == [0, hop, hop + 10]
    (padded,) = real_windows(audio[:100])
    assert padded.size == WINDOW_SAMPLES
    assert not padded[100:].any()


def test_shards_come_back_as_they_were_made_and_are_not_made_twice(tmp_path: Path) -> None:
    if not (AUDIO / "files.csv").exists():
        pytest.skip("no real recordings: set SEACANARY_AUDIO to their folder")
    recipe = WindowRecipe(shares=(0.0, 0.0, 1.0, 0.0, 0.0))
    plan = ShardPlan(AUDIO, "validation", recipe, windows=3, cache=tmp_path, shard_windows=2)
    assert sorted(make_shards(plan, workers=1)) == [0, 1]
    windows = load_windows(plan)
    assert windows.image.shape == (3, 256, 256)
    assert not windows.targets.any()
    assert (windows.quality == -1).all()
    made = [plan.shard(number).stat().st_mtime_ns for number in range(2)]
    assert list(make_shards(plan, workers=1)) == [0, 1]
    assert [plan.shard(number).stat().st_mtime_ns for number in range(2)] == made
    other = replace(plan, recipe=recipe.model_copy(update={"seed": 2}))
    assert other.folder != plan.folder


def test_loud_windows_have_louder_calls_and_none_is_without() -> None:
    recipe = LoudRecipe(shares=(1.0, 0.0, 0.0, 0.0, 0.0), none_share=0.0)
    loud, plain = (
        WindowSource(Catalogue((), "none"), "train", drawn)
        for drawn in (recipe, WindowRecipe(**recipe.model_dump(exclude={"whistle_db", "click_db"})))
    )
    levels = [np.array([source.window(index).snr_db for index in range(4)]) for source in (loud, plain)]
    assert not np.isnan(levels[0]).all(axis=1).any()
    assert np.nanmedian(levels[0]) > np.nanmedian(levels[1]) + 5
