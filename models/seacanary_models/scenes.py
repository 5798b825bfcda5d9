"""What one training window sounds like before it is recorded: a background and one stem per call type."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import soxr
from numpy.typing import NDArray

from seacanary.simulation import WindowMix, training_window
from seacanary_models.augment import MODEL_RATE_HZ, coloured_noise
from seacanary_models.click_stores import StoredClick, read_click_mat, read_pgdf
from seacanary_models.fpod import FpodClicks, read_fp3
from seacanary_models.porpoise_trains import (
    ClickTemplate,
    draw_train,
    part_of,
    read_template,
    render_train,
)
from seacanary_models.recordings import Catalogue, Part, Recording, read_mono, varied_stretch

CALL_TYPES = ("whistle", "beluga_click", "porpoise_click")
WINDOW_SAMPLES = 393_216
CLICK_STORE_RATE_HZ = {".pgdf": 500_000, ".mat": 96_000}
CLICK_MARGIN = 64  # samples kept around a run of stored clicks

Kind = Literal["simulated", "over_real", "real_negative", "logged_train", "stored_clicks"]
KINDS: tuple[Kind, ...] = ("simulated", "over_real", "real_negative", "logged_train", "stored_clicks")


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Sound at 384 kHz, still in parts.

    Attributes:
        background: float32 [393216].
        stems: per call type present, float32 [393216].
        weights: per call type, how far an absence of it can be trusted, 0 to 1.
        free_level: whether stems may be scaled to a drawn SNR (simulated scenes have theirs).
        quality: logger's grade of a rebuilt train, 0 to 3; None for other kinds.
    """

    kind: Kind
    background: NDArray[np.float32]
    stems: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    free_level: bool = False
    quality: int | None = None


class RealSounds:
    """The real recordings of one part, read once and kept."""

    def __init__(self, catalogue: Catalogue, part: Part) -> None:
        self._catalogue, self.part = catalogue, part

    @cached_property
    def audio(self) -> tuple[tuple[tuple[NDArray[np.float32], int], ...], ...]:
        """Audio and rate of the recordings that are a sure negative for every call type, by group."""
        groups: dict[str, list[tuple[NDArray[np.float32], int]]] = {}
        for recording in self._catalogue.select(use="audio", part=self.part):
            if min(recording.weights) > 0:
                groups.setdefault(recording.group, []).append(read_mono(recording))
        return tuple(tuple(group) for group in groups.values())

    @cached_property
    def stored_clicks(self) -> tuple[Recording, list[StoredClick]]:
        """The part's store of click waveforms."""
        recording = self._catalogue.select(use="clicks", part=self.part)[0]
        read = read_pgdf if recording.path.suffix == ".pgdf" else read_click_mat
        return recording, read(recording.path)

    @cached_property
    def log(self) -> tuple[FpodClicks, NDArray[np.int64]]:
        """The porpoise log, and the clicks of this part's days."""
        clicks = read_fp3(self._catalogue.one("detections").path)
        return clicks, part_of(clicks, self.part)

    @cached_property
    def template(self) -> ClickTemplate:
        """The reference porpoise click."""
        return read_template(self._catalogue.one("template"))


def draw_scene(
    rng: np.random.Generator, kind: Kind, sounds: RealSounds, *, none_share: float = 0.3, mix: WindowMix | None = None
) -> Scene:
    """Compose one scene of a kind; share without calls and mix are those of simulated scenes."""
    match kind:
        case "simulated":
            return _simulated(rng, sounds.part, _draw_call_types(rng, none_share=none_share), mix=mix or WindowMix())
        case "over_real":
            return _over_real(rng, sounds)
        case "real_negative":
            return Scene(kind, real_background(rng, sounds, hiss_share=0.4))
        case "logged_train":
            return _logged_train(rng, sounds)
        case "stored_clicks":
            return _stored_clicks(rng, sounds)


def real_scene(
    rng: np.random.Generator, sounds: RealSounds, call_types: tuple[str, ...], background: NDArray[np.float32]
) -> Scene:
    """Simulated calls, free to be scaled, over a given background."""
    calls = training_window(_seed(rng), call_types=call_types, part=sounds.part)
    return Scene("over_real", background, stems=calls.stems, free_level=True)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(0, 2**31))


