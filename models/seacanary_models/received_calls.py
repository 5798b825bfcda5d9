"""Calls at a stated range in a stated sea, at absolute levels.

A call leaves the animal at a source level from the literature, loses `spreading_db` per decade of range and what
sea water absorbs at each frequency on that range (simulation.Path), and meets a sea of stated wind, traffic and
ship in µPa; the recorder's full scale turns both into samples. The simulator's own placing (`Planned.snr_db`) is
not used: it sets calls relative to the noise, with the absorption of a drawn range. The SNR that comes out is
measured as SimulatedCall defines it.

What this leaves out makes ranges look longer than at sea: every click train points at the hydrophone once, water
does not bend sound, and the bottom takes nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from seacanary.simulation import (
    Ambient,
    CallBouts,
    Recorder,
    Scene,
    Ship,
    Sound,
    Soundscape,
    beluga_train,
    porpoise_train,
    random_path,
    social_call,
)
from seacanary_models.augment import MODEL_RATE_HZ
from seacanary_models.scenes import CALL_TYPES, WINDOW_SAMPLES

NoiseName = Literal["low", "medium", "high"]
WHISTLE_RATE_DIVISOR: Final = 6  # whistles end at 30 kHz: made at 64 kHz and lifted
_PEAK_OF_PEAK_TO_PEAK_DB: Final = -6.02


@dataclass(frozen=True, slots=True)
class Emission:
    """How one call type leaves the animal.

    Attributes:
        source_db: lowest and highest source level, dB re 1 µPa at 1 m: RMS of whistles, peak-to-peak of clicks.
        spreading_db: loss per decade of range, dB.
        ranges_m: where it is placed.
    """

    source_db: tuple[float, float]
    spreading_db: float
    ranges_m: tuple[float, ...]


# Porpoise, peak-to-peak, mean 191 dB: Villadsgaard, Wahlberg and Tougaard (2007), Echolocation signals of wild
# harbour porpoises. Beluga clicks, peak-to-peak on axis: Zahn et al. (2021), vertical sonar beam width of wild
# belugas in West Greenland. Whistles, RMS: mean levels of the array studies of delphinid and killer whale
# whistles listed by Wang et al. (2016, PeerJ 4:e1695, table 4), since no figure for belugas could be checked.
# Spreading: spherical for clicks; 15 dB per decade, "practical" shallow-water spreading, for whistles (Urick 1983).
EMISSIONS: Final[Mapping[str, Emission]] = {
    "whistle": Emission((137.0, 158.0), 15.0, (50, 100, 200, 400, 800, 1500, 3000, 5000, 7000, 10_000)),
    "beluga_click": Emission((210.0, 220.0), 20.0, (50, 100, 200, 400, 800, 1200, 1600, 2000, 2500, 3000)),
    "porpoise_click": Emission((178.0, 205.0), 20.0, (20, 50, 100, 200, 300, 400, 500, 650, 800, 1000, 1200)),
}
SEAS: Final[Mapping[NoiseName, tuple[Ambient, tuple[Ship, ...]]]] = {
    "low": (Ambient(wind_m_s=2, traffic=0.1, wander_db=0), ()),
    "medium": (Ambient(wind_m_s=7, traffic=0.5, wander_db=0), ()),
    "high": (Ambient(wind_m_s=12, traffic=0.8, wander_db=0), (Ship(source_db=150, closest_m=500, closest_s=0.5),)),
}
RECORDER: Final = Recorder(full_scale_db=176.0, self_noise_dbfs=-90.0, bits=16)


def received(name: str, seed: int, *, range_m: float, recorder: Recorder = RECORDER) -> Sound:
    """A call as it arrives, at the scale of the recorder's samples; the same seed gives the same animal.

    Args:
        name: call type.
        seed: draws call, source level and echoes.
        range_m: distance to the animal, metres, at least 1.
        recorder: gives the scale and the response.
    """
    rng = np.random.default_rng((seed, 1))
    emission = EMISSIONS[name]
    sound = _emitted(rng, name)
    path = replace(random_path(rng, clicks=name != "whistle"), range_m=range_m)
    level_db = rng.uniform(*emission.source_db) - emission.spreading_db * np.log10(range_m) - recorder.full_scale_db
    if sound.measure == "peak":
        level_db += _PEAK_OF_PEAK_TO_PEAK_DB
    sound = sound.scaled(float(10 ** (level_db / 20)) / sound.level()).filtered(path)
    return sound.filtered(partial(recorder.filtered, nyquist_rate_hz=MODEL_RATE_HZ))


def _emitted(rng: np.random.Generator, name: str) -> Sound:
    if name == "whistle":
        return social_call(rng, sample_rate_hz=MODEL_RATE_HZ // WHISTLE_RATE_DIVISOR)
    if name == "beluga_click":
        return beluga_train(rng, sample_rate_hz=MODEL_RATE_HZ, off_axis=0.0)
    return porpoise_train(rng, sample_rate_hz=MODEL_RATE_HZ)


def windows_at_ranges(
    name: str, noise: NoiseName, ranges_m: Sequence[float], *, seed: int
) -> Iterator[tuple[NDArray[np.float32], float]]:
    """One animal before one stretch of sea, at every range: samples [393216] and SNR in dB."""
    sea = _sea(noise, seed=seed)
    for range_m in ranges_m:
        sound = received(name, seed, range_m=range_m)
        snr_db = 20 * np.log10(sound.level() / _band_rms(sea, sound.band_hz()))
        if name == "whistle":
            sound = sound.lifted(WHISTLE_RATE_DIVISOR)
        pcm = sea.copy()
        sound.add_to(pcm, first=-_place(sound, seed=seed))
        yield np.clip(pcm, -1, 1), float(snr_db)


def _place(sound: Sound, *, seed: int) -> int:
    """Where the sound's zero goes, so that its loudest click, or 0.5 s of a whistle, lie in the window."""
    share = np.random.default_rng((seed, 2)).uniform(0.1, 0.45)
    loudest = max(sound.pieces, key=lambda piece: abs(piece.gain))
    return round(share * WINDOW_SAMPLES) - loudest.start


def _sea(noise: NoiseName, *, seed: int) -> NDArray[np.float32]:
    ambient, ships = SEAS[noise]
    silent = {name: CallBouts(bouts_per_min=0) for name in CALL_TYPES}
    scene = Scene(seed=seed, ambient=ambient, ships=ships, recorder=RECORDER).model_copy(update=silent)
    return Soundscape(scene, sample_rate_hz=MODEL_RATE_HZ).render(WINDOW_SAMPLES).samples


def _band_rms(samples: NDArray[np.float32], band_hz: tuple[float, float]) -> float:
    """RMS of the part of samples within a band, by Parseval."""
    power = np.square(np.abs(scipy.fft.rfft(samples)), dtype=np.float64)
    low, high = (round(hz * samples.size / MODEL_RATE_HZ) for hz in band_hz)
    return float(np.sqrt(2 * power[low : max(high, low + 1)].sum()) / samples.size)
