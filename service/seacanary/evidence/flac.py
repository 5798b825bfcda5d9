"""Clips as FLAC: 24 bits, at the hydrophone's own rate."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import soundfile
from numpy.typing import NDArray

from seacanary.evidence.clips import ClipLayout, Range, Stream, overlaps

Read: TypeAlias = Callable[[Stream, int, int], tuple[NDArray[np.float32], list[Range]]]

FULL_SCALE = 2**23  # of 24-bit samples
CHUNK_SAMPLES = 1 << 19  # bounds the memory a long clip takes
# A FLAC stream says a rate above 65,535 Hz in tens of hertz, up to this one (RFC 9639, 9.1.2).
_LARGEST_EXACT_HZ, _LARGEST_HZ = 65_535, 655_350


@dataclass(frozen=True, slots=True)
class Encoded:
    """A clip as a file's content.

    Attributes:
        flac: the bytes of the file.
        clipped_samples: beyond full scale, and held at it.
        rounded_samples: finer than 24 bits, and rounded to them.
    """

    flac: bytes
    clipped_samples: int
    rounded_samples: int


class SamplesGone(Exception):
    """Samples that were held when the clip was laid out are held no more; lay it out again."""


def header_rate_hz(sample_rate_hz: int) -> int:
    """The rate a FLAC file says: the true one, or the nearest it can say.

    Above 655,350 Hz it is a tenth: time-expanded, as GUANO's TE tells.
    """
    if sample_rate_hz <= _LARGEST_EXACT_HZ:
        return sample_rate_hz
    if sample_rate_hz > _LARGEST_HZ:
        return header_rate_hz(round(sample_rate_hz / 10))
    return 10 * round(sample_rate_hz / 10)


def encode(layout: ClipLayout, read: Read, *, comment: str) -> Encoded:
    """Bring a clip's samples together.

    float32 of a 16- or 24-bit recorder is kept bit by bit. What is beyond full scale (±1) is held
    at it; a 32-bit or float recorder's finer steps are rounded to 24 bits; both are counted.

    Args:
        layout: which samples.
        read: gives samples [first, end) of a stream, and what of them is missing.
        comment: text, not empty, to go into the file's COMMENT tag.

    Raises:
        SamplesGone: some were dropped meanwhile.
        soundfile.SoundFileError: they cannot be encoded.
    """
    buffer, clipped, rounded = io.BytesIO(), 0, 0
    rate_hz = header_rate_hz(layout.span.stream.sample_rate_hz)
    with soundfile.SoundFile(buffer, "w", rate_hz, channels=1, subtype="PCM_24", format="FLAC") as file:
        file.comment = comment
        for chunk in _chunks(layout, read):
            kept = in_24_bits(chunk)
            clipped, rounded = clipped + kept.clipped, rounded + kept.rounded
            file.write(kept.integers)
    return Encoded(buffer.getvalue(), clipped, rounded)


def _chunks(layout: ClipLayout, read: Read) -> Iterator[NDArray[np.float32]]:
    """The clip's samples in order, zeros where they are missing."""
    for first in range(*layout.clip, CHUNK_SAMPLES):
        end = min(first + CHUNK_SAMPLES, layout.clip[1])
        chunk = np.zeros(end - first, np.float32)
        for piece in layout.pieces:
            for low, high in overlaps([(piece.at, piece.end_at)], (first, end)):
                shift = piece.first_sample - piece.at
                samples, gone = read(piece.stream, low + shift, high + shift)
                if gone:
                    raise SamplesGone(f"{piece.stream.hydrophone}: samples {gone} were dropped")
                chunk[low - first : high - first] = samples
        yield chunk


@dataclass(frozen=True, slots=True, eq=False)
class In24Bits:
    """Samples as FLAC keeps them.

    Attributes:
        integers: int32 [n]; the samples are the upper 24 bits.
        clipped: how many were beyond full scale, and are held at it.
        rounded: how many were finer than 24 bits.
    """

    integers: NDArray[np.int32]
    clipped: int
    rounded: int


def in_24_bits(samples: NDArray[np.float32]) -> In24Bits:
    """Bring samples, float32 [n], full scale ±1, to 24 bits."""
    scaled = samples * np.float32(FULL_SCALE)  # a power of two: exact, as is every step below 2**24
    steps = np.rint(scaled)
    within = np.clip(steps, -FULL_SCALE, FULL_SCALE - 1)
    beyond = within != steps
    inexact = (steps != scaled) & ~beyond
    return In24Bits(within.astype(np.int32) << 8, int(beyond.sum()), int(inexact.sum()))
