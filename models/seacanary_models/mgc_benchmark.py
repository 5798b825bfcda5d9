"""The benchmark: simulated windows in fixed parts, the eight combinations of call types equally often.

Every window is named by its part and number; `benchmarks/mgc/benchmark.json` states the hashes of what they
must come out as. Whistles have 3-25 dB SNR within their own band and duration, clicks peak 10-35 dB over the
RMS of the noise in their call type's band (10-110 kHz, 110-150 kHz), as a click detector's filter hears it;
60 % of windows have ship, rain, ice or flow noise and 25 % a hard negative.

Part `test` draws from other seeds than `train` and `validation`, and ships, seas and recorders from shifted
ranges: those of the flow noise's slope and of the recorder's bits do not overlap, the others do in part, and
some things are drawn alike (see simulation.variety.random_scene). `unseen_noise` adds what no other part has: ice
as ambient noise (melting, cracking), and as hard negatives the kinds of HELD_OUT alone; single ice cracks are a
hard negative in the other simulated parts. `unseen_recorder` is heard through coarser, more resonant, humming
instruments (see simulation.variety.foreign_recorder). `real` lays simulated calls over the validation part of the
real recordings; combination 0 is the recording alone.
"""

import hashlib
import multiprocessing
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from seacanary.simulation import NEGATIVES, Rendered, WindowMix, training_window
from seacanary_models.alternative_transforms import SHIFTED, VARIED, alternative_image
from seacanary_models.datasets import WindowRecipe, call_snr_db
from seacanary_models.masks import ideal_mask
from seacanary_models.recordings import read_catalogue
from seacanary_models.scenes import CALL_TYPES, RealSounds, real_background, real_scene
from seacanary_models.transforms import CompositeSpectrogram

BenchmarkPart = Literal["train", "validation", "test", "unseen_noise", "unseen_recorder", "real"]

SIZES: Final[dict[BenchmarkPart, int]] = {
    "train": 4096,
    "validation": 512,
    "test": 4096,
    "unseen_noise": 1024,
    "unseen_recorder": 1024,
    "real": 768,
}
SEED: Final = 40_000_000
COMBINATIONS: Final[int] = 2 ** len(CALL_TYPES)
MARGIN_DB: Final = 4.0
REAL_SNR_DB: Final = (6.0, 30.0)
# Kinds that only `unseen_noise` has; near misses of other species stay out of the benchmark altogether.
HELD_OUT: Final = frozenset({"sonar_ping", "snapping", "pile_strike", "siren", "spikes"})
NEAR_MISSES: Final = frozenset({"orca_call", "delphinid_clicks"})
SHARD_WINDOWS: Final = 64

_MIX: Final = WindowMix(
    whistle_db=(3.0, 25.0),
    click_db=(10.0, 35.0),
    click_noise_band_hz={"beluga_click": (10_000.0, 110_000.0), "porpoise_click": (110_000.0, 150_000.0)},
    faint_rarer=False,
    always_noisy=True,
    negative_share=0.25,
    without=HELD_OUT | NEAR_MISSES,
    ice=False,
)
MIXES: Final[dict[str, WindowMix]] = {
    "train": _MIX,
    "validation": _MIX,
    "test": _MIX,
    "unseen_noise": replace(_MIX, negative_share=0.6, without=frozenset(NEGATIVES) - HELD_OUT, ice=True),
    "unseen_recorder": replace(_MIX, foreign_recorder=True),
}


@dataclass(frozen=True, slots=True, eq=False)
class BenchmarkWindows:
    """Windows of one part, stacked.

    Attributes:
        image: uint8 [n, 256, 256], T's.
        other_image: uint8 [n, 256, 256], through one of VARIED in part train, else through SHIFTED.
        marks: uint8 [n, 256, 256], bit k set where a call of type k stands out.
        combination: int64 [n], bit k set where call type k sounds.
        snr_db: float32 [n, K]: highest SNR among the type's calls (part real: of the picture); NaN: no call.
        negatives: hard negatives that sound, comma-separated; in part real, the recording is not named.
    """

    image: NDArray[np.uint8]
    other_image: NDArray[np.uint8]
    marks: NDArray[np.uint8]
    combination: NDArray[np.int64]
    snr_db: NDArray[np.float32]
    negatives: NDArray[np.str_]

    def __len__(self) -> int:
        return int(self.combination.size)

    @property
    def targets(self) -> NDArray[np.float32]:
        """float32 [n, K], 1 where call type k sounds."""
        return np.asarray(self.combination[:, None] >> np.arange(len(CALL_TYPES)) & 1, np.float32)


