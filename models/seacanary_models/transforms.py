"""T: one window of PCM to one composite spectrogram, in operations every ONNX provider has.

The image has 256 columns of 1536 samples (4 ms at 384 kHz). Rows 0-127 show 0-24 kHz in
187.5 Hz steps (2048-point Hann STFT, mean power of a column's two frames); rows 128-255
show 24-152 kHz in 1 kHz steps (384-point STFT, highest power of a column's eight frames,
so a click of 100 µs keeps its level). Row r of a run holds the bin centred on the
row's lower edge.

No FFT operation is used: ONNX Runtime has none on CUDA. Frames are folded and meet dense
cosines and sines. The low rows are computed from audio decimated by 4, and their bins
divided by the decimation filter's gain, so the passband is flat.
"""

import math
from collections.abc import Callable
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
_CHUNK: Final = 128  # samples filtered by one row of the product that decimates
# Zeros before the window. Both STFTs read one padded buffer: it begins on a high frame (96 + 192 k)
# and holds the first low frame (640) with half the filter's excess (22).
_LEAD: Final = 672
_PADDED: Final = 514 * _LOW.hop_samples
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


class FoldedDft(nn.Module):
    """Power of some bins of windowed frames, with a quarter of a dense DFT's arithmetic.

    With a symmetric window, y[n] + y[-n] about the frame's centre meets only cosines and y[n] - y[-n]
    only sines; folded once more at a quarter of the frame, even bins meet only sums and odd bins only
    differences. So a frame of N samples needs four products with matrices of N/4 rows.

    Args:
        window: symmetric window [N] of the frame, N divisible by 4.
        first_bin: first DFT bin wanted, even.
        gain: amplitude gain per bin, of even length.

    Source: the first two radix-2 steps of a real FFT, decimation in frequency.
    """

    near: Tensor
    far: Tensor
    even_cosine: Tensor
    even_sine: Tensor
    odd_cosine: Tensor
    odd_sine: Tensor

    def __init__(self, window: NDArray[np.float64], first_bin: int, gain: NDArray[np.float64]) -> None:
        super().__init__()
        quarter = window.size // 4
        offset = np.arange(quarter) + 0.5 - window.size / 2
        angle = 2 * np.pi * np.outer(offset, first_bin + np.arange(gain.size)) / window.size
        scale = gain * 2 / window.sum()
        self.register_buffer("near", _float32(window[:quarter]), persistent=False)
        self.register_buffer("far", _float32(window[quarter : 2 * quarter][::-1]), persistent=False)
        for name, basis in (("cosine", scale * np.cos(angle)), ("sine", scale * np.sin(angle))):
            self.register_buffer(f"even_{name}", _float32(basis[:, 0::2]), persistent=False)
            self.register_buffer(f"odd_{name}", _float32(basis[:, 1::2]), persistent=False)

    def forward(self, early: tuple[Tensor, Tensor], late: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Power of a frame given as two halves, each cut by `halves_of`.

        Args:
            early: first half of each frame, two parts [..., N/4].
            late: second half of each frame.

        Returns:
            power of the even bins and of the odd bins, each [..., bins / 2]; a full-scale sine is 1.
        """
        first, second = early[0] * self.near, early[1] * self.far
        third, fourth = late[1] * self.near, late[0] * self.far
        sums, differences = first + second, first - second
        late_sums, late_differences = third + fourth, third - fourth
        even = _power((sums + late_sums) @ self.even_cosine, (differences - late_differences) @ self.even_sine)
        odd = _power((differences + late_differences) @ self.odd_cosine, (sums - late_sums) @ self.odd_sine)
        return even, odd


def halves_of(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """First half of each block, and the second half reversed: [..., n] to two [..., n / 2]."""
    half = blocks.shape[-1] // 2
    return blocks[..., :half], blocks[..., half:].flip(-1)


def _power(real: Tensor, imaginary: Tensor) -> Tensor:
    return real * real + imaginary * imaginary


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

    def __init__(self) -> None:
        super().__init__()
        low_hz = np.arange(_LOW.count).astype(np.float64) * _LOW.step_hz
        self.register_buffer("decimation", _decimation_matrix(), persistent=False)
        self.low = FoldedDft(taper(_LOW.fft_samples // _DECIMATION, 1.0), 0, 1 / filter_gain(low_hz))
        self.high = FoldedDft(
            taper(_HIGH.fft_samples, SHORT_TAPER), round(_HIGH.low_hz / _HIGH.step_hz), np.ones(_HIGH.count)
        )

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
        # Power over the floor, plus 1: the ONNX optimiser takes a bare `+ 3e-13` for `+ 0` and drops it.
        above = torch.log(power * 10 ** (-TRANSFORM.floor_db / 10) + 1) * (10 / math.log(10))
        return (above + TRANSFORM.floor_db).transpose(1, 2)

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
        hop = _LOW.hop_samples // _DECIMATION
        frame, count = _LOW.fft_samples // _DECIMATION, WINDOW_SAMPLES // _LOW.hop_samples
        hops = self._decimated(padded).reshape(-1, _PADDED // _LOW.hop_samples, hop)
        rest = hops[..., : frame - 2 * hop]
        frames = torch.cat([hops[:, :count], hops[:, 1 : count + 1], rest[:, 2:]], -1)
        first, second = halves_of(frames.reshape(-1, count, 2, frame // 2))
        even, odd = self.low((first[:, :, 0], second[:, :, 0]), (first[:, :, 1], second[:, :, 1]))
        return 0.5 * _interleaved(_fold_frames(even, torch.add), _fold_frames(odd, torch.add))

    def _decimated(self, padded: Tensor) -> Tensor:
        """Audio at 96 kHz in chunks: [B, chunks, chunk / 4]."""
        chunks = padded.reshape(-1, _PADDED // _CHUNK, _CHUNK)
        halo = chunks[..., : self.decimation.shape[0] - _CHUNK]
        following = nn.functional.pad(halo[:, 1:], (0, 0, 0, 1))
        return torch.cat([chunks, following], -1) @ self.decimation

    def _high_power(self, padded: Tensor) -> Tensor:
        """Highest power of a column's eight short frames: [B, columns, 128]."""
        hop, count = _HIGH.hop_samples, WINDOW_SAMPLES // _HIGH.hop_samples
        before = (_LEAD - hop // 2) // hop
        first, second = halves_of(padded.reshape(-1, _PADDED // hop, hop))
        early, late = slice(before, before + count), slice(before + 1, before + 1 + count)
        even, odd = self.high((first[:, early], second[:, early]), (first[:, late], second[:, late]))
        return _interleaved(_fold_frames(even, torch.maximum), _fold_frames(odd, torch.maximum))


def _fold_frames(power: Tensor, combine: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Combine a column's frames, [B, frames, n] to [B, columns, n]: halvings beat one reduction."""
    count, bins = power.shape[1:]
    folded = power.reshape(-1, TRANSFORM.columns, count // TRANSFORM.columns * bins)
    while folded.shape[-1] > bins:
        half = folded.shape[-1] // 2
        folded = combine(folded[..., :half], folded[..., half:])
    return folded


def _interleaved(even: Tensor, odd: Tensor) -> Tensor:
    """Even and odd bins in order: two [B, columns, n] to [B, columns, 2 n]."""
    return torch.stack([even, odd], -1).flatten(2)
