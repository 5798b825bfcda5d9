"""T: one window of PCM to one composite spectrogram, in operations every ONNX provider has.

The image has 256 columns of 1536 samples (4 ms at 384 kHz). Rows 0-127 show 0-24 kHz in
187.5 Hz steps (2048-point Hann STFT, mean power of a column's two frames); rows 128-255
show 24-152 kHz in 1 kHz steps (384-point STFT, highest power of a column's eight frames,
so a click of 100 µs keeps its level). Row r of a run holds the bin centred on the
row's lower edge.

No FFT operation is used: ONNX Runtime has none on CUDA. Each frame is folded about its
centre, y[n] ± y[-n], so that cosines meet only the even part and sines only the odd part:
half the arithmetic of a dense DFT. The low rows are computed from audio decimated by 4,
and their bins divided by the decimation filter's gain, so the passband is flat.
"""

import math
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import signal
from torch import Tensor, nn

from seacanary.contract import ImageRows, Transform

SAMPLE_RATE_HZ: Final = 384_000
WINDOW_SAMPLES: Final = 393_216

TRANSFORM: Final = Transform(
    columns=256,
    column_samples=1536,
    rows=(
        ImageRows(first=0, count=128, low_hz=0.0, step_hz=187.5, fft_samples=2048, hop_samples=768, pooling="mean"),
        ImageRows(
            first=128,
            count=128,
            low_hz=24_000.0,
            step_hz=1000.0,
            fft_samples=384,
            hop_samples=192,
            pooling="max",
        ),
    ),
    floor_db=-125.0,
    range_db=(-5.0, 45.0),
)

_LOW, _HIGH = TRANSFORM.rows
# A Hann frame advanced by half its length loses 6 dB of a click that falls between two centres;
# this flatter taper loses 2.5 dB and its side lobes fall as fast (18 dB an octave).
SHORT_TAPER: Final = 0.75
_DECIMATION: Final = 4
# 48 taps of Kaiser 9.2 between 24 and 72 kHz: what folds back onto 0-24 kHz is over 90 dB down.
_FIR_TAPS: Final = 48
_CHUNK: Final = 256  # samples; three chunks are one low hop, eight are one low frame
# Zeros before the window. Both STFTs read one padded buffer: it begins on a high frame (96 + 192 k)
# and holds the first low frame (640) with half the filter's excess (22).
_LEAD: Final = 672
_CHUNKS: Final = 1542
_PADDED: Final = _CHUNKS * _CHUNK
_FILTER_DELAY: Final = _LEAD - 640 - (_FIR_TAPS - _DECIMATION) // 2


def decimation_filter() -> NDArray[np.float64]:
    """Low-pass taps [48], unit gain at 0 Hz: passes 0-24 kHz, stops 72-120 and 168-192 kHz.

    Source: Kaiser-window design, Oppenheim and Schafer (2010), Discrete-Time Signal Processing, 7.6.
    """
    taps: NDArray[np.float64] = signal.firwin(_FIR_TAPS, 48_000, window=("kaiser", 9.2), fs=SAMPLE_RATE_HZ)
    return taps


