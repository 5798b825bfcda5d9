"""Simulated streams of minutes through the model, read as events: what event_metrics compares."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from seacanary.simulation import CallBouts, Rendered, Soundscape, random_scene
from seacanary_models.augment import MODEL_RATE_HZ
from seacanary_models.classifier import MaskGuidedClassifier
from seacanary_models.datasets import IMAGE_COLUMNS, row_low_hz
from seacanary_models.evaluation import Calibration, score
from seacanary_models.event_metrics import EventFigures, EventRule, Events, event_figures, joined, macro_f1
from seacanary_models.scenes import CALL_TYPES, WINDOW_SAMPLES
from seacanary_models.transforms import CompositeSpectrogram

COLUMN_S: Final = WINDOW_SAMPLES / MODEL_RATE_HZ / IMAGE_COLUMNS
HOP_COLUMNS: Final = IMAGE_COLUMNS // 2
LEAST_COLUMNS: Final = 2  # shorter is speckle
# rows that can hold a call type, as the model's contract has them
BAND_HZ: Final[Mapping[str, tuple[float, float]]] = {
    "whistle": (400.0, 20_000.0),
    "beluga_click": (30_000.0, 130_000.0),
    "porpoise_click": (110_000.0, 150_000.0),
}
# Truth and answer alike: pauses up to this are part of one event. The clicks of a train lie up to 0.3 s apart.
JOIN_S: Final[Mapping[str, float]] = {"whistle": 0.1, "beluga_click": 0.3, "porpoise_click": 0.3}


class StreamRecipe(BaseModel):
    """Which streams are listened to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(60_000, ge=0, description="of the first stream's scene; later ones count up")
    streams: int = Field(3, gt=0)
    windows: int = Field(118, gt=0, description="half-overlapping windows per stream: 118 are 61 s")
    bouts_per_min: float = Field(5.0, gt=0, description="of every call type")
    whistle_snr_db: tuple[float, float] = Field((3.0, 25.0), description="lowest and highest, see SimulatedCall")
    click_snr_db: tuple[float, float] = Field((10.0, 35.0), description="the same of clicks")
    rule: EventRule = Field(default_factory=EventRule)