def _draw_call_types(rng: np.random.Generator, *, none_share: float) -> tuple[str, ...]:
    if rng.random() < none_share:
        return ()
    combination = int(rng.integers(1, 2 ** len(CALL_TYPES)))
    return tuple(name for k, name in enumerate(CALL_TYPES) if combination >> k & 1)


def _simulated(rng: np.random.Generator, part: Part, call_types: tuple[str, ...], *, mix: WindowMix) -> Scene:
    rendered = training_window(_seed(rng), call_types=call_types, part=part, mix=mix)
    background = rendered.samples - sum(rendered.stems.values(), np.zeros(WINDOW_SAMPLES, np.float32))
    return Scene("simulated", background, stems=rendered.stems)


def _over_real(rng: np.random.Generator, sounds: RealSounds) -> Scene:
    background = real_background(rng, sounds, hiss_share=1.0)
    return real_scene(rng, sounds, _draw_call_types(rng, none_share=0.0), background)


def real_background(rng: np.random.Generator, sounds: RealSounds, *, hiss_share: float) -> NDArray[np.float32]:
    """A varied stretch of a real recording at a drawn level, float32 [393216]; in a share of draws with
    noise over the whole band."""
    group = sounds.audio[int(rng.integers(len(sounds.audio)))]
    audio, rate_hz = group[int(rng.integers(len(group)))]
    stretch = varied_stretch(rng, audio, rate_hz, to_rate_hz=MODEL_RATE_HZ, samples=WINDOW_SAMPLES)
    level = 10 ** (rng.uniform(-55, -12) / 20)
    scaled = stretch * np.float32(level / max(float(np.sqrt(np.mean(stretch**2))), 1e-6))
    if rng.random() >= hiss_share:
        return scaled
    hiss = coloured_noise(rng, WINDOW_SAMPLES, slope=float(rng.uniform(0, 0.7)))
    return scaled + hiss * np.float32(level * 10 ** (rng.uniform(-45, -5) / 20))


def _logged_train(rng: np.random.Generator, sounds: RealSounds) -> Scene:
    clicks, chosen = sounds.log
    train = draw_train(rng, clicks, chosen, window_s=WINDOW_SAMPLES / MODEL_RATE_HZ)
    pcm = render_train(rng, train, sounds.template, sample_rate_hz=MODEL_RATE_HZ, samples=WINDOW_SAMPLES)
    background = (
        real_background(rng, sounds, hiss_share=1.0)
        if rng.random() < 0.4
        else _simulated(rng, sounds.part, (), mix=WindowMix()).background
    )
    stems = {"porpoise_click": pcm}
    return Scene("logged_train", background, stems=stems, free_level=True, quality=train.quality)


def _stored_clicks(rng: np.random.Generator, sounds: RealSounds) -> Scene:
    """A stretch of a click store, each click where it was, over noise as loud as the store's own."""
    recording, clicks = sounds.stored_clicks
    rate_hz = CLICK_STORE_RATE_HZ[recording.path.suffix]
    length = WINDOW_SAMPLES * rate_hz // MODEL_RATE_HZ + CLICK_MARGIN
    first = clicks[int(rng.integers(len(clicks)))].start_sample - int(rng.integers(length))
    stretch = np.zeros(length, np.float32)
    for click in clicks:
        at = click.start_sample - first
        if 0 <= at < length - click.samples.size:
            stretch[at : at + click.samples.size] += click.samples
    pcm = np.asarray(soxr.resample(stretch, rate_hz, MODEL_RATE_HZ), np.float32)[:WINDOW_SAMPLES]
    pcm = np.pad(pcm, (0, WINDOW_SAMPLES - pcm.size)) * np.float32(10 ** (rng.uniform(-25, 10) / 20))
    hiss = coloured_noise(rng, WINDOW_SAMPLES, slope=float(rng.uniform(0, 0.6)))
    background = pcm + hiss * np.float32(10 ** (rng.uniform(-75, -35) / 20))
    return Scene("stored_clicks", background, weights=recording.weights)
