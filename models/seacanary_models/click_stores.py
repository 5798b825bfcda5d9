"""Reads click waveforms that detectors stored: PAMGuard binary files (.pgdf) and MATLAB exports (.mat)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import io

from seacanary.errors import SeaCanaryError

FILE_HEADER, FILE_FOOTER, CLICK = -1, -2, 1000  # object identifiers
HEADER_EXTRA_BYTES = 4  # a file header's length leaves out its own last field
# Optional fields of an object's standard part, in file order: (flag bit, bytes).
_STANDARD_FIELDS = (
    (0x2, 8),  # time in nanoseconds
    (0x4, 4),  # channel map
    (0x8, 8),  # unit id
    (0x10, 8),  # start sample
    (0x20, 4),  # duration, samples
    (0x40, 8),  # frequency limits
    (0x80, 4),  # duration, milliseconds
)
_TIME_DELAYS = 0x100
_TAIL_FIELDS = (0x400, 0x800, 0x1000, 0x2000)  # sequence map, noise, signal, excess: 4 bytes each


@dataclass(frozen=True, slots=True, eq=False)
class StoredClick:
    """One click as its detector kept it.

    Attributes:
        samples: float32 [n], the first channel, full scale ±1, read-only.
        start_sample: index of samples[0] in the recording it was cut from.
    """

    samples: NDArray[np.float32]
    start_sample: int


def read_pgdf(path: Path) -> list[StoredClick]:
    """Clicks of a PAMGuard click detector file, module version 4 in file format 3 or later.

    Raises:
        SeaCanaryError: not such a file, or cut off in the middle of an object.

    Source: object layout as in PAMGuard's own MATLAB reader.
    """
    content = path.read_bytes()
    try:
        return [_click(content, at) for at, identifier in _objects(content) if identifier == CLICK]
    except (struct.error, ValueError) as exc:
        raise SeaCanaryError(f"{path.name}: not a whole PAMGuard click file: {exc}") from exc


def _objects(content: bytes) -> Iterator[tuple[int, int]]:
    at, first = 0, True
    while at < len(content):
        length, identifier = struct.unpack_from(">ii", content, at)
        if length < 8 or at + length > len(content) or (first and identifier != FILE_HEADER):
            raise ValueError(f"object of length {length} and type {identifier} at byte {at}")
        if identifier == FILE_FOOTER:
            return
        yield at, identifier
        at += length + (HEADER_EXTRA_BYTES if first else 0)
        first = False


def _click(content: bytes, at: int) -> StoredClick:
    (flags,) = struct.unpack_from(">H", content, at + 16)
    cursor, start_sample, duration = at + 18, 0, 0
    for bit, size in _STANDARD_FIELDS:
        if not flags & bit:
            continue
        if bit == 0x10:
            (start_sample,) = struct.unpack_from(">q", content, cursor)
        elif bit == 0x20:
            (duration,) = struct.unpack_from(">i", content, cursor)
        cursor += size
    if flags & _TIME_DELAYS:
        cursor += 2 + 4 * struct.unpack_from(">h", content, cursor)[0]
    cursor += 4 * sum(bool(flags & bit) for bit in _TAIL_FIELDS)
    cursor += 4 + 4 + 2 + 4  # length of what follows, trigger map, click type, flags
    for _ in range(2):  # angles, then their errors: a count and as many floats
        cursor += 2 + 4 * struct.unpack_from(">h", content, cursor)[0]
    (loudest,) = struct.unpack_from(">f", content, cursor)
    steps = np.frombuffer(content, np.int8, count=duration, offset=cursor + 4)
    return StoredClick(_read_only(steps * np.float32(loudest / 127)), start_sample)


def read_click_mat(path: Path) -> list[StoredClick]:
    """Clicks of a PAMGuard detection export for MATLAB (a struct array `clicks` with `wave`).

    Raises:
        SeaCanaryError: the file holds no such array.
    """
    try:
        clicks = io.loadmat(path, simplify_cells=True)["clicks"]
        return [StoredClick(_read_only(click["wave"]), int(click["startSample"])) for click in clicks]
    except (KeyError, TypeError, ValueError) as exc:
        raise SeaCanaryError(f"{path.name}: no 'clicks' with waveforms inside: {exc}") from exc


def _read_only(samples: NDArray[np.floating]) -> NDArray[np.float32]:
    owned = np.array(samples, np.float32).reshape(-1)
    owned.flags.writeable = False
    return owned
