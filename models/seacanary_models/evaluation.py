"""Calibrates M and says how well it hears: per call type, per SNR, per quality, per minute of real noise."""

import math
from dataclasses import dataclass
from hashlib import sha256
from typing import TypedDict

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from seacanary_models.augment import MODEL_RATE_HZ
from seacanary_models.calibration import abstain_band, conformal_threshold
from seacanary_models.classifier import MaskGuidedClassifier
from seacanary_models.datasets import MIN_SAMPLE_RATE_HZ, WindowSet, WindowSource, real_windows
from seacanary_models.metrics import (
    average_precision,
    binned_recall,
    expected_calibration_error,
    fit_temperature,
    mask_iou,
    precision_recall,
    roc_auc,
)
from seacanary_models.recordings import Catalogue, Part, read_mono
from seacanary_models.scenes import CALL_TYPES, KINDS

SNR_EDGES_DB = (-30.0, 0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 60.0)
THRESHOLDS = (0.3, 0.5, 0.7, 0.9)
BATCH = 32
# A third of the simulated windows without a call hold a sound made to be mistaken for one, and the real
# training recordings hold the hardest we have: bats, seals. One window that fires is not yet a presence.
FALSE_SHARE = 0.03
FALSE_SHARE_REAL = 0.0
# Windows with a hard negative in every one, as dense as no sea has them: what opens a presence there is told
# to people at night.
FALSE_SHARE_NEGATIVES = 0.01
LOWEST_ENTER, HIGHEST_ENTER = 0.5, 0.995
ENTER_STEPS = 200  # thresholds are multiples of 1/200
ABSTAIN_ERROR = 0.05  # of the calls and of the windows without one that may lie on the wrong side of the band


class Calibration(BaseModel):
    """What is fixed after training, never looking at the validation recordings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: tuple[float, ...] = Field(description="per call type, divides the logits")
    enter: tuple[float, ...] = Field(description="per call type, calibrated probability that opens a presence")
    leave: tuple[float, ...] = Field(description="per call type, below which it may close")
    abstain: dict[str, tuple[float, float]] = Field(
        default_factory=dict, description="call type -> probabilities [low, high) at which the model does not know"
    )

    @property
    def digest(self) -> str:
        """Four hex digits over everything here: the same weights read otherwise are another model."""
        return sha256(self.model_dump_json().encode()).hexdigest()[:4]


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What the model said of many windows.

    Attributes:
        logits: float32 [n, K], uncalibrated.
        masks: uint8 [n, 256, 256], 1 where the segmenter sees a call.
    """

    logits: NDArray[np.float32]
    masks: NDArray[np.uint8]

    def probability(self, calibration: Calibration) -> NDArray[np.float64]:
        """Calibrated probability, [n, K]."""
        logits = self.logits / np.array(calibration.temperature, np.float64)
        return np.asarray(1 / (1 + np.exp(-logits)))


@torch.inference_mode()
def score(model: MaskGuidedClassifier, images: NDArray[np.uint8], *, mask_threshold: float = 0.5) -> Scores:
    """Run M over uint8 images [n, 256, 256]."""
    logits, masks = [], []
    for first in range(0, len(images), BATCH):
        batch = torch.from_numpy(images[first : first + BATCH][:, None].astype(np.float32) / 255)
        output = model(batch.to(memory_format=torch.channels_last))
        logits.append(output.call_logits.float().numpy())
        call = output.mask_logits.float().softmax(dim=1)[:, 1]
        masks.append((call > mask_threshold).to(torch.uint8).numpy())
    return Scores(np.concatenate(logits), np.concatenate(masks))


@dataclass(frozen=True, slots=True, eq=False)
class RealNoise:
    """Every window of one real recording, cut as the service cuts them.

    Attributes:
        images: uint8 [n, 256, 256].
        duration_s: how much was listened to.
    """

    name: str
    part: str
    sample_rate_hz: int
    duration_s: float
    weights: tuple[float, float, float]
    images: NDArray[np.uint8]


def real_noise(catalogue: Catalogue, part: Part, source: WindowSource) -> list[RealNoise]:
    """All audio of a part at the model's rate, none of it holding a target call."""
    noises = []
    for recording in catalogue.select(use="audio", part=part):
        audio, rate_hz = read_mono(recording)
        at_model_rate = np.asarray(soxr.resample(audio, rate_hz, MODEL_RATE_HZ), np.float32)
        images = np.stack([source.image(pcm) for pcm in real_windows(at_model_rate)])
        noises.append(RealNoise(recording.path.name, part, rate_hz, audio.size / rate_hz, recording.weights, images))
    return noises


