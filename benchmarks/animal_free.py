"""Hours of simulated sea without animals: which scenes, how long, and what sounds in them when."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from seacanary.audio import AudioBlock
from seacanary.simulation import NEGATIVES, CallBouts, Recorder, Scene, Soundscape, random_scene
from seacanary.simulation.scene import HardNegative

# Other animals than the model's: nearly its calls, so they sound alone and are reported apart.
OTHER_SPECIES = ("delphinid_clicks", "orca_call")
MACHINES_AND_NOISES = tuple(sorted(set(NEGATIVES) - set(OTHER_SPECIES)))
_HAND_SIZES = (1, 2, 3)  # kinds that sound in one scene
_BARE_HANDS = 2  # scenes of a round without any hard negative, ice cracks aside
_BLOCK_S = 0.1  # kinds are known to sound or not by so much
_WIDE_HZ = 150e3  # a recorder that ends below hears few porpoises, and takes little for one
_SEED = 240_403  # these scenes are drawn for no other purpose
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Recipe(BaseModel):
    """What the hours are made of. Pieces made by different recipes are not added up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(1, description="raised whenever the same numbers would give other audio")
    sample_rate_hz: int = Field(384_000, description="the model's own: nothing is resampled, porpoises are observed")
    piece_s: float = Field(3600.0, gt=0, description="length of a piece")
    scene_s: tuple[float, float] = Field((120.0, 300.0), description="shortest and longest time in one place")
    per_min: tuple[float, float] = Field((2.0, 40.0), description="how often each kind in a scene sounds (log-uniform)")
    snr_db: tuple[float, float] = Field((3.0, 38.0), description="how loud it is")
    band_limited_share: float = Field(
        1 / 3, ge=0, le=1, description="share of the recorders drawn with an end below 150 kHz that keep it"
    )
    calls_per_min: float = Field(0.0, ge=0, description="bouts of each call type; above 0: to see the counter count")


@dataclass(frozen=True, slots=True)
class Stay:
    """A time in one place.

    Attributes:
        number: of the stay within its piece.
        first_s: when it begins, seconds into the piece.
        seconds: how long it lasts.
        scene: what is heard.
    """

    number: int
    first_s: float
    seconds: float
    scene: Scene

    @property
    def background(self) -> tuple[str, ...]:
        """What sounds all the time, besides wind; and whether the recorder leaves the high clicks out."""
        ambient, recorder = self.scene.ambient, self.scene.recorder
        present = {
            "ship": bool(self.scene.ships),
            "rain": ambient.rain_mm_h > 0,
            "flow": ambient.flow_db >= 90,
            "melting_ice": ambient.melt_db > 0,
            "cracking_ice": ambient.ice_cracks_per_min > 0,
            "electrical_line": bool(recorder.lines),
            "mains_hum": recorder.hum_dbfs > -135,
            "band_limited": recorder.low_pass_hz is not None and recorder.low_pass_hz < _WIDE_HZ,
        }
        return tuple(name for name, there in present.items() if there)


def stays_of(piece: int, recipe: Recipe) -> list[Stay]:
    """The places of a piece, one after the other; together piece_s long.

    Every kind of NEGATIVES has its turn before any comes again; one to three sound
    in a place, those of OTHER_SPECIES alone, and some places have none.
    """
    rng = np.random.default_rng((_SEED, piece))
    stays: list[Stay] = []
    first_s = 0.0
    for hand in _hands(rng):
        seconds = round(float(rng.uniform(*recipe.scene_s)), 1)
        if first_s + seconds + recipe.scene_s[0] > recipe.piece_s:
            seconds = recipe.piece_s - first_s
        stays.append(Stay(len(stays), first_s, seconds, _scene(rng, hand, recipe)))
        first_s += seconds
        if first_s >= recipe.piece_s:
            break
    return stays


def _hands(rng: np.random.Generator) -> Iterator[tuple[str, ...]]:
    """Kinds dealt to one scene after the other, for ever."""
    while True:
        deck = [str(kind) for kind in rng.permutation(MACHINES_AND_NOISES)]
        hands: list[tuple[str, ...]] = [(kind,) for kind in OTHER_SPECIES] + [()] * _BARE_HANDS
        for size in cycle(_HAND_SIZES):
            if not deck:
                break
            hands.append(tuple(deck[:size]))
            deck = deck[size:]
        yield from (hands[n] for n in rng.permutation(len(hands)))


def _scene(rng: np.random.Generator, kinds: tuple[str, ...], recipe: Recipe) -> Scene:
    low, high = np.log(recipe.per_min)
    calls = CallBouts(bouts_per_min=recipe.calls_per_min, snr_db=(20, 35))
    negatives = tuple(
        HardNegative(kind=kind, per_min=float(np.exp(rng.uniform(low, high))), snr_db=recipe.snr_db) for kind in kinds
    )
    scene = random_scene(rng, part="test")
    return scene.model_copy(
        update={
            "negatives": negatives,
            "recorder": _widened(rng, scene.recorder, recipe),
            "whistle": calls,
            "beluga_click": calls,
            "porpoise_click": calls,
        }
    )


def _widened(rng: np.random.Generator, recorder: Recorder, recipe: Recipe) -> Recorder:
    """Most recorders of random_scene's kind that are deaf to high clicks, made to hear them."""
    stays_limited = rng.random() < recipe.band_limited_share
    if stays_limited or recorder.low_pass_hz is None or recorder.low_pass_hz >= _WIDE_HZ:
        return recorder
    return recorder.model_copy(update={"low_pass_hz": None})


def plan_sha256(piece: int, recipe: Recipe) -> str:
    """Names the scenes of a piece, so that a changed random_scene is noticed."""
    plan = [f"{stay.seconds}:{stay.scene.model_dump_json()}" for stay in stays_of(piece, recipe)]
    return hashlib.sha256("\n".join(plan).encode()).hexdigest()


@dataclass(slots=True)
class Soundings:
    """When which kind of hard negative sounded, stream samples [first, end), to a block.

    A kind that goes on from block to block is one stretch.
    """

    stretches: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def add(self, kind: str, first: int, end: int) -> None:
        """Note that a kind sounds in a block; blocks come in order."""
        known = self.stretches.setdefault(kind, [])
        if known and known[-1][1] == first:
            known[-1] = (known[-1][0], end)
        else:
            known.append((first, end))

    def during(self, first: int, end: int) -> tuple[str, ...]:
        """Kinds that sound anywhere in [first, end), sorted."""
        sounding = (
            kind
            for kind, stretches in self.stretches.items()
            if any(a < end and b > first for a, b in reversed(stretches))
        )
        return tuple(sorted(sounding))


class AnimalFreeSource:
    """One stay as a source: a hydrophone in simulated water, as fast as it is asked for."""

    def __init__(self, stay: Stay, *, name: str, sample_rate_hz: int) -> None:
        self._stay, self._name, self._rate = stay, name, sample_rate_hz
        self.soundings = Soundings()

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        """Yield blocks of a tenth of a second."""
        sea = Soundscape(self._stay.scene, sample_rate_hz=self._rate)
        epoch = _EPOCH + timedelta(seconds=self._stay.first_s)
        total, step = round(self._stay.seconds * self._rate), round(_BLOCK_S * self._rate)
        for first in range(0, total, step):
            rendered = sea.render(min(step, total - first))
            for kind in rendered.negatives:
                if kind in NEGATIVES:  # electrical lines never stop: they are background
                    self.soundings.add(kind, first, first + rendered.samples.size)
            yield AudioBlock(self._name, rendered.samples, first, self._rate, epoch)

    async def aclose(self) -> None:
        """Nothing is held."""
