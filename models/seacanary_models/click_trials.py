"""A common set of click trials: one trigger cuts clips from windows, and the stems say what each clip is.

The trigger is that of PAMGuard's click detector: a short running average of the level in the porpoise's band
against a long one. All that fires it is a trial, so every classifier is judged on the same clips.

Source: Gillespie et al. (2008), PAMGUARD: Semiautomated, Open Source Software for Real-time Acoustic
Detection and Localisation of Cetaceans, its click detector's default averages and threshold; the band
is that in which Cosentino et al. (2019) let it look for the candidates of PorCC.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from seacanary_models.transforms import SAMPLE_RATE_HZ

TRIGGER_BAND_HZ: Final = (100e3, 150e3)
CLIP_BAND_HZ: Final = (20e3, 160e3)
THRESHOLD_DB: Final = 10.0
SHORT_SHARE: Final = 0.1  # of the newest sample in the short average
LONG_SHARE: Final = 1e-5
SEPARATION_SAMPLES: Final = 100  # excesses nearer than this are one click
LEAD_SAMPLES: Final = 96  # of the clip before its loudest sample
CLIP_SAMPLES: Final = 384  # 1 ms
STRETCH_SAMPLES: Final = 64  # over which the level of a sound is taken: 167 µs, a porpoise click's length
DOMINANCE_DB: Final = 3.0
PER_WINDOW: Final = 12  # clips of one origin kept from one window, so that no single noisy second outweighs the rest
ORIGINS: Final = ("porpoise_click", "beluga_click", "other")
AMBIGUOUS: Final = -1
_SILENCE: Final = 1e-9  # full scale; below anything a recorder writes, keeps digital silence out of divisions

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class ClickTrials:
    """Triggered clips of known origin.

    Attributes:
        clips: float32 [n, CLIP_SAMPLES], 20-160 kHz, full scale ±1.
        peak_sample: int64 [n], position of the loudest sample in its window.
        excess_db: float32 [n], highest ratio of short to long average: the SNR as the trigger sees it.
        origin: int64 [n], index into ORIGINS.
        window: int64 [n], number of the window.
        windows: how many windows were searched.
        ambiguous: clips left out because neither side dominated.
        surplus: clips left out beyond PER_WINDOW.
    """

    clips: Floats
    peak_sample: NDArray[np.int64]
    excess_db: Floats
    origin: NDArray[np.int64]
    window: NDArray[np.int64]
    windows: int
    ambiguous: int
    surplus: int

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def porpoise(self) -> NDArray[np.bool_]:
        """bool [n], True where the clip is a porpoise's."""
        return np.asarray(self.origin == ORIGINS.index("porpoise_click"))


def click_trials(samples: Floats, stems: Mapping[str, Floats]) -> ClickTrials:
    """The trials of one window.

    What fired the trigger decides: levels are taken over the 167 µs around the loudest sample, within the
    trigger's band. A clip is a porpoise's where the porpoise stem's level exceeds that of all the rest by
    DOMINANCE_DB, no porpoise's where it is as far below, and ambiguous, left out, between. A clip that is no
    porpoise's is a beluga's where the beluga stem exceeds what remains, else other: noise, hard negatives.

    Args:
        samples: float32 [n] at 384 kHz, what the recorder wrote.
        stems: call type -> float32 [n], the calls alone at the scale of samples.
    """
    triggering = band_passed(samples, TRIGGER_BAND_HZ)
    peaks, excess_db = triggers(triggering)
    origin = _origins(triggering, stems, peaks)
    chosen = np.concatenate([_spread(np.flatnonzero(origin == k)) for k in range(len(ORIGINS))])
    chosen.sort()
    ambiguous = int((origin == AMBIGUOUS).sum())
    return ClickTrials(
        clips=clips_at(band_passed(samples, CLIP_BAND_HZ), peaks[chosen]),
        peak_sample=peaks[chosen],
        excess_db=excess_db[chosen],
        origin=origin[chosen],
        window=np.zeros(chosen.size, np.int64),
        windows=1,
        ambiguous=ambiguous,
        surplus=peaks.size - ambiguous - chosen.size,
    )