def calibrate(
    windows: WindowSet,
    scores: Scores,
    noise_logits: NDArray[np.float32],
    negative_logits: NDArray[np.float32],
) -> Calibration:
    """Fit temperatures and choose thresholds.

    Each `enter` is the lowest multiple of 0.005 from 0.500 to 0.995 that a simulated window without the call
    reaches with a probability of at most FALSE_SHARE, and one full of hard negatives of at most
    FALSE_SHARE_NEGATIVES (split conformal prediction, see `calibration`), and that no more than
    FALSE_SHARE_REAL of the real training recordings' windows reach; `leave` is six tenths of it.
    Too few windows to bound those shares give 0.995.

    Args:
        windows: labelled windows.
        scores: what the model says of them.
        noise_logits: float32 [m, K], of real training recordings without any call.
        negative_logits: float32 [q, K], of simulated windows of hard negatives without any call.
    """
    temperatures, enters, abstain = [], [], {}
    for k, name in enumerate(CALL_TYPES):
        sure = windows.weights[:, k] > 0
        truth = windows.targets[sure, k] > 0
        logits = scores.logits[sure, k]
        temperature = round(fit_temperature(logits, truth, np.ones(truth.size)), 4)
        probability = 1 / (1 + np.exp(-logits.astype(np.float64) / temperature))
        noise = 1 / (1 + np.exp(-noise_logits[:, k].astype(np.float64) / temperature))
        negatives = 1 / (1 + np.exp(-negative_logits[:, k].astype(np.float64) / temperature))
        enters.append(_lowest_threshold(probability[~truth], noise, negatives))
        temperatures.append(temperature)
        band = _abstain_band(probability, truth, enter=enters[-1])
        if band is not None:
            abstain[name] = band
    return Calibration(
        temperature=tuple(temperatures),
        enter=tuple(enters),
        leave=tuple(round(0.6 * enter, 3) for enter in enters),
        abstain=abstain,
    )


def _lowest_threshold(quiet: NDArray[np.float64], noise: NDArray[np.float64], negatives: NDArray[np.float64]) -> float:
    if quiet.size < 1 / FALSE_SHARE - 1 or negatives.size < 1 / FALSE_SHARE_NEGATIVES - 1:
        return HIGHEST_ENTER
    bounds = conformal_threshold(quiet, alpha=FALSE_SHARE), conformal_threshold(negatives, alpha=FALSE_SHARE_NEGATIVES)
    lowest = max(LOWEST_ENTER, *bounds)
    for step in range(int(np.ceil(ENTER_STEPS * lowest)), round(ENTER_STEPS * HIGHEST_ENTER)):
        if (noise >= step / ENTER_STEPS).mean() <= FALSE_SHARE_REAL:
            return step / ENTER_STEPS
    return HIGHEST_ENTER


def _abstain_band(
    probability: NDArray[np.float64], truth: NDArray[np.bool_], *, enter: float
) -> tuple[float, float] | None:
    """The band to five places; None: the model can tell, or there are too few windows to say where it cannot."""
    if min(truth.sum(), (~truth).sum()) < 1 / ABSTAIN_ERROR - 1:
        return None
    band = abstain_band(probability, truth, error=ABSTAIN_ERROR, enter=enter)
    return None if band is None else (round(band[0], 5), round(band[1], 5))


def evaluate_windows(windows: WindowSet, scores: Scores, calibration: Calibration) -> dict[str, object]:
    """Figures per call type on labelled windows, all kinds of scene together and apart."""
    probability = scores.probability(calibration)
    by_type = {
        name: _call_type_figures(windows, probability[:, k], calibration.enter[k], k)
        for k, name in enumerate(CALL_TYPES)
    }
    iou = mask_iou(scores.masks > 0, windows.marks > 0)
    marked = windows.marks.any(axis=(1, 2))
    both = ((scores.masks > 0) & (windows.marks > 0)).sum()
    either = ((scores.masks > 0) | (windows.marks > 0)).sum()
    return {
        "windows": len(windows),
        "call_types": by_type,
        "mask_iou_mean_where_calls": float(iou[marked].mean()) if marked.any() else math.nan,
        "mask_iou_pooled": float(both / max(1, either)),
        "mask_pixels_per_quiet_window": _mean_pixels(scores.masks[~marked]),
    }


def _mean_pixels(masks: NDArray[np.uint8]) -> float:
    return float((masks > 0).sum(axis=(1, 2)).mean()) if len(masks) else math.nan


