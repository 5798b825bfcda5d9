"""One file of the continuous archive: consecutive samples of one stream as FLAC, whole or not there."""

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import guano
import numpy as np
import soundfile
from numpy.typing import NDArray

from seacanary import __version__
from seacanary.evidence.clips import Stream
from seacanary.evidence.flac import header_rate_hz, in_24_bits


@dataclass(frozen=True, slots=True)
class ArchiveSpan:
    """What a file is to hold.

    Attributes:
        stream: where the samples count.
        first_sample: index of its first sample.
        limit_sample: index at which the next file begins at the latest.
        start: UTC of the first sample.
    """

    stream: Stream
    first_sample: int
    limit_sample: int
    start: datetime

    @property
    def name(self) -> str:
        """Relative path: HYDROPHONE/DATE/START_FIRSTSAMPLE_EPOCH.flac, date and start in UTC.

        EPOCH is six hex digits of hydrophone and epoch: a device that comes and goes may begin two
        epochs within a second, and two hydrophones' names may look alike as folders.
        """
        start = self.start.astimezone(UTC)
        epoch = sha256(f"{self.stream.hydrophone} {self.stream.epoch.isoformat()}".encode()).hexdigest()[:6]
        hydrophone = "".join(c if c.isalnum() or c in "-." else "_" for c in self.stream.hydrophone).lstrip(".")
        return f"{hydrophone or '_'}/{start:%Y-%m-%d}/{start:%Y%m%dT%H%M%SZ}_{self.first_sample}_{epoch}.flac"


class ArchiveFile:
    """A file being written, under a hidden name until it is whole."""

    def __init__(self, folder: Path, span: ArchiveSpan, *, station: str) -> None:
        """Open the file.

        Raises:
            OSError, soundfile.SoundFileError: the disk refuses.
        """
        self.span, self.end_sample = span, span.first_sample
        self.path = folder / span.name
        self._part = self.path.with_name(f".{self.path.name}.part")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = soundfile.SoundFile(
            self._part, "w", header_rate_hz(span.stream.sample_rate_hz), channels=1, subtype="PCM_24", format="FLAC"
        )
        self._file.comment = _guano(span, station)

    @property
    def is_full(self) -> bool:
        """Whether the next file has to begin."""
        return self.end_sample >= self.span.limit_sample

    def write(self, samples: NDArray[np.float32]) -> None:
        """Append samples: of a 16- or 24-bit recorder bit by bit, finer ones rounded to 24 bits.

        Raises:
            soundfile.SoundFileError: the disk refuses; abandon() the file.
        """
        self._file.write(in_24_bits(samples).integers)
        self.end_sample += samples.size

    def finish(self) -> int:
        """Give the file its name; return its size in bytes.

        Raises:
            OSError, soundfile.SoundFileError: it is not whole; abandon() it.
        """
        self._file.close()
        # libsndfile does not tell of a disk that fills up while it closes the file.
        held, wanted = soundfile.info(self._part).frames, self.end_sample - self.span.first_sample
        if held != wanted:
            raise OSError(None, f"{held} of {wanted} samples were written")
        descriptor = os.open(self._part, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        size_bytes = self._part.stat().st_size
        self._part.rename(self.path)
        return size_bytes

    def abandon(self) -> None:
        """Remove what was written."""
        with suppress(OSError, soundfile.SoundFileError):
            self._file.close()
        with suppress(OSError):
            self._part.unlink(missing_ok=True)


def _guano(span: ArchiveSpan, station: str) -> str:
    """Source: Riggsby and Reed, GUANO metadata specification 1.0."""
    rate_hz = span.stream.sample_rate_hz
    text = guano.GuanoFile()
    text["GUANO|Version"] = "1.0"
    text["Timestamp"] = span.start
    text["Samplerate"] = rate_hz
    if header_rate_hz(rate_hz) * 2 < rate_hz:
        text["TE"] = round(rate_hz / header_rate_hz(rate_hz))
    text["SeaCanary|Version"] = __version__
    text["SeaCanary|Station"] = station
    text["SeaCanary|Hydrophone"] = span.stream.hydrophone
    text["SeaCanary|Epoch"] = span.stream.epoch.isoformat()
    text["SeaCanary|First Sample"] = span.first_sample
    return str(text.to_string())
