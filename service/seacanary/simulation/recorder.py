"""The instrument: hydrophone response, self-noise, hum, clipping and quantisation."""

from functools import partial

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from seacanary.simulation.noise import Tones
from seacanary.simulation.propagation import on_log_grid
from seacanary.simulation.sounds import FloatArray


class ElectricalLine(BaseModel):
    """A tone that comes from the electronics and never stops."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hz: float = Field(gt=0, description="frequency, hertz")
    dbfs: float = Field(-70.0, le=0, description="RMS level, dB re full scale")
    harmonics: int = Field(0, ge=0, le=40, description="harmonics above the tone, each 6 dB weaker")


class Recorder(BaseModel):
    """Hydrophone, preamplifier and converter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    full_scale_db: float = Field(172.0, ge=110, le=230, description="peak pressure at full scale, dB re 1 µPa")
    self_noise_dbfs: float = Field(-84.0, ge=-140, le=-20, description="RMS of its own noise over the whole band")
    bits: int = Field(16, ge=6, le=32, description="resolution; 32: not quantised")
    low_pass_hz: float | None = Field(None, gt=0, description="anti-alias corner; None: 46 % of the rate")
    high_pass_hz: float = Field(5.0, ge=0, description="corner of the second-order high-pass")
    tilt_db: float = Field(0.0, ge=-20, le=20, description="rise of sensitivity over 1-100 kHz, dB")
    resonance_hz: float = Field(150e3, gt=0, description="resonance of the hydrophone")
    resonance_db: float = Field(0.0, ge=-20, le=20, description="its height, dB")
    clip_at: float = Field(1.0, gt=0, le=1, description="share of full scale at which it clips")
    dc: float = Field(0.0, ge=-0.5, le=0.5, description="constant offset, share of full scale")
    mains_hz: float = Field(50.0, gt=0, description="mains frequency")
    hum_dbfs: float = Field(-140.0, le=0, description="RMS of the hum's fundamental")
    hum_harmonics: int = Field(8, ge=0, le=40, description="harmonics of the hum")
    lines: tuple[ElectricalLine, ...] = Field((), description="other constant electrical tones")

    def response(self, frequency_hz: NDArray[np.float64], *, sample_rate_hz: int) -> NDArray[np.float64]:
        """Linear gain of hydrophone and filters, same shape as frequency_hz."""
        corner = min(self.low_pass_hz or np.inf, 0.46 * sample_rate_hz)
        frequency = np.maximum(frequency_hz, 1e-3)
        low_pass = 1 / np.sqrt(1 + (frequency / corner) ** 40)
        high_pass = 1 / np.sqrt(1 + (self.high_pass_hz / frequency) ** 4)
        tilt_db = self.tilt_db / 2 * (np.log10(frequency.clip(1e3, 1e5)) - 3)
        bump_db = self.resonance_db * np.exp(-0.5 * (np.log2(frequency / self.resonance_hz) / 0.25) ** 2)
        result: NDArray[np.float64] = low_pass * high_pass * 10 ** ((tilt_db + bump_db) / 20)
        return result

    def noise_density(self, frequency_hz: NDArray[np.float64], *, sample_rate_hz: int) -> NDArray[np.float64]:
        """Power density of the preamplifier's noise after the anti-alias filter, re full scale squared, per hertz."""
        corner = min(self.low_pass_hz or np.inf, 0.46 * sample_rate_hz)
        white = 10 ** (self.self_noise_dbfs / 10) / (sample_rate_hz / 2)
        result: NDArray[np.float64] = white / (1 + (frequency_hz / corner) ** 40)
        return result

    def quantisation_density(self, sample_rate_hz: int) -> float:
        """Power density of the rounding error, re full scale squared, per hertz."""
        return 0.0 if self.bits == 32 else (2.0 ** (1 - self.bits)) ** 2 / 12 / (sample_rate_hz / 2)

    def filtered(self, samples: FloatArray, sample_rate_hz: int, *, nyquist_rate_hz: int) -> tuple[FloatArray, int]:
        """A transient through the response (zero phase), padded by 0.5 ms in front and behind.

        Args:
            samples: float32 [n] at sample_rate_hz.
            sample_rate_hz: rate of the samples, perhaps below the recorder's.
            nyquist_rate_hz: rate of the recorder.

        Returns:
            float32 [n + 2 lead], lead.
        """
        lead = -(-sample_rate_hz // 2000)
        size = scipy.fft.next_fast_len(samples.size + 2 * lead, real=True)
        frequency = scipy.fft.rfftfreq(size, 1 / sample_rate_hz)
        padded = np.pad(samples, (lead, lead))
        gain = on_log_grid(partial(self.response, sample_rate_hz=nyquist_rate_hz), frequency)
        return scipy.fft.irfft(scipy.fft.rfft(padded, size) * gain, size)[: padded.size], lead

    def tones(self, rng: np.random.Generator, *, sample_rate_hz: int) -> Tones:
        """Hum and electrical lines."""
        lines = (ElectricalLine(hz=self.mains_hz, dbfs=self.hum_dbfs, harmonics=self.hum_harmonics), *self.lines)
        parts = [
            (line.hz * n, np.sqrt(2) * 10 ** ((line.dbfs - 6 * (n - 1)) / 20), rng.uniform(0, 2 * np.pi))
            for line in lines
            if line.dbfs > -135
            for n in range(1, line.harmonics + 2)
        ]
        return Tones(parts, sample_rate_hz=sample_rate_hz)

    def digitised(self, samples: FloatArray) -> FloatArray:
        """Offset, clipped and rounded, in place."""
        samples += np.float32(self.dc)
        step = np.float32(2.0 ** (1 - self.bits))
        np.clip(samples, -self.clip_at, min(self.clip_at, 1 - float(step)), out=samples)
        if self.bits < 32:
            samples *= 1 / step
            np.rint(samples, out=samples)
            samples *= step
        return samples
