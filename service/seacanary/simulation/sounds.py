"""Sound and Piece, the form of every transient; SimulatedCall and Rendered, what a listener gets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy.fft
import soxr
from numpy.typing import NDArray

CallTypeName = Literal["whistle", "beluga_click", "porpoise_click"]
CALL_TYPES: tuple[CallTypeName, ...] = ("whistle", "beluga_click", "porpoise_click")
SPECIES: Mapping[CallTypeName, str] = {
    "whistle": "beluga",
    "beluga_click": "beluga",
    "porpoise_click": "porpoise",
}

FloatArray = NDArray[np.float32]
Filter = Callable[[FloatArray, int], tuple[FloatArray, int]]


@dataclass(frozen=True, slots=True)
class SimulatedCall:
    """One call as it was truly put into the audio.

    A click train, a buzz and a pulsed call are each one call: onset is the
    start of the first click, offset lies after the last click. Echoes and
    reverberation may ring on past offset_sample.

    Attributes:
        call_type: whistle, beluga_click or porpoise_click.
        species: beluga or porpoise.
        onset_sample: stream index of the first sample (in a training window:
            relative to the window, below 0 if the call began before it).
        offset_sample: stream index after the last sample; calls are [onset, offset).
        band_hz: (low, high), hertz, holds 98 % (whistles) or 90 % (clicks) of the
            received energy; at least 500 Hz wide for whistles.
        snr_db: whistles: RMS of the call over RMS of the noise, both within
            band_hz and [onset, offset). Clicks: peak of the loudest click over RMS
            of the noise within band_hz. Noise is the expected level at the onset of
            what is always there (ambient, ships' cavitation, recorder); tones,
            hard negatives and other calls are not counted.
    """

    call_type: CallTypeName
    species: str
    onset_sample: int
    offset_sample: int
    band_hz: tuple[float, float]
    snr_db: float


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """A stretch of soundscape with its truth.

    Attributes:
        samples: float32 [n], full scale ±1, as the recorder wrote them, read-only.
        stems: call type -> float32 [n], the calls alone as received through the
            recorder's frequency response, at the scale of samples, neither clipped nor
            quantised, read-only. An absent key means no such call in the stretch.
        calls: the calls that overlap the stretch, by onset.
        negatives: names of the hard negatives active in the stretch, sorted.
    """

    samples: FloatArray
    stems: Mapping[str, FloatArray]
    calls: tuple[SimulatedCall, ...]
    negatives: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """One use of a template: a click of a train, or a whole whistle.

    Attributes:
        start: sample position relative to the sound's own zero.
        template: index into the sound's templates.
        gain: linear factor on the template.
    """

    start: int
    template: int
    gain: float


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """A transient as a sparse sum of templates, so that a long click train stays small.

    Attributes:
        sample_rate_hz: rate of templates and positions.
        templates: float32 [n] each.
        pieces: where and how loud the templates sound, by start.
        onset: position of the sound's first sample relative to its zero.
        offset: position after its last sample, echoes aside.
        measure: how its level is measured: "rms" over [onset, offset) or "peak".
    """

    sample_rate_hz: int
    templates: tuple[FloatArray, ...]
    pieces: tuple[Piece, ...]
    onset: int
    offset: int
    measure: Literal["rms", "peak"]

    @classmethod
    def whole(cls, samples: FloatArray, *, sample_rate_hz: int) -> "Sound":
        """A sound that is one waveform, measured by RMS."""
        return cls(sample_rate_hz, (samples,), (Piece(0, 0, 1.0),), 0, samples.size, "rms")

    @property
    def end(self) -> int:
        """Position after the last echo."""
        return max(p.start + self.templates[p.template].size for p in self.pieces)

    def waveform(self) -> FloatArray:
        """The sound as one array from its zero to its last echo, float32 [end]."""
        out = np.zeros(self.end, np.float32)
        self.add_to(out, first=0)
        return out

    def add_to(self, out: FloatArray, *, first: int) -> None:
        """Add the part that falls into out, whose first sample is at position `first`, in place."""
        for piece in self.pieces:
            template = self.templates[piece.template]
            start = piece.start - first
            low, high = max(start, 0), min(start + template.size, out.size)
            if low < high:
                out[low:high] += np.float32(piece.gain) * template[low - start : high - start]

    def filtered(self, response: Filter) -> "Sound":
        """Each template through a filter that returns (samples, lead): lead samples precede the old start."""
        filtered = [response(template, self.sample_rate_hz) for template in self.templates]
        lead = filtered[0][1]
        return replace(
            self,
            templates=tuple(samples for samples, _ in filtered),
            onset=self.onset + lead,
            offset=self.offset + lead,
        )

    def lifted(self, factor: int) -> "Sound":
        """The same sound at `factor` times the rate (band-limited interpolation, no delay)."""
        if factor == 1:
            return self
        rate = self.sample_rate_hz
        return replace(
            self,
            sample_rate_hz=rate * factor,
            templates=tuple(soxr.resample(t, rate, rate * factor) for t in self.templates),
            pieces=tuple(replace(p, start=p.start * factor) for p in self.pieces),
            onset=self.onset * factor,
            offset=self.offset * factor,
        )

    def scaled(self, gain: float) -> "Sound":
        """The same sound, louder by a linear factor."""
        return replace(self, pieces=tuple(replace(p, gain=p.gain * gain) for p in self.pieces))

    def level(self) -> float:
        """RMS over [onset, offset), or the peak, as `measure` says; linear."""
        if self.measure == "peak":
            return max(abs(p.gain) * float(np.max(np.abs(self.templates[p.template]))) for p in self.pieces)
        direct = self.waveform()[self.onset : self.offset]
        return float(np.sqrt(np.mean(np.square(direct, dtype=np.float64))))

    def band_hz(self) -> tuple[float, float]:
        """Band of the energy: 1st to 99th percentile (rms) or 5th to 95th (peak), hertz."""
        tail, least = (0.01, 500.0) if self.measure == "rms" else (0.05, 0.0)
        size = scipy.fft.next_fast_len(max(t.size for t in self.templates), real=True)
        weight = np.zeros(len(self.templates))
        for piece in self.pieces:
            weight[piece.template] += piece.gain**2
        power = sum(w * np.abs(scipy.fft.rfft(t, size)) ** 2 for w, t in zip(weight, self.templates, strict=True))
        share = np.cumsum(power, dtype=np.float64)
        low, high = np.searchsorted(share, np.array([tail, 1 - tail]) * share[-1])
        spacing_hz = self.sample_rate_hz / size
        return _widened(float(low) * spacing_hz, float(high + 1) * spacing_hz, least)


def _widened(low: float, high: float, least: float) -> tuple[float, float]:
    missing = max(0.0, least - (high - low)) / 2
    low = max(0.0, low - missing)
    return low, max(high + missing, low + least)
