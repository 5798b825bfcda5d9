"""Simulated calls mixed over the real recordings at stated SNRs: the model beside the classical detectors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from seacanary_models.augment import MODEL_RATE_HZ, coloured_noise
from seacanary_models.classifier import MaskGuidedClassifier
from seacanary_models.click_trials import CLIP_BAND_HZ, TRIGGER_BAND_HZ, band_passed, clips_at, triggers
from seacanary_models.datasets import WindowRecipe, call_snr_db
from seacanary_models.energy_ratio import energy_ratio_db
from seacanary_models.evaluation import Calibration, score
from seacanary_models.masks import ideal_mask
from seacanary_models.recordings import Catalogue, read_mono, varied_stretch
from seacanary_models.scenes import CALL_TYPES, WINDOW_SAMPLES, RealSounds, real_scene
from seacanary_models.transforms import CompositeSpectrogram
from seacanary_models.whistle_contours import longest_contour_s

SNRS_DB: Final = (6.0, 12.0, 18.0)
WINDOWS: Final = 4
SEED: Final = 20_000
HISS_DB: Final = -30.0  # noise under a recording, so that clicks above its band are not heard against nothing
REFERENCES: Final[Mapping[str, str]] = {"whistle": "contour tracker", "porpoise_click": "energy ratio"}

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Mixed:
    """One window.

    Attributes:
        pcm: float32 [393216], full scale ±1.
        image: uint8 [256, 256], T's.
        audible: whether the call leaves enough of a mask; False without a call.
    """

    pcm: Floats
    image: NDArray[np.uint8]
    audible: bool


class Mixer:
    """Lays calls over stretches of a recording."""

    def __init__(self, sounds: RealSounds, recipe: WindowRecipe) -> None:
        self._sounds, self._recipe = sounds, recipe
        self._transform = CompositeSpectrogram().eval()

    def background(self, rng: np.random.Generator, audio: Floats, rate_hz: int) -> Floats:
        """A varied stretch over weak noise, float32 [393216]."""
        stretch = varied_stretch(rng, audio, rate_hz, to_rate_hz=MODEL_RATE_HZ, samples=WINDOW_SAMPLES)
        hiss = coloured_noise(rng, WINDOW_SAMPLES, slope=0.3)
        return np.asarray(stretch + hiss * np.sqrt(np.mean(stretch**2)) * 10 ** (HISS_DB / 20), np.float32)

    def quiet(self, background: Floats) -> Mixed:
        """The background alone."""
        return Mixed(background, self._image(background), audible=False)

    def with_call(self, rng: np.random.Generator, background: Floats, name: str, *, snr_db: float) -> Mixed:
        """One call type over the background; the SNR is that of the picture, see `call_snr_db`."""
        stem = real_scene(rng, self._sounds, (name,), background).stems[name]
        loud = stem / np.abs(stem).max()  # far over T's own floor
        background_db, call_db = self._log_power_db(background), self._log_power_db(loud)
        gain_db = snr_db - call_snr_db(call_db, background_db)
        recipe = self._recipe
        mask = ideal_mask(call_db + gain_db, background_db, margin_db=recipe.margin_db, floor_db=recipe.floor_db)
        pcm = np.asarray(background + loud * 10 ** (gain_db / 20), np.float32)
        pcm /= max(1.0, float(np.abs(pcm).max()))
        enough = recipe.audible_pixels[CALL_TYPES.index(name)]
        return Mixed(pcm, self._image(pcm), audible=int(mask.sum()) >= enough)

    @torch.inference_mode()
    def _log_power_db(self, pcm: Floats) -> Floats:
        return np.asarray(self._transform.log_power_db(torch.tensor(pcm)[None])[0].numpy())

    @torch.inference_mode()
    def _image(self, pcm: Floats) -> NDArray[np.uint8]:
        return np.asarray(np.round(self._transform(torch.tensor(pcm)[None])[0, 0].numpy() * 255), np.uint8)


def reference_thresholds(classical: Mapping[str, Any] | None) -> dict[str, float]:
    """Thresholds of the classical detectors as `classical` chose them; empty if it has not been run."""
    if classical is None:
        return {}
    return {
        "whistle": float(classical["whistles"]["contours"]["threshold"]),
        "porpoise_click": float(classical["clicks"]["classifiers"]["energy_ratio"]["test"]["threshold"]),
    }


def reference_fires(name: str, windows: Sequence[Mixed], threshold: float) -> NDArray[np.bool_]:
    """Whether the classical detector of a call type finds one in each window, bool [n].

    Whistles: the longest contour lasts long enough. Porpoise clicks: any triggered click's ratio is high enough.
    """
    if name == "whistle":
        return np.asarray(longest_contour_s(np.stack([each.image for each in windows])) >= threshold)
    return np.array([_highest_ratio_db(each.pcm) >= threshold for each in windows])


def _highest_ratio_db(pcm: Floats) -> float:
    peaks, _ = triggers(band_passed(pcm, TRIGGER_BAND_HZ))
    if not peaks.size:
        return -np.inf
    return float(energy_ratio_db(clips_at(band_passed(pcm, CLIP_BAND_HZ), peaks)).max())


def mixed_over_real(
    model: MaskGuidedClassifier,
    calibration: Calibration,
    catalogue: Catalogue,
    *,
    recipe: WindowRecipe,
    references: Mapping[str, float],
) -> list[dict[str, Any]]:
    """Recall by recording, call type and SNR over the validation recordings, one of every group.

    Returns:
        per recording and call type: `recall` by SNR, and `false_share` of the same stretches without the call;
        where a classical detector's threshold is given, the same of it (`reference`, `reference_recall`,
        `reference_false_share`). NaN where no call stood over the recording.
    """
    mixer = Mixer(RealSounds(catalogue, "validation"), recipe)
    rows: list[dict[str, Any]] = []
    audios = catalogue.select(use="audio", part="validation")
    for recording in {recording.group: recording for recording in audios}.values():
        audio, rate_hz = read_mono(recording)
        if audio.size < rate_hz:
            continue
        for name in CALL_TYPES:
            rng = np.random.default_rng((SEED, len(rows)))
            backgrounds = [mixer.background(rng, audio, rate_hz) for _ in range(WINDOWS)]
            quiet = [mixer.quiet(background) for background in backgrounds]
            calls = [[mixer.with_call(rng, b, name, snr_db=snr_db) for b in backgrounds] for snr_db in SNRS_DB]
            row = _row(model, calibration, name=name, quiet=quiet, calls=calls, references=references)
            rows.append({"file": recording.path.name, "call_type": name, **row})
    return rows


def _row(
    model: MaskGuidedClassifier,
    calibration: Calibration,
    *,
    name: str,
    quiet: Sequence[Mixed],
    calls: Sequence[Sequence[Mixed]],
    references: Mapping[str, float],
) -> dict[str, Any]:
    k = CALL_TYPES.index(name)

    def fires(windows: Sequence[Mixed]) -> NDArray[np.bool_]:
        images = np.stack([each.image for each in windows])
        return np.asarray(score(model, images).probability(calibration)[:, k] >= calibration.enter[k])

    row: dict[str, Any] = {
        "recall": [_share(fires(windows), windows) for windows in calls],
        "false_share": float(fires(quiet).mean()),
    }
    if name in references:
        row |= {
            "reference": REFERENCES[name],
            "reference_recall": [_share(reference_fires(name, w, references[name]), w) for w in calls],
            "reference_false_share": float(reference_fires(name, quiet, references[name]).mean()),
        }
    return row


def _share(fired: NDArray[np.bool_], windows: Sequence[Mixed]) -> float:
    audible = np.array([each.audible for each in windows])
    return float(fired[audible].mean()) if audible.any() else float("nan")
