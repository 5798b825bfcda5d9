"""Training windows: seeded images with masks, targets and weights, made once and kept in shards."""

import hashlib
import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from seacanary.contract import ImageRows
from seacanary.simulation import WindowMix
from seacanary_models.augment import Recorder, draw_recorder, record
from seacanary_models.masks import ideal_mask
from seacanary_models.recordings import Catalogue, Part, read_catalogue
from seacanary_models.scenes import CALL_TYPES, KINDS, WINDOW_SAMPLES, Kind, RealSounds, Scene, draw_scene
from seacanary_models.transforms import TRANSFORM, CompositeSpectrogram

IMAGE_ROWS = sum(rows.count for rows in TRANSFORM.rows)
IMAGE_COLUMNS = TRANSFORM.columns
# A recorder slower than this cannot carry the call type: where one was played, nobody can say.
MIN_SAMPLE_RATE_HZ = (16_000, 96_000, 300_001)
LOUD_WITHIN_DB = 12.0  # pixels this near the call's loudest tell its SNR


class WindowRecipe(BaseModel):
    """How windows are drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(1, ge=0, description="with a window's number, it decides everything in the window")
    shares: tuple[float, ...] = Field(
        (0.42, 0.25, 0.17, 0.1, 0.06), description="share of each kind of scene, in the order of KINDS"
    )
    none_share: float = Field(0.3, description="share of simulated scenes without any call")
    negative_share: float = Field(0.35, description="share of simulated scenes with hard negatives")
    audible_share: float = Field(0.5, description="share of recorders of 16 to 48 kHz, where no click is played")
    audible_share_clicks: float = Field(0.2, description="the same, where clicks are played")
    snr_db: tuple[float, float] = Field((2.0, 32.0), description="SNR drawn for calls played over recordings")
    margin_db: float = Field(4.0, description="a mask pixel is this much over its background")
    floor_db: float = Field(-115.0, description="a mask pixel is over this, dB re full scale")
    audible_pixels: tuple[int, int, int] = Field(
        (24, 12, 12), description="mask pixels that make a call type present; fewer: left out of the loss"
    )

    @property
    def mix(self) -> WindowMix:
        """How often and how loud things are in simulated scenes."""
        return WindowMix(negative_share=self.negative_share)


class LoudRecipe(WindowRecipe):
    """Windows whose simulated calls are as loud as near animals are, to the edge of clipping."""

    whistle_db: tuple[float, float] = Field((20.0, 50.0), description="SNR of simulated whistles")
    click_db: tuple[float, float] = Field((28.0, 60.0), description="SNR of simulated clicks")

    @property
    def mix(self) -> WindowMix:
        """How often and how loud things are in simulated scenes."""
        return WindowMix(
            whistle_db=self.whistle_db, click_db=self.click_db, faint_rarer=False, negative_share=self.negative_share
        )


@dataclass(frozen=True, slots=True, eq=False)
class LabelledWindow:
    """One training example.

    Attributes:
        image: uint8 [256, 256], 255 = the top of T's range.
        marks: uint8 [256, 256], bit k set where a call of type k is heard.
        targets: float32 [K], 1 where the call type is heard.
        weights: float32 [K], 0 where nobody can say.
        snr_db: float32 [K], NaN where the call type is not played.
    """

    image: NDArray[np.uint8]
    marks: NDArray[np.uint8]
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]
    snr_db: NDArray[np.float32]
    kind: Kind
    rate_hz: int
    quality: int | None


class WindowSource:
    """Makes window number i of a part; the same number always gives the same window."""

    def __init__(self, catalogue: Catalogue, part: Part, recipe: WindowRecipe) -> None:
        self._recipe, self._part = recipe, part
        self._sounds = RealSounds(catalogue, part)
        self._transform = CompositeSpectrogram().eval()

    def window(self, index: int) -> LabelledWindow:
        """Draw a kind, a scene and a recorder from the index alone."""
        part_number = ("train", "validation").index(self._part)
        rng = np.random.default_rng((self._recipe.seed, part_number, index))
        kind: Kind = KINDS[int(rng.choice(len(KINDS), p=self._recipe.shares))]
        scene = draw_scene(rng, kind, self._sounds, none_share=self._recipe.none_share, mix=self._recipe.mix)
        clicks = any(name != "whistle" for name in scene.stems)
        share = self._recipe.audible_share_clicks if clicks else self._recipe.audible_share
        recorder = draw_recorder(rng, audible_share=share)
        return self.label(scene, recorder, snr_db=float(rng.uniform(*self._recipe.snr_db)))

    def label(self, scene: Scene, recorder: Recorder, *, snr_db: float) -> LabelledWindow:
        """Mix a scene, record it, and mark what is heard of each call."""
        names = [name for name in CALL_TYPES if name in scene.stems]
        stems = [scene.stems[name] for name in names]
        if scene.free_level:  # from full scale downwards, so that T's own floor is never lifted into a mask
            stems = [stem / np.abs(stem).max() for stem in stems]
        sounds = np.stack([scene.background, *stems])
        levels_db = self._log_power_db(sounds)
        background_db, mix = levels_db[0], scene.background.copy()
        marks = np.zeros((IMAGE_ROWS, IMAGE_COLUMNS), np.uint8)
        snrs = np.full(len(CALL_TYPES), np.nan, np.float32)
        heard = _heard(recorder)
        for name, stem, call_db in zip(names, sounds[1:], levels_db[1:], strict=True):
            gain_db = snr_db - call_snr_db(call_db, background_db) if scene.free_level else 0.0
            mix += stem * np.float32(10 ** (gain_db / 20))
            k = CALL_TYPES.index(name)
            snrs[k] = call_snr_db(call_db + gain_db, background_db)
            marks |= (self._mask(call_db + gain_db, background_db) & heard).astype(np.uint8) << k
        image = self._image(record(_within_full_scale(mix), recorder))
        targets, weights = self._targets(scene, recorder, marks)
        return LabelledWindow(image, marks, targets, weights, snrs, scene.kind, recorder.rate_hz, scene.quality)

    def image(self, pcm: NDArray[np.float32]) -> NDArray[np.uint8]:
        """T's image of one window, as bytes."""
        return self._image(pcm)

    def _mask(self, call_db: NDArray[np.float32], background_db: NDArray[np.float32]) -> NDArray[np.bool_]:
        recipe = self._recipe
        mask = ideal_mask(call_db, background_db, margin_db=recipe.margin_db, floor_db=recipe.floor_db)
        return np.asarray(mask, np.bool_)

    def _targets(
        self, scene: Scene, recorder: Recorder, marks: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        targets = np.zeros(len(CALL_TYPES), np.float32)
        weights = np.array(scene.weights, np.float32)
        for k, name in enumerate(CALL_TYPES):
            if name not in scene.stems:
                continue
            enough = int((marks >> k & 1).sum()) >= self._recipe.audible_pixels[k]
            targets[k] = enough and recorder.rate_hz >= MIN_SAMPLE_RATE_HZ[k]
            weights[k] = targets[k]
        return targets, weights

    @torch.inference_mode()
    def _log_power_db(self, pcm: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(self._transform.log_power_db(torch.from_numpy(pcm)).numpy())

    @torch.inference_mode()
    def _image(self, pcm: NDArray[np.float32]) -> NDArray[np.uint8]:
        image = self._transform(torch.from_numpy(pcm)[None])[0, 0].numpy()
        return np.asarray(np.round(image * 255), np.uint8)


def call_snr_db(call_db: NDArray[np.float32], background_db: NDArray[np.float32]) -> float:
    """SNR of a call in the picture: median over its loud pixels of its level above the background, dB."""
    loud = call_db > call_db.max() - LOUD_WITHIN_DB
    return float(np.median(call_db[loud] - background_db[loud]))


def _within_full_scale(mix: NDArray[np.float32]) -> NDArray[np.float32]:
    peak = float(np.abs(mix).max())
    return mix if peak <= 1.5 else mix * np.float32(1.5 / peak)  # a little clipping is part of life


def row_low_hz() -> NDArray[np.float64]:
    """Lower edge of every image row, hertz [256]."""
    return np.concatenate([_run_low_hz(rows) for rows in TRANSFORM.rows])


def _run_low_hz(rows: ImageRows) -> NDArray[np.float64]:
    return rows.low_hz + rows.step_hz * np.arange(rows.count, dtype=np.float64)


def _heard(recorder: Recorder) -> NDArray[np.bool_]:
    kept_columns = int(recorder.kept_share * IMAGE_COLUMNS)
    return (row_low_hz() < recorder.band_end_hz)[:, None] & (np.arange(IMAGE_COLUMNS) < kept_columns)[None]


@dataclass(frozen=True, slots=True, eq=False)
class WindowSet:
    """Many labelled windows, stacked; the attributes are those of LabelledWindow with a first axis [n]."""

    image: NDArray[np.uint8]
    marks: NDArray[np.uint8]
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]
    snr_db: NDArray[np.float32]
    kind: NDArray[np.int64]
    rate_hz: NDArray[np.int64]
    quality: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.image)