def filter_gain(frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Amplitude gain of `decimation_filter` at each frequency, hertz."""
    _, response = signal.freqz(decimation_filter(), worN=frequency_hz, fs=SAMPLE_RATE_HZ)
    return np.asarray(np.abs(response), np.float64)


def taper(length: int, share: float) -> NDArray[np.float64]:
    """Tukey window [length], symmetric about its half-sample centre, so that a frame folds exactly.

    Args:
        length: samples.
        share: tapered share of the window, 0 to 1; 1 is a Hann window.
    """
    distance = np.abs((np.arange(length) + 0.5) / (length / 2) - 1)
    fall = np.clip((distance - (1 - share)) / share, 0, 1)
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * fall), np.float64)


def folded_basis(
    window: NDArray[np.float64], bins: NDArray[np.int64], gain: NDArray[np.float64]
) -> tuple[Tensor, Tensor]:
    """Windowed cosines and sines that meet the first half of a folded frame.

    Args:
        window: symmetric window [N] of the frame.
        bins: DFT bins wanted.
        gain: amplitude gain per bin.

    Returns:
        cosines and sines, float32 [N/2, bins], scaled so that a full-scale sine has magnitude 1.
    """
    length = window.size
    offset = np.arange(length // 2) + 0.5 - length / 2
    angle = 2 * np.pi * np.outer(offset, bins) / length
    scale = (2 / window.sum()) * np.outer(window[: length // 2], gain)
    return _float32(scale * np.cos(angle)), _float32(scale * np.sin(angle))


def _decimation_matrix() -> Tensor:
    """The decimation filter over one chunk and what follows it: float32 [chunk + halo, chunk / 4]."""
    outputs = _CHUNK // _DECIMATION
    matrix = np.zeros((_CHUNK + _FILTER_DELAY + _FIR_TAPS - _DECIMATION, outputs))
    for output in range(outputs):
        first = _FILTER_DELAY + output * _DECIMATION
        matrix[first : first + _FIR_TAPS, output] = decimation_filter()
    return _float32(matrix)


def _float32(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))


class CompositeSpectrogram(nn.Module):
    """T: PCM to image. Every constant comes from `TRANSFORM`; nothing is learned."""

    decimation: Tensor
    low_cosine: Tensor
    low_sine: Tensor
    high_cosine: Tensor
    high_sine: Tensor

    def __init__(self) -> None:
        super().__init__()
        low_bins = np.arange(_LOW.count)
        high_bins = np.arange(_HIGH.count) + round(_HIGH.low_hz / _HIGH.step_hz)
        hann = taper(_LOW.fft_samples // _DECIMATION, 1.0)
        low = folded_basis(hann, low_bins, 1 / filter_gain(low_bins.astype(np.float64) * _LOW.step_hz))
        high = folded_basis(taper(_HIGH.fft_samples, SHORT_TAPER), high_bins, np.ones(_HIGH.count))
        self.register_buffer("decimation", _decimation_matrix(), persistent=False)
        for name, values in zip(("cosine", "sine"), low, strict=True):
            self.register_buffer(f"low_{name}", values, persistent=False)
        for name, values in zip(("cosine", "sine"), high, strict=True):
            self.register_buffer(f"high_{name}", values, persistent=False)

    def forward(self, pcm: Tensor) -> Tensor:
        """The image of each window.

        Args:
            pcm: float32 [B, 393216], full scale ±1.

        Returns:
            float32 [B, 1, 256, 256] (row, column) in [0, 1].
        """
        return self.image_of(self.log_power_db(pcm))

    def log_power_db(self, pcm: Tensor) -> Tensor:
        """Power per pixel before the noise floor is removed.

        Args:
            pcm: float32 [B, 393216], full scale ±1.

        Returns:
            float32 [B, 256, 256] (row, column), dB re a full-scale sine, never below `floor_db`.
        """
        padded = nn.functional.pad(pcm, (_LEAD, _PADDED - _LEAD - WINDOW_SAMPLES))
        power = torch.cat([self._low_power(padded), self._high_power(padded)], -1)
        decibel = torch.log(power + 10 ** (TRANSFORM.floor_db / 10)) * (10 / math.log(10))
        return decibel.transpose(1, 2)

    @staticmethod
    def image_of(log_power_db: Tensor) -> Tensor:
        """Remove each row's noise floor and scale `range_db` to [0, 1].

        The floor is the mean over columns, taken again with what exceeds it cut down to it: a call
        that fills part of a row hardly lifts it, and two means cost less than a median.

        Args:
            log_power_db: float32 [B, 256, 256] (row, column).

        Returns:
            float32 [B, 1, 256, 256].
        """
        low_db, high_db = TRANSFORM.range_db
        mean = log_power_db.mean(-1, keepdim=True)
        floor = torch.minimum(log_power_db, mean).mean(-1, keepdim=True)
        scaled = (log_power_db - (floor + low_db)) * (1 / (high_db - low_db))
        return scaled.clamp(0.0, 1.0).unsqueeze(1)

    def _low_power(self, padded: Tensor) -> Tensor:
        """Mean power of a column's two long frames: [B, columns, 128]."""
        half = _LOW.fft_samples // _DECIMATION // 2
        hops = self._decimated(padded).reshape(-1, _CHUNKS // 3, 192)
        frames = torch.cat([hops[:, :512], hops[:, 1:513], hops[:, 2:, : 2 * half - 384]], -1)
        first, second = frames[..., :half], frames[..., half:].flip(-1)
        power = _power((first + second) @ self.low_cosine, (first - second) @ self.low_sine)
        pair = power.reshape(-1, TRANSFORM.columns, 2 * _LOW.count)
        return 0.5 * (pair[..., : _LOW.count] + pair[..., _LOW.count :])

    def _decimated(self, padded: Tensor) -> Tensor:
        """Audio at 96 kHz in chunks: [B, chunks, 64]."""
        chunks = padded.reshape(-1, _CHUNKS, _CHUNK)
        halo = self.decimation.shape[0] - _CHUNK
        following = nn.functional.pad(chunks[:, 1:, :halo], (0, 0, 0, 1))
        return torch.cat([chunks, following], -1) @ self.decimation

    def _high_power(self, padded: Tensor) -> Tensor:
        """Highest power of a column's eight short frames: [B, columns, 128]."""
        hop, frames = _HIGH.hop_samples, WINDOW_SAMPLES // _HIGH.hop_samples
        blocks = padded.reshape(-1, _PADDED // hop, hop)
        before = (_LEAD - hop // 2) // hop
        first = blocks[:, before : before + frames]
        second = blocks[:, before + 1 : before + 1 + frames].flip(-1)
        power = _power((first + second) @ self.high_cosine, (first - second) @ self.high_sine)
        return _pairwise_max(power.reshape(-1, TRANSFORM.columns, frames // TRANSFORM.columns * _HIGH.count))


def _power(real: Tensor, imaginary: Tensor) -> Tensor:
    return real * real + imaginary * imaginary


def _pairwise_max(frames: Tensor) -> Tensor:
    """Maximum over eight frames laid side by side: three halvings beat one reduction."""
    while frames.shape[-1] > _HIGH.count:
        half = frames.shape[-1] // 2
        frames = torch.maximum(frames[..., :half], frames[..., half:])
    return frames