def joined(parts: Iterable[ClickTrials]) -> ClickTrials:
    """The trials of many windows, the windows numbered on."""
    sets, first, numbers = list(parts), 0, []
    for trials in sets:
        numbers.append(trials.window + first)
        first += trials.windows
    return ClickTrials(
        clips=np.concatenate([trials.clips for trials in sets]),
        peak_sample=np.concatenate([trials.peak_sample for trials in sets]),
        excess_db=np.concatenate([trials.excess_db for trials in sets]),
        origin=np.concatenate([trials.origin for trials in sets]),
        window=np.concatenate(numbers),
        windows=first,
        ambiguous=sum(trials.ambiguous for trials in sets),
        surplus=sum(trials.surplus for trials in sets),
    )


def band_passed(sound: Floats, band_hz: tuple[float, float]) -> Floats:
    """Fourth-order Butterworth band-pass, begun as if the first sample had always been: float32 [n]."""
    sections = _band_pass(band_hz)
    filtered, _ = signal.sosfilt(sections, sound, zi=signal.sosfilt_zi(sections) * sound[0])
    return np.asarray(filtered, np.float32)


def triggers(heard: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Where clicks are.

    The long average takes in levels up to THRESHOLD_DB over their median only: PAMGuard slows it
    during clicks for the same end, that a train of loud clicks does not raise the noise it is held against.

    Args:
        heard: float32 [n], in the trigger's band.

    Returns:
        loudest sample of each click, int64 [clicks], ascending, and its highest excess in dB, float32 [clicks].
    """
    level = np.abs(heard.astype(np.float64)) + _SILENCE
    short = _running_mean(level, SHORT_SHARE)
    steady = np.minimum(level, np.median(level) * 10 ** (THRESHOLD_DB / 20))
    excess_db = 20 * np.log10(short / _running_mean(steady, LONG_SHARE))
    over = np.flatnonzero(excess_db > THRESHOLD_DB)
    if not over.size:
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    runs = np.split(over, np.flatnonzero(np.diff(over) > SEPARATION_SAMPLES) + 1)
    peaks = [run[0] + int(np.argmax(level[run[0] : run[-1] + 1])) for run in runs]
    return np.array(peaks, np.int64), np.array([excess_db[run].max() for run in runs], np.float32)


def clips_at(sound: Floats, peaks: NDArray[np.int64]) -> Floats:
    """Clips around peaks, zero beyond the window: float32 [peaks, CLIP_SAMPLES]."""
    padded = np.pad(sound, (LEAD_SAMPLES, CLIP_SAMPLES - LEAD_SAMPLES))
    return np.asarray(padded[peaks[:, None] + np.arange(CLIP_SAMPLES)])


@cache
def _band_pass(band_hz: tuple[float, float]) -> NDArray[np.float64]:
    return np.asarray(signal.butter(4, band_hz, "bandpass", fs=SAMPLE_RATE_HZ, output="sos"))


def _running_mean(level: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Exponential average that begins at the mean, [n]."""
    averaged, _ = signal.lfilter([share], [1, share - 1], level, zi=[(1 - share) * level.mean()])
    return np.asarray(averaged)


def _origins(triggering: Floats, stems: Mapping[str, Floats], peaks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Index into ORIGINS of each click, or AMBIGUOUS: int64 [clicks]."""
    silence = np.zeros_like(triggering)
    porpoise, beluga = (
        band_passed(stems[name], TRIGGER_BAND_HZ) if name in stems else silence
        for name in ("porpoise_click", "beluga_click")
    )
    without_porpoise = triggering - porpoise
    over_db = _level_db(porpoise, peaks) - _level_db(without_porpoise, peaks)
    by_beluga = _level_db(beluga, peaks) > _level_db(without_porpoise - beluga, peaks)
    origin = np.where(by_beluga, ORIGINS.index("beluga_click"), ORIGINS.index("other"))
    origin[over_db > -DOMINANCE_DB] = AMBIGUOUS
    origin[over_db >= DOMINANCE_DB] = ORIGINS.index("porpoise_click")
    return origin


def _level_db(sound: Floats, peaks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Level of the STRETCH_SAMPLES around each peak, dB [clicks]."""
    first = LEAD_SAMPLES - STRETCH_SAMPLES // 2
    stretches = clips_at(sound, peaks)[:, first : first + STRETCH_SAMPLES].astype(np.float64)
    return np.asarray(10 * np.log10((stretches**2).mean(axis=1) + _SILENCE**2))


def _spread(found: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most PER_WINDOW of the found clips, evenly spread over the window."""
    if found.size <= PER_WINDOW:
        return found
    return found[np.linspace(0, found.size - 1, PER_WINDOW).round().astype(np.int64)]
