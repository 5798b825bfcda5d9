"""Calls over recordings: at the SNR asked for, heard by detectors at known thresholds."""

import numpy as np
import pytest
import soundfile

from seacanary_models import over_real
from seacanary_models.classifier import ClassifierConfig, MaskGuidedClassifier
from seacanary_models.datasets import WindowRecipe
from seacanary_models.evaluation import Calibration
from seacanary_models.over_real import Mixed, Mixer, mixed_over_real, reference_fires, reference_thresholds
from seacanary_models.recordings import Catalogue, Recording
from seacanary_models.scenes import CALL_TYPES, WINDOW_SAMPLES, RealSounds

pytestmark = pytest.mark.torch


def catalogue(tmp_path) -> Catalogue:
    """One quiet recording of the validation part."""
    path = tmp_path / "quiet.wav"
    rng = np.random.default_rng(2)
    soundfile.write(path, rng.normal(0, 0.01, 96_000).astype(np.float32), 48_000, subtype="FLOAT")
    row = Recording(
        path=path, use="audio", part="validation", group="quiet", weights=(1.0, 1.0, 1.0), licence="MIT",
        credit="nobody", use_s=None, sample_rate_hz=48_000, reason="a test",
    )  # fmt: skip
    return Catalogue((row,), "digest")


def test_a_louder_call_is_audible_and_leaves_full_scale_alone(tmp_path) -> None:
    mixer = Mixer(RealSounds(catalogue(tmp_path), "validation"), WindowRecipe())
    background = np.random.default_rng(0).normal(0, 1e-3, WINDOW_SAMPLES).astype(np.float32)
    quiet = mixer.quiet(background)
    loud = mixer.with_call(np.random.default_rng(1), background, "porpoise_click", snr_db=25.0)
    faint = mixer.with_call(np.random.default_rng(1), background, "porpoise_click", snr_db=-30.0)
    assert loud.audible
    assert not faint.audible
    assert not quiet.audible
    assert np.abs(loud.pcm).max() <= 1
    fired = reference_fires("porpoise_click", [quiet, loud], threshold=3.0)
    assert fired.tolist() == [False, True]


def test_a_tone_is_a_contour() -> None:
    image = np.full((256, 256), 40, np.uint8)
    tone = image.copy()
    tone[60, 50:150] = 250
    windows = [Mixed(np.zeros(8, np.float32), picture, audible=False) for picture in (image, tone)]
    assert reference_fires("whistle", windows, threshold=0.2).tolist() == [False, True]


def test_thresholds_are_those_of_the_comparison() -> None:
    classical = {
        "whistles": {"contours": {"threshold": 0.1}},
        "clicks": {"classifiers": {"energy_ratio": {"test": {"threshold": 7.0}}}},
    }
    assert reference_thresholds(classical) == {"whistle": 0.1, "porpoise_click": 7.0}
    assert reference_thresholds(None) == {}


def test_a_model_that_always_fires_has_all_recall_and_all_false_alarms(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(over_real, "WINDOWS", 1)
    always = Calibration(temperature=(1.0,) * 3, enter=(0.0,) * 3, leave=(0.0,) * 3)
    rows = mixed_over_real(
        MaskGuidedClassifier(ClassifierConfig()).eval(),
        always,
        catalogue(tmp_path),
        recipe=WindowRecipe(),
        references={"whistle": 0.2},
    )
    assert [row["call_type"] for row in rows] == list(CALL_TYPES)
    assert all(row["false_share"] == 1 for row in rows)
    assert all(value == 1 for row in rows for value in row["recall"] if not np.isnan(value))
    assert rows[0]["reference"] == "contour tracker"
    assert rows[0]["reference_false_share"] == 0
    assert "reference" not in rows[2]
