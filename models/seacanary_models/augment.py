"""What recorders, codecs and people do to sound before we get it; and how training images are varied."""

import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

Codec = Literal["none", "int16", "mp3", "vorbis", "opus"]

MODEL_RATE_HZ = 384_000
# Museum and teaching clips, sound cards, field recorders.
AUDIBLE_RATES_HZ = (16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
# Recorders made for clicks. Rates over 384 kHz lose nothing on the way to the model.
ULTRASONIC_RATES_HZ = (96_000, 192_000, 250_000, 256_000, 288_000, 384_000, 500_000, 576_000)
ULTRASONIC_SHARES = (0.08, 0.14, 0.05, 0.05, 0.03, 0.4, 0.1, 0.15)
OPUS_RATES_HZ = (16_000, 24_000, 48_000)
_FORMATS: dict[str, tuple[str, str]] = {
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "vorbis": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
}
FULL_SCALE = 0.99
EDGE_SAMPLES = 24_576  # 64 ms: as long as a codec's memory


@dataclass(frozen=True, slots=True)
class Recorder:
    """How a window was recorded and kept.

    Attributes:
        rate_hz: sampling rate; half of it is the end of the band.
        codec: what the samples went through.
        compression: 0 (best) to 1 (smallest), for lossy codecs.
        kept_share: the share of the window that the file fills; the rest is zero.
    """

    rate_hz: int
    codec: Codec
    compression: float
    kept_share: float

    @property
    def band_end_hz(self) -> float:
        """Frequency above which nothing of the sound is left."""
        return 0.47 * min(self.rate_hz, MODEL_RATE_HZ)


def draw_recorder(rng: np.random.Generator, *, audible_share: float) -> Recorder:
    """Draw a recorder; `audible_share` of them reach no further than 24 kHz."""
    kept_share = 1.0 if rng.random() < 0.94 else float(rng.uniform(0.2, 0.95))
    compression = float(rng.uniform(0.1, 0.95))
    if rng.random() >= audible_share:
        rate_hz = int(rng.choice(ULTRASONIC_RATES_HZ, p=ULTRASONIC_SHARES))
        return Recorder(rate_hz, "int16" if rng.random() < 0.5 else "none", 0.0, kept_share)
    codec: Codec = ("none", "int16", "mp3", "vorbis", "opus")[int(rng.choice(5, p=(0.15, 0.2, 0.4, 0.15, 0.1)))]
    rates = OPUS_RATES_HZ if codec == "opus" else AUDIBLE_RATES_HZ
    return Recorder(int(rng.choice(rates)), codec, compression, kept_share)


def record(pcm: NDArray[np.float32], recorder: Recorder) -> NDArray[np.float32]:
    """Pass a window through a recorder: band limit, clipping, word length or codec, and back.

    Args:
        pcm: float32 [n] at 384 kHz.

    Returns:
        float32 [n] at 384 kHz, in step with the input, zero after the kept share.
    """
    low_rate = recorder.rate_hz < MODEL_RATE_HZ
    heard = pcm
    if low_rate:  # mirrored beyond its ends: a window is cut from a stream, it does not begin with a bang
        heard = soxr.resample(np.pad(pcm, EDGE_SAMPLES, "reflect"), MODEL_RATE_HZ, recorder.rate_hz)
    heard = np.clip(heard, -FULL_SCALE, FULL_SCALE)
    if recorder.codec == "int16":
        heard = np.round(heard * 32767).astype(np.float32) / np.float32(32767)
    elif recorder.codec != "none":
        heard = through_codec(heard, recorder.rate_hz, recorder.codec, compression=recorder.compression)
    if low_rate:
        heard = soxr.resample(heard, recorder.rate_hz, MODEL_RATE_HZ)[EDGE_SAMPLES : EDGE_SAMPLES + pcm.size]
    kept = min(heard.size, round(recorder.kept_share * pcm.size))
    kept_pcm = np.zeros(pcm.size, np.float32)
    kept_pcm[:kept] = heard[:kept]
    return kept_pcm


def through_codec(
    samples: NDArray[np.float32], rate_hz: int, codec: Codec, *, compression: float
) -> NDArray[np.float32]:
    """Encode and decode with a lossy codec; libsndfile takes the coder's delay out again."""
    container, subtype = _FORMATS[codec]
    coded = io.BytesIO()
    soundfile.write(coded, samples, rate_hz, format=container, subtype=subtype, compression_level=compression)
    coded.seek(0)
    decoded, _ = soundfile.read(coded, dtype="float32")
    return np.asarray(decoded, np.float32)


def coloured_noise(rng: np.random.Generator, samples: int, *, slope: float) -> NDArray[np.float32]:
    """Noise of unit RMS whose amplitude falls as f^-slope (0: white, 0.5: pink), float32 [samples]."""
    spectrum = rng.standard_normal(samples // 2 + 1) + 1j * rng.standard_normal(samples // 2 + 1)
    rank = np.arange(spectrum.size, dtype=np.float64)
    rank[0] = 1.0
    noise = np.fft.irfft(spectrum * np.maximum(rank, samples / 38_400) ** -slope, samples)
    return np.asarray(noise / np.sqrt(np.mean(noise**2)), np.float32)


def vary_image(
    rng: np.random.Generator, image: NDArray[np.float32], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Vary one training image: time reversal, gain, speckle, and hidden columns (SpecAugment).

    Args:
        image: float32 [rows, columns] in [0, 1].
        mask: bool [rows, columns].

    Returns:
        New image and mask; the mask is flipped with the image and cleared where it is hidden.

    Source: hidden bands after Park et al. (2019), SpecAugment. Rows are not hidden: a call type is its band.
    """
    varied, marked = image.copy(), mask.copy()
    if rng.random() < 0.5:
        varied, marked = varied[:, ::-1].copy(), marked[:, ::-1].copy()
    varied = varied * np.float32(rng.uniform(0.85, 1.15)) + np.float32(rng.uniform(-0.03, 0.03))
    if rng.random() < 0.5:
        varied += rng.normal(0, rng.uniform(0.005, 0.04), varied.shape).astype(np.float32)
    if rng.random() < 0.15:
        width = int(rng.integers(4, 24))
        first = int(rng.integers(0, varied.shape[1] - width))
        varied[:, first : first + width] = 0.0
        marked[:, first : first + width] = False
    return np.clip(varied, 0.0, 1.0), marked
