"""Simulated calls mixed into a copy of live audio, at a known level over the noise that is usual there."""

from collections import deque
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from seacanary.quality.band_levels import band_powers, decidecades, edge_hz, power_spectrum
from seacanary.quality.signal import Samples
from seacanary.simulation import beluga_train, porpoise_train, random_path, social_call
from seacanary.simulation.negatives import Maker
from seacanary.simulation.sounds import CallTypeName, Sound
from seacanary.simulation.soundscape import working_factor
from seacanary.simulation.whistles import HIGHEST_HZ

# The level of the noise in a copy is the median over stretches of this length: what passes by does not raise it.
SEGMENT_S = 0.5
# Copies remembered: a day at one trial a minute.
COPIES_KEPT = 1440
# The level exceeded in 90 % of copies (L90) is the usual noise of a place: what comes on top is today's.
QUIET_PERCENTILE = 10.0
PAUSE_S = (0.1, 0.5)
# A call of peak or RMS 1 of which the rate carries less than this lies above its half, and another is drawn.
LEAST_LEVEL = 1e-3
ATTEMPTS = 50

_MAKERS: Mapping[CallTypeName, tuple[Maker, float | None]] = {
    "whistle": (social_call, HIGHEST_HZ),
    "beluga_click": (beluga_train, None),
    "porpoise_click": (porpoise_train, None),
}


class UsualNoise:
    """How loud a hydrophone's background usually is in any band, from copies of its audio.

    Calls are mixed in at a level over this, not over the noise of the moment: a given level then
    stands for animals at a given distance, and what noise takes away shows in the recall.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self.sample_rate_hz = sample_rate_hz
        self._bands = decidecades(sample_rate_hz)
        self._copies = deque[NDArray[np.float64]](maxlen=COPIES_KEPT)

    def note(self, samples: Samples) -> None:
        """Take a copy into account: float32 [n], n at least half a second, not silent."""
        size = round(SEGMENT_S * self.sample_rate_hz)
        segments = [samples[start : start + size] for start in range(0, samples.size - size + 1, size)]
        powers = [band_powers(power_spectrum(segment, self.sample_rate_hz), self._bands) for segment in segments]
        self._copies.append(np.median(powers, axis=0))

    def rms(self, band_hz: tuple[float, float]) -> float:
        """RMS of the usual noise within a band, full scale 1; decidecade bands that it cuts count by their width."""
        edges = np.array([edge_hz(band) for band in range(self._bands.start, self._bands.stop + 1)])
        covered = np.diff(np.clip(edges, *band_hz)) / np.diff(edges)
        usual = np.percentile(self._copies, QUIET_PERCENTILE, axis=0)
        return float(np.sqrt(np.dot(covered, usual)))


def with_bout(
    samples: Samples, *, noise: UsualNoise, call_type: CallTypeName, snr_db: float, rng: np.random.Generator
) -> Samples:
    """A copy with a bout of calls in it, one after the other from its beginning to its end.

    A bout, since presence asks for several windows: one short call alone is no presence, at no level.

    Args:
        samples: float32 [n], full scale ±1; not changed.
        noise: what is usual at this hydrophone; its rate carries the call type.
        call_type: what calls.
        snr_db: of each call, as in SimulatedCall, over the usual noise in the call's band.
        rng: draws calls, paths through the water and pauses.

    Returns:
        float32 [n], limited to full scale as a recorder would.
    """
    mixed, position = samples.copy(), 0
    while position < samples.size:
        call = _call(rng, call_type, snr_db, noise=noise)
        call.add_to(mixed, first=-position)
        position += call.offset + round(rng.uniform(*PAUSE_S) * noise.sample_rate_hz)
    return np.clip(mixed, -1.0, 1.0, out=mixed)


def _call(rng: np.random.Generator, call_type: CallTypeName, snr_db: float, *, noise: UsualNoise) -> Sound:
    """One call as it arrives, at its level; made at a lower rate where that is enough.

    Raises:
        ValueError: the rate carries no such call.
    """
    make, highest_hz = _MAKERS[call_type]
    factor = working_factor(noise.sample_rate_hz, highest_hz)
    for _ in range(ATTEMPTS):
        sound = make(rng, sample_rate_hz=noise.sample_rate_hz // factor)
        sound = sound.filtered(random_path(rng, clicks=sound.measure == "peak"))
        if sound.level() > LEAST_LEVEL:
            gain = noise.rms(sound.band_hz()) * 10 ** (snr_db / 20) / sound.level()
            return sound.scaled(gain).lifted(factor)
    raise ValueError(f"no {call_type} can be heard at {noise.sample_rate_hz} Hz")
