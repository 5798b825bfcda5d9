"""Segment files: runs of raw samples, and what their paths say of them.

    HYDROPHONE/EPOCH_RATE/FIRST_START.f32

EPOCH and START in microseconds since 1970 (START is "undated" where the recording is), FIRST the
stream index of the first sample. A file that a kill cut within a sample ends before that sample.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seacanary.evidence.clips import Stream

SAMPLE_BYTES = 4
_NAME_FILE = "hydrophone"  # holds the name that its folder can only hint at
_ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UNSAFE = re.compile(r"[^\w-]")


@dataclass(slots=True, eq=False)
class Segment:
    """A file of consecutive samples.

    Attributes:
        path: of the file.
        stream: where its indices count.
        first_sample: index of the first; they are [first_sample, end_sample).
        start: UTC of the first; None for an undated recording.
        touched: how many blocks the store had taken when these samples were last heard.
        heard_s: how much of the hydrophone the store had heard then, seconds.
        gone: whether the store has let go of it.
    """

    path: Path
    stream: Stream
    first_sample: int
    end_sample: int
    start: datetime | None
    touched: int = 0
    heard_s: float = 0.0
    gone: bool = False

    @property
    def samples(self) -> int:
        """How many it holds."""
        return self.end_sample - self.first_sample

    @property
    def size_bytes(self) -> int:
        """What they take on disk."""
        return self.samples * SAMPLE_BYTES

    @property
    def end(self) -> datetime | None:
        """UTC after the last sample."""
        length = timedelta(seconds=self.samples / self.stream.sample_rate_hz)
        return None if self.start is None else self.start + length


def create_segment(folder: Path, stream: Stream, first_sample: int, start: datetime | None) -> tuple[Segment, int]:
    """Begin a file below a store's folder.

    Returns:
        The segment, empty, and the file's descriptor, which is the caller's to close.

    Raises:
        OSError: it cannot be made.
    """
    epoch_folder = folder / _folder_of(stream.hydrophone) / f"{_us(stream.epoch)}_{stream.sample_rate_hz}"
    epoch_folder.mkdir(parents=True, exist_ok=True)
    _name_folder(epoch_folder.parent, stream.hydrophone)
    path = epoch_folder / f"{first_sample:015d}_{'undated' if start is None else _us(start)}.f32"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    return Segment(path, stream, first_sample, first_sample, start), file


def find_segments(folder: Path) -> Iterator[Segment]:
    """Segments that an earlier process left; an empty one is removed."""
    for hydrophone_folder in sorted(folder.glob("*/")):
        try:
            hydrophone = (hydrophone_folder / _NAME_FILE).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        for path in sorted(hydrophone_folder.glob("*/*.f32")):
            segment = _segment_at(path, hydrophone)
            if segment is not None and segment.samples:
                yield segment
            elif segment is not None:
                with suppress(OSError):
                    path.unlink()


def write_samples(file: int, samples: NDArray[np.float32]) -> None:
    """Hand all samples to the kernel.

    Raises:
        OSError: it took only a part of them, or none.
    """
    left = np.ascontiguousarray(samples, "<f4").data.cast("B")
    while left:
        left = left[os.write(file, left) :]


def read_samples(segment: Segment, first_sample: int, end_sample: int) -> NDArray[np.float32]:
    """Samples [first_sample, end_sample) of a segment; fewer, or none, if the file does not give them."""
    offset = (first_sample - segment.first_sample) * SAMPLE_BYTES
    try:
        return np.fromfile(segment.path, "<f4", count=end_sample - first_sample, offset=offset)
    except OSError:
        return np.zeros(0, np.float32)


def remove_segment(segment: Segment) -> None:
    """Remove the file, and its epoch's folder with the last one; what cannot be removed stays."""
    with suppress(OSError):
        segment.path.unlink()
        segment.path.parent.rmdir()


def _segment_at(path: Path, hydrophone: str) -> Segment | None:
    """What a file's path says; None if it is not one of ours."""
    try:
        epoch, rate = (int(word) for word in path.parent.name.split("_"))
        first, start = path.stem.split("_")
        samples = path.stat().st_size // SAMPLE_BYTES
        stream = Stream(hydrophone, _utc(epoch), rate)
        begins = None if start == "undated" else _utc(int(start))
        return Segment(path, stream, int(first), int(first) + samples, begins)
    except (ValueError, OSError):
        return None


def _name_folder(folder: Path, hydrophone: str) -> None:
    path = folder / _NAME_FILE
    if not path.exists():
        part = path.with_suffix(".part")
        part.write_text(hydrophone, encoding="utf-8")
        part.rename(path)


def _folder_of(hydrophone: str) -> str:
    """A folder of its own for each name, whatever letters that is made of."""
    return f"{_UNSAFE.sub('_', hydrophone)[:40]}-{sha256(hydrophone.encode()).hexdigest()[:8]}"


def _us(utc: datetime) -> int:
    return (utc - _ORIGIN) // _MICROSECOND


def _utc(us: int) -> datetime:
    return _ORIGIN + us * _MICROSECOND
