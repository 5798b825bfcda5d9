"""AudioBlock and Window, the two forms of audio between stages; PCM decoding."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

PcmEncoding = Literal["s16le", "s24le", "s32le", "f32le", "s16be", "s24be"]
PCM_ENCODINGS: tuple[PcmEncoding, ...] = get_args(PcmEncoding)

Raw = bytes | bytearray | memoryview

# 120 dB over full scale: no hydrophone says that, a damaged float stream does.
LARGEST_SAMPLE = 1e6


@dataclass(frozen=True, slots=True)
class Arrival:
    """When the last sample of a block reached this machine, for the clock fit only.

    Attributes:
        system_s: system clock (UTC seconds since 1970) at arrival.
        monotonic_s: monotonic clock at the same instant; a step of the system
            clock shows as a change of their difference.
    """

    system_s: float
    monotonic_s: float


@dataclass(frozen=True, slots=True, eq=False)
class AudioBlock:
    """Consecutive samples of one hydrophone.

    Attributes:
        hydrophone: name of the hydrophone.
        samples: float32 [n], full scale ±1, read-only, n >= 1.
        first_sample: stream index of samples[0] since the epoch began; lost
            samples are counted, so a jump is a gap.
        sample_rate_hz: nominal rate of the stream.
        epoch: UTC of the epoch's sample 0; names the stream epoch.
        arrival: when the last sample arrived, or None for recorded audio,
            whose time follows from epoch and rate alone.
        source_file: the file the samples were read from, if any.
        time_known: whether `epoch` is a real time; an undated recording's is a stand-in.
    """

    hydrophone: str
    samples: NDArray[np.float32]
    first_sample: int
    sample_rate_hz: int
    epoch: datetime
    arrival: Arrival | None = None
    source_file: str | None = None
    time_known: bool = True

    @property
    def end_sample(self) -> int:
        """Index after the last sample: blocks are [first, end)."""
        return self.first_sample + self.samples.size


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """One model input, cut from one hydrophone.

    Attributes:
        hydrophone: name of the hydrophone.
        pcm: float32 [window_samples] at the model's rate, full scale ±1, read-only.
        start: UTC of the window's first sample.
        epoch: UTC that names the stream epoch.
        first_sample: stream index (at the stream's own rate) of pcm[0].
        end_sample: stream index after the last sample heard; windows are
            [first_sample, end_sample).
        sample_rate_hz: the stream's own rate, in which the indices count.
        missing_fraction: share of pcm that no sample stands behind, 0 to 1
            (only at the end of a stream shorter than one window).
        clipped_fraction: share of samples at full scale, 0 to 1.
        source_file: the file the window's first sample was read from, if any.
    """

    hydrophone: str
    pcm: NDArray[np.float32]
    start: datetime
    epoch: datetime
    first_sample: int
    end_sample: int
    sample_rate_hz: int
    missing_fraction: float = 0.0
    clipped_fraction: float = 0.0
    source_file: str | None = None


def read_only(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the array marked read-only, as every array between stages is."""
    samples.setflags(write=False)
    return samples


def sample_bytes(encoding: PcmEncoding) -> int:
    """Bytes of one sample of one channel."""
    return int(encoding[1:3]) // 8


def decode_pcm(raw: Raw, encoding: PcmEncoding, channels: int) -> NDArray[np.float32]:
    """Turn interleaved PCM into one row per channel.

    Args:
        raw: whole frames, channels interleaved.
        encoding: sample format and byte order; 24 bit is packed in 3 bytes.
        channels: samples per frame.

    Returns:
        float32 [channels, n], C-contiguous, full scale ±1. Exact except for
        32-bit integers, which round to the 24 bits of a float32.

    Raises:
        ValueError: the bytes are not whole frames.
    """
    frame_bytes = sample_bytes(encoding) * channels
    if len(raw) % frame_bytes:
        raise ValueError(f"{len(raw)} bytes are not whole frames of {frame_bytes} bytes")
    if encoding == "f32le":
        return _by_channel(np.frombuffer(raw, "<f4"), channels)
    samples = _decode_int24(raw, encoding) if encoding.startswith("s24") else _decode_integers(raw, encoding)
    return _by_channel(samples, channels)


def finite_runs(samples: NDArray[np.float32]) -> list[slice]:
    """Stretches of usable samples, [start, stop), between NaN, infinite or absurd ones.

    Args:
        samples: float32 [n].

    Returns:
        Slices in order; what they leave out was never heard.
    """
    with np.errstate(invalid="ignore"):
        usable = np.abs(samples) <= LARGEST_SAMPLE
    if usable.all():
        return [slice(0, samples.size)] if samples.size else []
    edges = np.flatnonzero(np.diff(np.concatenate(([False], usable, [False]))))
    return [slice(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _by_channel(interleaved: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """float32 [n * channels] to C-contiguous float32 [channels, n] of its own memory."""
    return interleaved.reshape(-1, channels).T.astype(np.float32, order="C")


def _decode_integers(raw: Raw, encoding: PcmEncoding) -> NDArray[np.float32]:
    width = sample_bytes(encoding)
    integers = np.frombuffer(raw, f"{'>' if encoding.endswith('be') else '<'}i{width}")
    return integers.astype(np.float32) * np.float32(2.0 ** (1 - 8 * width))


def _decode_int24(raw: Raw, encoding: PcmEncoding) -> NDArray[np.float32]:
    """Read each 3-byte sample as the top of an unaligned int32, and mask the stray low byte away.

    One pad byte on the low side gives the edge sample its stray byte; the
    overlapping view is several times faster than assembling bytes.
    """
    big = encoding.endswith("be")
    padded = b"".join((raw, b"\0") if big else (b"\0", raw))
    view: NDArray[np.int32] = np.ndarray(len(raw) // 3, dtype=">i4" if big else "<i4", buffer=padded, strides=(3,))
    return (view & np.int32(-256)).astype(np.float32) * np.float32(2.0**-31)