def combination_of(index: int) -> int:
    """Combination of a part's window number `index`."""
    return index % COMBINATIONS


def names_of(combination: int) -> tuple[str, ...]:
    """Call types of a combination."""
    return tuple(name for k, name in enumerate(CALL_TYPES) if combination >> k & 1)


def benchmark_window(part: BenchmarkPart, index: int) -> Rendered:
    """The audio of one simulated window, with its truth.

    Raises:
        ValueError: part `real` is not simulated.
    """
    if part == "real":
        raise ValueError("part 'real' is made from recordings")
    sea = part if part in {"train", "validation"} else "test"
    number = list(SIZES).index(part)
    return training_window(
        SEED + 100_000 * number + index,
        call_types=names_of(combination_of(index)),
        part=sea,
        mix=MIXES[part],
    )


@dataclass(frozen=True, slots=True)
class _Heard:
    """One window's audio in parts: float32 [393216] each, and the SNR of each call type [K]."""

    background: NDArray[np.float32]
    stems: dict[str, NDArray[np.float32]]
    snr_db: NDArray[np.float32]
    negatives: str


class WindowMaker:
    """Makes images and masks of the benchmark's windows.

    Args:
        audio: folder of the real recordings; needed for part `real` alone.
    """

    def __init__(self, audio: Path | None = None) -> None:
        torch.set_num_threads(1)
        self._transform = CompositeSpectrogram().eval()
        self._sounds = None if audio is None else RealSounds(read_catalogue(audio), "validation")

    def make(self, part: BenchmarkPart, index: int) -> dict[str, NDArray[np.generic] | np.generic]:
        """One row of BenchmarkWindows."""
        heard = self._over_real(index) if part == "real" else _simulated(part, index)
        samples = heard.background + sum(heard.stems.values(), np.zeros_like(heard.background))
        background_db = self._log_power_db(heard.background)
        marks = np.zeros(background_db.shape, np.uint8)
        for name, stem in heard.stems.items():
            call_db = self._log_power_db(stem)
            mask = ideal_mask(call_db, background_db, margin_db=MARGIN_DB, floor_db=WindowRecipe().floor_db)
            marks |= mask.astype(np.uint8) << CALL_TYPES.index(name)
        other = VARIED[index // COMBINATIONS % len(VARIED)] if part == "train" else SHIFTED
        return {
            "image": self._image(samples),
            "other_image": alternative_image(samples, other),
            "marks": marks,
            "combination": np.int64(combination_of(index)),
            "snr_db": heard.snr_db,
            "negatives": np.str_(heard.negatives),
        }

    def _over_real(self, index: int) -> _Heard:
        if self._sounds is None:
            raise ValueError("part 'real' needs the folder of real recordings")
        rng = np.random.default_rng((SEED, 7, index))
        background = real_background(rng, self._sounds, hiss_share=1.0)
        names = names_of(combination_of(index))
        drawn = real_scene(rng, self._sounds, names, background).stems if names else {}
        background_db, snr = self._log_power_db(background), np.full(len(CALL_TYPES), np.nan, np.float32)
        stems = {}
        for name, stem in drawn.items():
            k, wanted_db = CALL_TYPES.index(name), rng.uniform(*REAL_SNR_DB)
            loud = stem / np.abs(stem).max()  # far over T's own floor
            gain_db = wanted_db - call_snr_db(self._log_power_db(loud), background_db)
            stems[name], snr[k] = (loud * 10 ** (gain_db / 20)).astype(np.float32), wanted_db
        peak = float(np.abs(background + sum(stems.values(), np.zeros_like(background))).max())
        scale = np.float32(1 / max(1.0, peak))
        return _Heard(background * scale, {name: stem * scale for name, stem in stems.items()}, snr, "")

    @torch.inference_mode()
    def _log_power_db(self, pcm: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(self._transform.log_power_db(torch.tensor(pcm)[None])[0].numpy())

    @torch.inference_mode()
    def _image(self, pcm: NDArray[np.float32]) -> NDArray[np.uint8]:
        image = self._transform(torch.tensor(pcm)[None])[0, 0].numpy()
        return np.asarray(np.round(image * 255), np.uint8)


def _simulated(part: BenchmarkPart, index: int) -> _Heard:
    rendered = benchmark_window(part, index)
    snr = np.full(len(CALL_TYPES), np.nan, np.float32)
    for call in rendered.calls:
        k = CALL_TYPES.index(call.call_type)
        snr[k] = np.fmax(snr[k], call.snr_db)
    background = rendered.samples - sum(rendered.stems.values(), np.zeros_like(rendered.samples))
    return _Heard(background, dict(rendered.stems), snr, ",".join(rendered.negatives))


def shard_path(cache: Path, part: BenchmarkPart, number: int) -> Path:
    """File of one shard of SHARD_WINDOWS windows."""
    return cache / f"mgc-{part}" / f"shard-{number:05d}.npz"


def make_part(part: BenchmarkPart, *, cache: Path, audio: Path | None, workers: int) -> Iterator[int]:
    """Make the shards of a part that are not there yet; yields the number of each once it is on disk."""
    shard_path(cache, part, 0).parent.mkdir(parents=True, exist_ok=True)
    numbers = range(-(-SIZES[part] // SHARD_WINDOWS))
    wanted = [number for number in numbers if not shard_path(cache, part, number).exists()]
    yield from (number for number in numbers if number not in wanted)
    if wanted:
        with multiprocessing.get_context("spawn").Pool(workers) as pool:
            yield from pool.imap_unordered(partial(_make_shard, part, cache, audio), wanted)


def load_part(part: BenchmarkPart, *, cache: Path) -> BenchmarkWindows:
    """Read a part's shards.

    Raises:
        FileNotFoundError: a shard has not been made.
    """
    numbers = range(-(-SIZES[part] // SHARD_WINDOWS))
    shards = [np.load(shard_path(cache, part, number)) for number in numbers]
    columns = {name: np.concatenate([shard[name] for shard in shards]) for name in BenchmarkWindows.__slots__}
    return BenchmarkWindows(**{name: column[: SIZES[part]] for name, column in columns.items()})


def digest(windows: BenchmarkWindows) -> str:
    """SHA-256 over images, masks and combinations, in order."""
    total = hashlib.sha256()
    for array in (windows.image, windows.other_image, windows.marks, windows.combination):
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def specification() -> dict[str, object]:
    """Everything that decides the windows besides the simulator's code, as JSON."""
    return {
        "seed": SEED,
        "sizes": SIZES,
        "call_types": CALL_TYPES,
        "mask_margin_db": MARGIN_DB,
        "real_snr_db": REAL_SNR_DB,
        "transform_shift": asdict(SHIFTED),
        "transforms_in_training": [asdict(transform) for transform in VARIED],
        "mixes": {part: asdict(mix) | {"without": sorted(mix.without)} for part, mix in MIXES.items()},
    }


@cache
def _maker(audio: Path | None) -> WindowMaker:
    """A worker's own: reading the recordings once is enough."""
    return WindowMaker(audio)


def _make_shard(part: BenchmarkPart, cache: Path, audio: Path | None, number: int) -> int:
    first = number * SHARD_WINDOWS
    rows = [_maker(audio).make(part, index) for index in range(first, first + SHARD_WINDOWS)]
    path = shard_path(cache, part, number)
    unfinished = path.with_suffix(".part.npz")
    columns: dict[str, Any] = {name: np.stack([row[name] for row in rows]) for name in BenchmarkWindows.__slots__}
    np.savez(unfinished, **columns)
    unfinished.rename(path)
    return number