def _call_type_figures(windows: WindowSet, probability: NDArray[np.float64], enter: float, k: int) -> dict[str, object]:
    sure = windows.weights[:, k] > 0
    truth, scores = windows.targets[sure, k] > 0, probability[sure]
    played = (windows.targets[:, k] > 0) & sure
    negatives = sure & (windows.targets[:, k] == 0)
    return {
        "positives": int(truth.sum()),
        "negatives": int((~truth).sum()),
        "average_precision": average_precision(scores, truth),
        "roc_auc": roc_auc(scores, truth),
        "calibration_error": expected_calibration_error(scores, truth),
        "at_enter": {"threshold": enter, **precision_recall(scores, truth, enter)},
        "at_threshold": {str(t): precision_recall(scores, truth, t) for t in THRESHOLDS},
        "recall_by_snr_db": {
            kind: binned_recall(
                probability[played & (windows.kind == number)],
                enter,
                windows.snr_db[played & (windows.kind == number), k],
                SNR_EDGES_DB,
            )
            for number, kind in enumerate(KINDS)
            if (played & (windows.kind == number)).any()
        },
        "recall_by_recorder": {
            label: float((probability[played & reach] >= enter).mean())
            for label, reach in _recorders(windows).items()
            if (played & reach).any()
        },
        "false_positive_share_by_kind": {
            kind: float((probability[negatives & (windows.kind == number)] >= enter).mean())
            for number, kind in enumerate(KINDS)
            if (negatives & (windows.kind == number)).any()
        },
    }


def _recorders(windows: WindowSet) -> dict[str, NDArray[np.bool_]]:
    return {
        "up to 24 kHz": windows.rate_hz <= 24_000,
        "32 to 48 kHz": (windows.rate_hz > 24_000) & (windows.rate_hz <= 48_000),
        "96 to 300 kHz": (windows.rate_hz > 48_000) & (windows.rate_hz <= 300_000),
        "over 300 kHz": windows.rate_hz > 300_000,
    }


def evaluate_trains(windows: WindowSet, scores: Scores, calibration: Calibration) -> list[dict[str, float]]:
    """Recall of porpoise trains rebuilt from the log, by the logger's quality class, where they are audible."""
    k = CALL_TYPES.index("porpoise_click")
    probability = scores.probability(calibration)[:, k]
    trains = (windows.kind == KINDS.index("logged_train")) & (windows.targets[:, k] > 0)
    rows: list[dict[str, float]] = []
    for quality in range(4):
        chosen = trains & (windows.quality == quality)
        if chosen.any():
            recall = float((probability[chosen] >= calibration.enter[k]).mean())
            rows.append({"quality": quality, "windows": int(chosen.sum()), "recall": recall})
    return rows


class NoiseRow(TypedDict):
    """False alarms on one real recording, by call type its rate can carry."""

    file: str
    part: str
    sample_rate_hz: int
    duration_s: float
    windows: int
    sure_negative: bool
    false_positive_windows: dict[str, int]
    highest_probability: dict[str, float]
    unobserved: list[str]


def evaluate_noise(noise: RealNoise, logits: NDArray[np.float32], calibration: Calibration) -> NoiseRow:
    """False alarms on one real recording: windows over `enter`, for the call types its rate can carry."""
    said = Scores(logits, np.zeros((0, 0, 0), np.uint8)).probability(calibration)
    heard = [k for k, rate in enumerate(MIN_SAMPLE_RATE_HZ) if noise.sample_rate_hz >= rate]
    fired = said >= np.array(calibration.enter)
    return {
        "file": noise.name,
        "part": noise.part,
        "sample_rate_hz": noise.sample_rate_hz,
        "duration_s": round(noise.duration_s, 2),
        "windows": len(noise.images),
        "sure_negative": min(noise.weights) > 0,
        "false_positive_windows": {CALL_TYPES[k]: int(fired[:, k].sum()) for k in heard},
        "highest_probability": {CALL_TYPES[k]: round(float(said[:, k].max()), 4) for k in heard},
        "unobserved": [name for k, name in enumerate(CALL_TYPES) if k not in heard],
    }


def summarise_noise(rows: list[NoiseRow], *, part: str) -> dict[str, float]:
    """False alarms of all sure negatives of a part together, those apart whose rate carries no call type."""
    chosen = [row for row in rows if row["part"] == part and row["sure_negative"] and row["false_positive_windows"]]
    fired = sum(sum(row["false_positive_windows"].values()) for row in chosen)
    minutes = sum(row["duration_s"] for row in chosen) / 60
    return {
        "minutes": round(minutes, 2),
        "windows": sum(row["windows"] for row in chosen),
        "false_positives": fired,
        "false_positives_per_minute": round(fired / minutes, 3) if minutes else 0.0,
    }
