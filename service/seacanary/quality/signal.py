"""Signal quality of a stretch of audio: clipping, silence, stuck values, offset, hum, spikes, level.

Everything here is measured on one second of one hydrophone at a time, without memory;
quality_state.py makes lasting conditions of it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from seacanary.audio import AudioBlock, read_only
from seacanary.windowing import CLIPPED_LEVEL, clipped_fraction

# Peak of a stretch in which nothing is heard: -120 dB re full scale. The quietest 24-bit
# recorders make noise of some -115 dB; a converter without a hydrophone still makes its own.
SILENT_PEAK = 1e-6
SILENCE_BLOCK_S = 0.01
# Equal samples over a millisecond: quiet 16-bit audio rests on a step for tens of samples, not longer.
STUCK_S = 0.001
STUCK_SAMPLES = 32
# A spike's block stands 20 dB over the median block. Peaks of Gaussian noise in blocks of this
# length reach some 3 to 4 times its RMS, and hardly more than twice their own median.
SPIKE_BLOCK_S = 0.001
SPIKE_APART_BLOCKS = 5
SPIKE_RATIO = 10.0
# Below one step of 16 bits a block's swing says more of rounding than of sound.
SPIKE_LEAST = 2.0**-15

MAINS_HZ = (50.0, 60.0)
HARMONICS = 8
LINE_HALF_HZ = 2.0  # main lobe of the Hann window at 1 Hz resolution
NEIGHBOURS_HZ = (4.0, 12.0)

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """At most one second of a stream; seconds are counted from the stream's sample 0.

    Attributes:
        hydrophone: name of the hydrophone.
        samples: float32 [n], full scale ±1, 1 <= n <= sample_rate_hz, read-only.
        first_sample: stream index of samples[0].
        sample_rate_hz: nominal rate.
        epoch: UTC of the stream's sample 0.
    """

    hydrophone: str
    samples: Samples
    first_sample: int
    sample_rate_hz: int
    epoch: datetime

    @property
    def complete(self) -> bool:
        """Whether it is a whole second: no gap, no end of the stream lies in it."""
        return self.samples.size == self.sample_rate_hz

    @property
    def duration_s(self) -> float:
        """Length, seconds."""
        return self.samples.size / self.sample_rate_hz

    @property
    def start(self) -> datetime:
        """UTC of the first sample at the nominal rate: the same audio always has the same time."""
        return self.epoch + timedelta(seconds=self.first_sample / self.sample_rate_hz)


class Seconds:
    """Cuts the blocks of one hydrophone at the seconds of its stream; a gap ends a second early."""

    def __init__(self) -> None:
        self._held: list[AudioBlock] = []

    def push(self, block: AudioBlock) -> list[Stretch]:
        """Take the next block; return what it completes, in stream order."""
        stretches = [] if self._continues(block) else self.end()
        rate, first = block.sample_rate_hz, block.first_sample
        while first < block.end_sample:
            end = min((first // rate + 1) * rate, block.end_sample)
            part = block.samples[first - block.first_sample : end - block.first_sample]
            self._held.append(AudioBlock(block.hydrophone, part, first, rate, block.epoch))
            first = end
            if end % rate == 0:
                stretches += self.end()
        return stretches

    def end(self) -> list[Stretch]:
        """What is held, however short; nothing if nothing is."""
        if not self._held:
            return []
        first, parts = self._held[0], [block.samples for block in self._held]
        samples = parts[0] if len(parts) == 1 else read_only(np.concatenate(parts))
        self._held = []
        return [Stretch(first.hydrophone, samples, first.first_sample, first.sample_rate_hz, first.epoch)]

    def _continues(self, block: AudioBlock) -> bool:
        if not self._held:
            return True
        last = self._held[-1]
        same_stream = (last.epoch, last.sample_rate_hz) == (block.epoch, block.sample_rate_hz)
        return same_stream and last.end_sample == block.first_sample


@dataclass(frozen=True, slots=True, eq=False)
class PowerSpectrum:
    """One-sided power spectrum of a stretch.

    Attributes:
        power: float [bins]; its sum is the mean square of the samples, full scale 1.
        step_hz: distance of the bins; bin k holds [k - 1/2, k + 1/2) steps.
    """

    power: NDArray[np.float32]
    step_hz: float

    def between(self, low_hz: float, high_hz: float) -> NDArray[np.float32]:
        """Bins whose centres lie in [low_hz, high_hz]."""
        low, high = np.ceil(low_hz / self.step_hz), np.floor(high_hz / self.step_hz)
        return self.power[int(low) : int(high) + 1]


@dataclass(frozen=True, slots=True)
class SignalQuality:
    """What one stretch is like. Shares are 0 to 1.

    Attributes:
        rms: root mean square without the offset, full scale 1.
        clipped: share of samples at full scale.
        silent: share of 10 ms blocks in which nothing is heard, not even a recorder's own noise.
        stuck: share of samples in runs of one value over 1 ms, which is neither zero nor full scale.
        dc_offset: mean, share of full scale, signed.
        hum: how far mains lines stand out (see hum_share); None where the stretch is no whole second.
        spikes: short peaks 20 dB over what is around them; loud clicks of animals are spikes too.
    """

    rms: float
    clipped: float
    silent: float
    stuck: float
    dc_offset: float
    hum: float | None
    spikes: int


def measure(stretch: Stretch, spectrum: PowerSpectrum | None) -> SignalQuality:
    """Measure a stretch.

    Args:
        stretch: of one hydrophone.
        spectrum: its power spectrum at 1 Hz resolution, Hann window; None if it is no whole second.
    """
    samples, rate = stretch.samples, stretch.sample_rate_hz
    mean = float(samples.mean(dtype=np.float64))
    return SignalQuality(
        rms=_rms(samples, mean),
        clipped=clipped_fraction(samples),
        silent=silent_share(samples, rate),
        stuck=stuck_share(samples, rate),
        dc_offset=mean,
        hum=None if spectrum is None else hum_share(spectrum),
        spikes=count_spikes(samples, rate),
    )


def _rms(samples: Samples, mean: float) -> float:
    centred = samples - np.float32(mean)
    return float(np.sqrt(np.dot(centred, centred) / samples.size))


def silent_share(samples: Samples, sample_rate_hz: int) -> float:
    """Share of 10 ms blocks that swing less than any recorder's noise does, whatever their offset."""
    swing = _swings(samples, max(2, round(SILENCE_BLOCK_S * sample_rate_hz)))
    return float(np.mean(swing < 2 * SILENT_PEAK))


