"""What recorders, codecs and people do to sound before we get it; and how training images are varied."""

import io
from dataclasses import dataclass, replace
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


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One training example while it is being varied.

    Attributes:
        image: float32 [rows, columns] in [0, 1].
        marks: uint8 [rows, columns], bit k set where a call of type k is.
        guide: float32 [rows, columns], a mask given to the classifier; None: it makes its own.
        targets: float32 [K], 1 where the call type sounds.
        weights: float32 [K], 0 where nobody can say.
    """

    image: NDArray[np.float32]
    marks: NDArray[np.uint8]
    guide: NDArray[np.float32] | None
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]


def mixed(first: Example, second: Example) -> Example:
    """Both sounds at once: the louder of two is what a log spectrogram shows."""
    targets = np.maximum(first.targets, second.targets)
    return Example(
        np.maximum(first.image, second.image),
        first.marks | second.marks,
        None if first.guide is None or second.guide is None else np.maximum(first.guide, second.guide),
        targets,
        np.where(targets > 0, np.float32(1), np.minimum(first.weights, second.weights)),
    )


def stitched(first: Example, second: Example, column: int) -> Example:
    """The first example before a column, the second from it on; a call that the cut took is left in doubt."""
    marks = np.concatenate([first.marks[:, :column], second.marks[:, column:]], axis=1)
    before, after = first.targets, second.targets
    targets = np.maximum(before, after)
    weights = np.where(targets > 0, np.float32(1), np.minimum(first.weights, second.weights))
    for k in (int(number) for number in np.flatnonzero(targets)):
        left, played = int((marks >> k & 1).sum()), _marked(first, k) * before[k] + _marked(second, k) * after[k]
        if left < max(12, 0.3 * played):
            weights[k] = 0.0
    guide = None
    if first.guide is not None and second.guide is not None:
        guide = np.concatenate([first.guide[:, :column], second.guide[:, column:]], axis=1)
    image = np.concatenate([first.image[:, :column], second.image[:, column:]], axis=1)
    return Example(image, marks, guide, targets, weights)


def _marked(example: Example, k: int) -> int:
    return int((example.marks >> k & 1).sum())


def flipped(example: Example) -> Example:
    """The example backwards in time."""
    guide = None if example.guide is None else example.guide[:, ::-1]
    return replace(example, image=example.image[:, ::-1], marks=example.marks[:, ::-1], guide=guide)


def hidden(example: Example, first: int, width: int) -> Example:
    """Some columns silenced. Rows are never hidden: a call type is its band.

    Source: Park et al. (2019), SpecAugment.
    """
    image, marks = example.image.copy(), example.marks.copy()
    guide = None if example.guide is None else example.guide.copy()
    for array in (image, marks) if guide is None else (image, marks, guide):
        array[:, first : first + width] = 0
    return replace(example, image=image, marks=marks, guide=guide)


def vary_levels(rng: np.random.Generator, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vary gain, then at random: swell and fade in time, noise added, noise taken away; float32 in [0, 1]."""
    varied = image * np.float32(rng.uniform(0.85, 1.15)) + np.float32(rng.uniform(-0.03, 0.03))
    if rng.random() < 0.15:  # amplitude modulation: on a log image a factor is an offset
        phase = rng.uniform(0, 2 * np.pi) + np.linspace(0, 2 * np.pi * rng.uniform(0.5, 4), image.shape[1])
        swell = (rng.uniform(0.02, 0.1) * np.sin(phase)).astype(np.float32)
        varied = varied + swell * (varied > 0.15)
    if rng.random() < 0.5:
        varied = varied + np.float32(rng.uniform(0.005, 0.04)) * rng.standard_normal(image.shape, dtype=np.float32)
    elif rng.random() < 0.2:  # as after a denoiser: what is faint is gone
        cut = np.float32(rng.uniform(0.05, 0.2))
        varied = (varied - cut) * (1 / (1 - cut))
    return np.asarray(np.clip(varied, 0.0, 1.0), np.float32)


def vary(rng: np.random.Generator, example: Example) -> Example:
    """Vary one example that stands alone: direction, levels, hidden columns."""
    varied = flipped(example) if rng.random() < 0.5 else example
    varied = replace(varied, image=vary_levels(rng, varied.image))
    if rng.random() < 0.15:
        width = int(rng.integers(4, 24))
        varied = hidden(varied, int(rng.integers(0, varied.image.shape[1] - width)), width)
    return varied