class StreamFigures(BaseModel):
    """Event-level figures over simulated streams."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str = "simulated calls in simulated seas of part test; no field recording"
    seconds: float
    recipe: StreamRecipe
    call_types: dict[str, EventFigures]
    macro_f1: dict[str, float | None]


def evaluate_streams(
    model: MaskGuidedClassifier, calibration: Calibration, recipe: StreamRecipe, *, stage: Callable[[str], None]
) -> StreamFigures:
    """Listen to every stream and compare; `stage` is told what is being done."""
    truth: dict[str, list[Events]] = {name: [] for name in CALL_TYPES}
    heard: dict[str, list[Events]] = {name: [] for name in CALL_TYPES}
    for number in range(recipe.streams):
        stage(f"listening to simulated stream {number + 1} of {recipe.streams}")
        rendered = stream(recipe, number)
        images = np.stack(list(_images(rendered.samples)))
        said = score(model, images)
        probability, thresholds = said.probability(calibration), (calibration.enter, calibration.leave)
        said_events = heard_events(probability, said.masks > 0, *map(np.array, thresholds))
        true_events = call_events(rendered)
        for name in CALL_TYPES:
            truth[name].append(true_events[name])
            heard[name].append(said_events[name])
    figures = {name: event_figures(truth[name], heard[name], recipe.rule) for name in CALL_TYPES}
    return StreamFigures(
        seconds=recipe.streams * _samples(recipe) / MODEL_RATE_HZ,
        recipe=recipe,
        call_types=figures,
        macro_f1=macro_f1(figures),
    )


def stream(recipe: StreamRecipe, number: int) -> Rendered:
    """One simulated stream at 384 kHz with its true calls, on a recorder that carries them all."""
    scene = random_scene(np.random.default_rng((recipe.seed, number)), part="test")
    whistle = CallBouts(bouts_per_min=recipe.bouts_per_min, snr_db=recipe.whistle_snr_db)
    clicks = CallBouts(bouts_per_min=recipe.bouts_per_min, calls_per_bout=(1, 3), snr_db=recipe.click_snr_db)
    recorder = scene.recorder.model_copy(update={"low_pass_hz": None})
    changed = {"whistle": whistle, "beluga_click": clicks, "porpoise_click": clicks, "recorder": recorder}
    return Soundscape(scene.model_copy(update=changed), sample_rate_hz=MODEL_RATE_HZ).render(_samples(recipe))


def call_events(rendered: Rendered) -> dict[str, Events]:
    """True events by call type, clipped to the stretch, joined as heard ones are."""
    end_s = rendered.samples.size / MODEL_RATE_HZ
    events: dict[str, Events] = {}
    for name in CALL_TYPES:
        spans = [(c.onset_sample, c.offset_sample) for c in rendered.calls if c.call_type == name]
        seconds = np.array(spans, np.float64).reshape(-1, 2) / MODEL_RATE_HZ
        events[name] = joined(seconds.clip(0, end_s), gap_s=JOIN_S[name])
    return events


def heard_events(
    probability: NDArray[np.float64],
    masks: NDArray[np.bool_],
    enter: NDArray[np.float64],
    leave: NDArray[np.float64],
) -> dict[str, Events]:
    """Read events off consecutive half-overlapping windows, before presence rules (k of n, hold).

    A column belongs to a call type if in any of its windows the probability is at least `leave` and the mask has
    a pixel in the call type's rows: the service's spans, on one grid of 4 ms for the whole stream. Columns joined
    over short pauses are an event if some window that overlaps them reaches `enter`.

    Args:
        probability: [n, K], calibrated.
        masks: bool [n, 256, 256], True where the segmenter sees a call.
        enter: [K], probability that some window of an event must reach.
        leave: [K], probability that each of its windows must reach.
    """
    events: dict[str, Events] = {}
    for k, name in enumerate(CALL_TYPES):
        said = probability[:, k, None]
        active = _on_stream(masks[:, _rows(name)].any(axis=1) & (said >= leave[k]))
        runs = joined(_runs(active), gap_s=JOIN_S[name] / COLUMN_S).astype(np.int64)
        entered = _on_stream(np.broadcast_to(said >= enter[k], (len(masks), IMAGE_COLUMNS)))
        kept = [(on, off) for on, off in runs if off - on >= LEAST_COLUMNS and entered[on:off].any()]
        events[name] = np.array(kept, np.float64).reshape(-1, 2) * COLUMN_S
    return events


def _on_stream(columns: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Columns [n, 256] of half-overlapping windows on the stream's grid: True where any window has it."""
    active = np.zeros((len(columns) + 1) * HOP_COLUMNS, np.bool_)
    for number, there in enumerate(columns):
        active[number * HOP_COLUMNS : number * HOP_COLUMNS + IMAGE_COLUMNS] |= there
    return active


def _runs(active: NDArray[np.bool_]) -> Events:
    """Half-open runs of True, as float64 [n, 2] of indices."""
    edges = np.flatnonzero(np.diff(active.astype(np.int8), prepend=0, append=0))
    return edges.reshape(-1, 2).astype(np.float64)


def _rows(name: str) -> NDArray[np.bool_]:
    low_hz = row_low_hz()
    high_hz = np.append(low_hz[1:], low_hz[-1] + (low_hz[-1] - low_hz[-2]))
    return np.asarray((low_hz >= BAND_HZ[name][0]) & (high_hz <= BAND_HZ[name][1]))


def _images(samples: NDArray[np.float32]) -> Iterator[NDArray[np.uint8]]:
    transform = CompositeSpectrogram().eval()
    for start in range(0, samples.size - WINDOW_SAMPLES + 1, WINDOW_SAMPLES // 2):
        with torch.inference_mode():
            window = torch.tensor(samples[start : start + WINDOW_SAMPLES])
            image = transform(window[None])[0, 0].numpy()
        yield np.asarray(np.round(image * 255), np.uint8)


def _samples(recipe: StreamRecipe) -> int:
    return (recipe.windows + 1) * (WINDOW_SAMPLES // 2)