def stuck_share(samples: Samples, sample_rate_hz: int) -> float:
    """Share of samples in runs of one value over 1 ms (at least 32 samples), zeros and full scale not counted."""
    shortest = max(STUCK_SAMPLES, round(STUCK_S * sample_rate_hz))
    changes = samples[1:] != samples[:-1]
    if samples.size - 1 - np.count_nonzero(changes) < shortest - 1:
        return 0.0
    starts = np.concatenate(([0], np.flatnonzero(changes) + 1))
    lengths = np.diff(starts, append=samples.size)
    level = np.abs(samples[starts])
    counted = (lengths >= shortest) & (level > 0) & (level < CLIPPED_LEVEL)
    return float(lengths[counted].sum() / samples.size)


def count_spikes(samples: Samples, sample_rate_hz: int) -> int:
    """Number of peaks, 5 ms apart, whose 1 ms block swings more than ten times as far as the median block.

    The median is not moved by the spikes themselves as long as most blocks are free of
    them: the crest of the whole second would hide few spikes among loud ones.
    """
    swing = _swings(samples, max(2, round(SPIKE_BLOCK_S * sample_rate_hz)))
    high = np.flatnonzero(swing > SPIKE_RATIO * max(float(np.median(swing)), SPIKE_LEAST))
    return int(np.count_nonzero(np.diff(high) > SPIKE_APART_BLOCKS)) + bool(high.size)


def hum_share(spectrum: PowerSpectrum) -> float:
    """How clearly mains lines stand out: 0 (not at all) to 1 (nothing else near them).

    For each of eight harmonics of 50 and 60 Hz: the power within ±2 Hz of the line, less
    what its neighbours at 4 to 12 Hz would have there, as a share of both together. Of a
    family's harmonics the third clearest counts, so that a ship's tone or a low voice, whose
    lines rarely fall on three of them, is no hum; of the two families the clearer. Bins are
    1 Hz apart and a line is 1.4 Hz wide at half power (Hann); mains that stray by 0.2 Hz stay
    within ±2 Hz up to the eighth harmonic.
    """
    return max(sorted(_line_share(spectrum, mains * n) for n in range(1, HARMONICS + 1))[-3] for mains in MAINS_HZ)


def _line_share(spectrum: PowerSpectrum, line_hz: float) -> float:
    near, far = NEIGHBOURS_HZ
    line = spectrum.between(line_hz - LINE_HALF_HZ, line_hz + LINE_HALF_HZ)
    below = spectrum.between(line_hz - far, line_hz - near)
    above = spectrum.between(line_hz + near, line_hz + far)
    around = np.concatenate((below, above))
    if not above.size:
        return 0.0
    together = float(line.sum() + around.sum())
    excess = float(line.sum() - around.mean() * line.size)
    return max(0.0, excess / together) if together > 0 else 0.0


def _swings(samples: Samples, block: int) -> Samples:
    """Highest minus lowest sample of each block, float32 [ceil(n / block)]; the last block may be shorter."""
    whole = samples.size // block * block
    blocks = samples[:whole].reshape(-1, block)
    swings = blocks.max(axis=1) - blocks.min(axis=1)
    rest = samples[whole:]
    return np.append(swings, rest.max() - rest.min()) if rest.size else swings
