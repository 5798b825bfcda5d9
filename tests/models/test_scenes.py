"""Scenes of every kind, drawn from the real recordings."""

import os
from pathlib import Path

import numpy as np
import pytest

from seacanary_models.recordings import read_catalogue
from seacanary_models.scenes import KINDS, WINDOW_SAMPLES, Kind, RealSounds, draw_scene

pytestmark = pytest.mark.torch
AUDIO = Path(os.environ.get("SEACANARY_AUDIO", Path(__file__).parents[2] / "../shared/data/audio"))


@pytest.fixture(scope="module", params=["train", "validation"])
def sounds(request: pytest.FixtureRequest) -> RealSounds:
    if not (AUDIO / "files.csv").exists():
        pytest.skip("no real recordings: set SEACANARY_AUDIO to their folder")
    return RealSounds(read_catalogue(AUDIO), request.param)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_whole_and_repeatable(sounds: RealSounds, kind: Kind) -> None:
    scene, again = (draw_scene(np.random.default_rng(5), kind, sounds) for _ in range(2))
    assert scene.kind == kind
    assert scene.background.shape == (WINDOW_SAMPLES,)
    assert np.isfinite(scene.background).all()
    np.testing.assert_array_equal(scene.background, again.background)
    for name, stem in scene.stems.items():
        assert stem.shape == (WINDOW_SAMPLES,)
        assert stem.any()
        np.testing.assert_array_equal(stem, again.stems[name])


def test_stored_clicks_say_nothing_of_beluga_clicks(sounds: RealSounds) -> None:
    scene = draw_scene(np.random.default_rng(1), "stored_clicks", sounds)
    assert scene.weights == (1, 0, 1)
    assert not scene.stems


def test_real_negatives_hold_no_call_and_logged_trains_only_porpoises(sounds: RealSounds) -> None:
    assert not draw_scene(np.random.default_rng(2), "real_negative", sounds).stems
    trains = draw_scene(np.random.default_rng(2), "logged_train", sounds)
    assert list(trains.stems) == ["porpoise_click"]
    assert trains.quality in range(4)


def test_calls_of_species_that_sound_alike_are_never_backgrounds(sounds: RealSounds) -> None:
    alike = {"orca", "dolphin"}
    catalogue = read_catalogue(AUDIO)
    sure = {r.group for r in catalogue.select(use="audio", part=sounds.part) if min(r.weights) > 0}
    assert not alike & sure
    assert len(sounds.audio) == len(sure)
