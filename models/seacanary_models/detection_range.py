"""How far the model hears: recall against SNR, and against simulated range in metres (see received_calls)."""

import zlib
from collections.abc import Callable, Sequence
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from seacanary_models.classifier import MaskGuidedClassifier
from seacanary_models.evaluation import Calibration, score
from seacanary_models.metrics import binned_recall
from seacanary_models.received_calls import EMISSIONS, NoiseName, windows_at_ranges
from seacanary_models.scenes import CALL_TYPES
from seacanary_models.transforms import CompositeSpectrogram

HALF: Final = 0.5


class RangeRecipe(BaseModel):
    """How the curves are measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(70_000, ge=0)
    windows: int = Field(30, gt=0, description="per point; the same calls and noise at every range")
    call_types: tuple[str, ...] = CALL_TYPES
    noises: tuple[NoiseName, ...] = ("low", "medium", "high")


class RangePoint(BaseModel):
    """One range."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    range_m: float
    windows: int
    recall: float
    snr_db: float = Field(description="median of the windows', as SimulatedCall defines it")


class RangeCurve(BaseModel):
    """Recall against range for one call type in one sea."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    call_type: str
    noise: NoiseName
    points: tuple[RangePoint, ...]
    half_recall_m: float | None = Field(description="farthest range with recall 0.5; None: see `half_recall`")
    half_recall: Literal["within", "beyond", "never"] = Field(
        description="beyond: recall is still 0.5 at the farthest range; never: no range reaches it"
    )


class DetectionRange(BaseModel):
    """All curves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str = "simulated calls, source levels from the literature, simulated seas; not measured at sea"
    recipe: RangeRecipe
    source_db: dict[str, tuple[float, float]]
    spreading_db_per_decade: dict[str, float]
    curves: tuple[RangeCurve, ...]


def detection_range(
    model: MaskGuidedClassifier, calibration: Calibration, recipe: RangeRecipe, *, stage: Callable[[str], None]
) -> DetectionRange:
    """Measure every curve; `stage` is told what is being done."""
    curves = []
    for noise in recipe.noises:
        for name in recipe.call_types:
            stage(f"placing {name} at {len(EMISSIONS[name].ranges_m)} ranges in {noise} noise")
            curves.append(_curve(model, calibration, recipe, name=name, noise=noise))
    return DetectionRange(
        recipe=recipe,
        source_db={name: EMISSIONS[name].source_db for name in recipe.call_types},
        spreading_db_per_decade={name: EMISSIONS[name].spreading_db for name in recipe.call_types},
        curves=tuple(curves),
    )


def recall_by_snr(
    probability: NDArray[np.floating],
    truth: NDArray[np.bool_],
    snr_db: NDArray[np.floating],
    *,
    thresholds: Sequence[float],
    edges_db: tuple[float, ...],
) -> dict[str, list[dict[str, float]]]:
    """Recall in half-open bins of SNR by call type.

    Args:
        probability: [n, K].
        truth: bool [n, K].
        snr_db: [n, K]; looked at only where the call type is there.
        thresholds: [K].
        edges_db: rising.
    """
    return {
        name: binned_recall(probability[truth[:, k], k], thresholds[k], snr_db[truth[:, k], k], edges_db)
        for k, name in enumerate(CALL_TYPES)
    }


def half_recall(points: Sequence[RangePoint]) -> tuple[float | None, Literal["within", "beyond", "never"]]:
    """Range at which recall falls through 0.5 for good, interpolated over log range."""
    over = [number for number, point in enumerate(points) if point.recall >= HALF]
    if not over:
        return None, "never"
    if over[-1] == len(points) - 1:
        return None, "beyond"
    near, far = points[over[-1]], points[over[-1] + 1]
    part = (near.recall - HALF) / (near.recall - far.recall)
    return float(near.range_m * (far.range_m / near.range_m) ** part), "within"


def _curve(
    model: MaskGuidedClassifier, calibration: Calibration, recipe: RangeRecipe, *, name: str, noise: NoiseName
) -> RangeCurve:
    k, ranges_m = CALL_TYPES.index(name), EMISSIONS[name].ranges_m
    transform = CompositeSpectrogram().eval()
    images, snrs_db = [], []
    for window in range(recipe.windows):
        for pcm, snr_db in windows_at_ranges(name, noise, ranges_m, seed=_seed(recipe, name, window)):
            images.append(_image(transform, pcm))
            snrs_db.append(snr_db)
    probability = score(model, np.stack(images)).probability(calibration)[:, k]
    fired = (probability >= calibration.enter[k]).reshape(recipe.windows, -1)
    median_db = np.median(np.reshape(snrs_db, (recipe.windows, -1)), axis=0)
    points = tuple(
        RangePoint(range_m=range_m, windows=recipe.windows, recall=float(recall), snr_db=round(float(snr_db), 1))
        for range_m, recall, snr_db in zip(ranges_m, fired.mean(axis=0), median_db, strict=True)
    )
    half_m, how = half_recall(points)
    return RangeCurve(call_type=name, noise=noise, points=points, half_recall_m=half_m, half_recall=how)


def _seed(recipe: RangeRecipe, name: str, window: int) -> int:
    return zlib.crc32(f"{recipe.seed} {name} {window}".encode())


@torch.inference_mode()
def _image(transform: CompositeSpectrogram, pcm: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.round(transform(torch.from_numpy(pcm)[None])[0, 0].numpy() * 255), np.uint8)