@dataclass(frozen=True)
class ShardPlan:
    """Which windows to make, and where to keep them."""

    audio_folder: Path
    part: Part
    recipe: WindowRecipe
    windows: int
    cache: Path
    shard_windows: int = 64

    @cached_property
    def folder(self) -> Path:
        """Folder of the shards: named after everything that decides what is in them."""
        digest = read_catalogue(self.audio_folder).digest
        key = hashlib.sha256(f"{digest} {self.part} {self.recipe.model_dump_json()}".encode()).hexdigest()
        return self.cache / f"windows-{self.part}-{key[:12]}"

    def shard(self, number: int) -> Path:
        """File of one shard."""
        return self.folder / f"shard-{number:05d}.npz"

    @property
    def shards(self) -> int:
        """Number of shards: the last may hold more windows than asked for."""
        return -(-self.windows // self.shard_windows)


def make_shards(plan: ShardPlan, *, workers: int) -> Iterator[int]:
    """Make the shards that are not there yet; yields the number of each once it is on disk."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    wanted = [number for number in range(plan.shards) if not plan.shard(number).exists()]
    yield from (number for number in range(plan.shards) if number not in wanted)
    if not wanted:
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(partial(_make_shard, plan), wanted)


def load_windows(plan: ShardPlan) -> WindowSet:
    """Read the plan's shards.

    Raises:
        FileNotFoundError: a shard has not been made.
    """
    shards = [np.load(plan.shard(number)) for number in range(plan.shards)]
    columns = {name: np.concatenate([shard[name] for shard in shards]) for name in WindowSet.__slots__}
    return WindowSet(**{name: column[: plan.windows] for name, column in columns.items()})


@cache
def _source(plan: ShardPlan) -> WindowSource:
    """A worker's own source: reading the recordings once is enough."""
    torch.set_num_threads(1)
    return WindowSource(read_catalogue(plan.audio_folder), plan.part, plan.recipe)


def _make_shard(plan: ShardPlan, number: int) -> int:
    source = _source(plan)
    first = number * plan.shard_windows
    windows = stack([source.window(index) for index in range(first, first + plan.shard_windows)])
    unfinished = plan.shard(number).with_suffix(".part.npz")
    np.savez(unfinished, **{name: getattr(windows, name) for name in WindowSet.__slots__})
    unfinished.rename(plan.shard(number))
    return number


def stack(windows: list[LabelledWindow]) -> WindowSet:
    """Put windows side by side; kinds become their index in KINDS, a missing quality -1."""
    arrays = {
        name: np.stack([getattr(window, name) for window in windows])
        for name in ("image", "marks", "targets", "weights", "snr_db")
    }
    return WindowSet(
        **arrays,
        kind=np.array([KINDS.index(window.kind) for window in windows]),
        rate_hz=np.array([window.rate_hz for window in windows]),
        quality=np.array([-1 if window.quality is None else window.quality for window in windows]),
    )


def real_windows(audio: NDArray[np.float32], *, hop: int = WINDOW_SAMPLES // 2) -> list[NDArray[np.float32]]:
    """Windows as the service cuts them from a whole file at 384 kHz: half overlapping, the last at its end."""
    if audio.size <= WINDOW_SAMPLES:
        return [np.pad(audio, (0, WINDOW_SAMPLES - audio.size))]
    starts = list(range(0, audio.size - WINDOW_SAMPLES + 1, hop))
    if starts[-1] + WINDOW_SAMPLES < audio.size:
        starts.append(audio.size - WINDOW_SAMPLES)
    return [audio[start : start + WINDOW_SAMPLES] for start in starts]
