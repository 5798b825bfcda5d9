"""When which sound begins: Poisson bouts of calls, Poisson hard negatives, each with a seed of its own."""

from dataclasses import dataclass, field

import numpy as np

from seacanary.simulation.scene import CallBouts, HardNegative, Scene
from seacanary.simulation.sounds import CALL_TYPES


@dataclass(frozen=True, slots=True, order=True)
class Planned:
    """A sound that will be.

    Attributes:
        position: stream index of its zero.
        seed: draws the sound.
        kind: a call type or a kind of hard negative.
        snr_db: as in SimulatedCall.
        noise_band_hz: band whose noise the SNR refers to; None: the sound's own.
    """

    position: int
    seed: int
    kind: str
    snr_db: float
    noise_band_hz: tuple[float, float] | None = field(default=None, compare=False)


class Schedule:
    """Plans the sounds of one aligned segment after the other."""

    def __init__(self, scene: Scene, *, sample_rate_hz: int, segment_samples: int) -> None:
        self._scene = scene
        self._rate = sample_rate_hz
        self._segment = segment_samples
        self._bouts = [(name, getattr(scene, name)) for name in CALL_TYPES]
        cracks = HardNegative(kind="ice_crack", per_min=scene.ambient.ice_cracks_per_min)
        self._negatives = [*scene.negatives, cracks]

    def segment(self, index: int) -> list[Planned]:
        """Everything that is decided in a segment; later calls of its bouts lie after it."""
        rng = np.random.default_rng((self._scene.seed, 2, index))
        planned: list[Planned] = []
        for name, bouts in self._bouts:
            for _ in range(self._count(rng, bouts.bouts_per_min)):
                planned += self._bout(rng, name, bouts, self._position(rng, index))
        for negative in self._negatives:
            for _ in range(self._count(rng, negative.per_min)):
                snr_db = float(rng.uniform(*negative.snr_db))
                seed = _seed(rng) if negative.sound_seed is None else negative.sound_seed
                planned.append(Planned(self._position(rng, index), seed, negative.kind, snr_db))
        return planned

    def _count(self, rng: np.random.Generator, per_min: float) -> int:
        return int(rng.poisson(per_min / 60 * self._segment / self._rate))

    def _position(self, rng: np.random.Generator, index: int) -> int:
        return index * self._segment + int(rng.integers(self._segment))

    def _bout(self, rng: np.random.Generator, name: str, bouts: CallBouts, position: int) -> list[Planned]:
        count = int(rng.integers(bouts.calls_per_bout[0], bouts.calls_per_bout[1] + 1))
        pauses = np.cumsum(rng.uniform(*bouts.pause_s, count)) * self._rate
        level = rng.uniform(*bouts.snr_db)
        snrs = np.clip(level + rng.normal(0, 3, count), *bouts.snr_db)
        return [
            Planned(position + int(pause - pauses[0]), _seed(rng), name, float(snr))
            for pause, snr in zip(pauses, snrs, strict=True)
        ]


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**62))
