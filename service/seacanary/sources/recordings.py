"""One recorded file: what it is, and its samples, whatever state it is in."""

import os
import stat
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from seacanary.errors import SourceUnusable
from seacanary.sources.chunks import Chunks, read_chunks
from seacanary.sources.recording_time import StartSource, find_start

LOWEST_RATE_HZ = 1_000
HIGHEST_RATE_HZ = 2_000_000
MOST_CHANNELS = 256  # a towed array; above it a header is more likely wrong than true
_SALVAGE_FRAMES = 64  # at most this much is lost in front of undecodable data
_ENDLESS_FRAMES = 1 << 60  # libsndfile's "cannot tell"

READABLE = "WAV, RF64, W64, AIFF, FLAC, OGG, MP3 or another format that libsndfile reads"


@dataclass(frozen=True, slots=True)
class Recording:
    """What a recorded file says of itself.

    Attributes:
        path: the file.
        sample_rate_hz: frames per second.
        channels: samples per frame.
        frames: frames the file can hold; it may turn out to hold fewer.
        promised_frames: frames its header promises; more than `frames` if the
            file was cut off.
        start: UTC of the first sample.
        start_source: what said so; "unknown" means that nothing did.
        format: container and encoding, as libsndfile names them.
    """

    path: Path
    sample_rate_hz: int
    channels: int
    frames: int
    promised_frames: int
    start: datetime
    start_source: StartSource
    format: str

    @property
    def time_known(self) -> bool:
        """Whether `start` is a real time, not the fixed stand-in of 1970."""
        return self.start_source != "unknown"

    @property
    def length(self) -> timedelta:
        """Length of what the file can hold."""
        return timedelta(seconds=self.frames / self.sample_rate_hz)


def probe(path: Path, *, utc_offset: timedelta = timedelta(), configured: datetime | None = None) -> Recording:
    """Read a file's header and find when it began.

    Args:
        path: the file.
        utc_offset: what the recorder's clock showed minus UTC.
        configured: start to assume when neither metadata nor name gives one.

    Raises:
        SourceUnusable: not a readable recording; says what is wrong and what
            would be right.
    """
    chunks = _chunks_of(path)
    with _open(path) as sound:
        began = find_start(path, chunks, utc_offset=utc_offset, configured=configured)
        return Recording(
            path=path,
            sample_rate_hz=sound.samplerate,
            channels=sound.channels,
            frames=sound.frames,
            promised_frames=max(sound.frames, chunks.promised_frames or 0),
            start=began.start,
            start_source=began.source,
            format=f"{sound.format} {sound.subtype}",
        )


class RecordingReader:
    """The samples of one file, in order, up to its end or its first undecodable spot."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            SourceUnusable: as probe.
        """
        self._sound = _open(path)
        self._position = 0
        self.damage: str | None = None

    def read(self, frames: int) -> NDArray[np.float32]:
        """Read on.

        Returns:
            float32 [channels, n], full scale ±1, n <= frames; n == 0 at the end.
        """
        if self.damage is not None:
            return np.empty((self._sound.channels, 0), np.float32)
        try:
            samples = self._read(frames)
        except soundfile.SoundFileError as exc:
            self.damage = _reason(exc)
            samples = self._salvage()
        self._position += samples.shape[0]
        return np.ascontiguousarray(samples.T)

    def close(self) -> None:
        """Release the file; safe to call twice."""
        self._sound.close()

    def _read(self, frames: int) -> NDArray[np.float32]:
        samples: NDArray[np.float32] = self._sound.read(frames, dtype="float32", always_2d=True)
        return samples

    def _salvage(self) -> NDArray[np.float32]:
        """Frames before the damage, which libsndfile decodes but withholds with its error."""
        pieces = [np.empty((0, self._sound.channels), np.float32)]
        try:
            self._sound.seek(self._position)
            while len(piece := self._read(_SALVAGE_FRAMES)):
                pieces.append(piece)
        except soundfile.SoundFileError:
            pass  # the same damage again: what came before it is all there is
        return np.concatenate(pieces)


def _chunks_of(path: Path) -> Chunks:
    try:
        with _regular(path).open("rb") as stream:
            return read_chunks(stream)
    except OSError as exc:
        raise SourceUnusable(f"{path}: cannot be read: {exc.strerror or exc}; expected a readable file") from exc


def _regular(path: Path) -> Path:
    """Refuse what is no file with content, before a library can hang or fail on it."""
    try:
        facts = path.stat()
    except FileNotFoundError as exc:
        raise SourceUnusable(f"{path}: no such file") from exc
    except ValueError as exc:  # a NUL in the name
        raise SourceUnusable(f"{path!s:.200}: not a possible file name: {exc}") from exc
    if stat.S_ISDIR(facts.st_mode):
        raise SourceUnusable(f"{path}: is a folder, expected a sound file")
    if not stat.S_ISREG(facts.st_mode):
        raise SourceUnusable(f"{path}: is no regular file, expected a sound file")
    if facts.st_size == 0:
        raise SourceUnusable(f"{path}: is empty (0 bytes), expected a sound file")
    return path


def _open(path: Path) -> soundfile.SoundFile:
    try:
        sound = soundfile.SoundFile(os.fspath(path))
    except soundfile.SoundFileError as exc:
        raise SourceUnusable(f"{path}: {_reason(exc)}; expected {READABLE}") from exc
    except (TypeError, ValueError, OSError) as exc:  # header-less .raw needs a rate we do not have
        raise SourceUnusable(f"{path}: cannot be opened ({exc}); expected {READABLE}") from exc
    fault = _fault(sound)
    if fault is not None:
        sound.close()
        raise SourceUnusable(f"{path}: {fault}")
    return sound


def _fault(sound: soundfile.SoundFile) -> str | None:
    """What makes a file that libsndfile accepts unfit all the same."""
    if not LOWEST_RATE_HZ <= sound.samplerate <= HIGHEST_RATE_HZ:
        return f"sample rate {sound.samplerate} Hz, expected {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz"
    if sound.channels > MOST_CHANNELS:
        return f"{sound.channels} channels, expected at most {MOST_CHANNELS}"
    if not 0 < sound.frames < _ENDLESS_FRAMES:
        return "has a header but no samples, expected at least one"
    return None


def _reason(exc: soundfile.SoundFileError) -> str:
    """libsndfile's own words, without the path and the trailing stop."""
    text = exc.error_string if isinstance(exc, soundfile.LibsndfileError) else str(exc)
    return text.removeprefix("Error : ").rstrip(". ")
