"""Windows of any recording as T's images, with the exact span of the recording that each one shows."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Self

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from seacanary.errors import SeaCanaryError
from seacanary_models.recordings import EDGE_SAMPLES, plain_stretch
from seacanary_models.transforms import SAMPLE_RATE_HZ, WINDOW_SAMPLES, CompositeSpectrogram


class Source(BaseModel):
    """Where a picture comes from; spans are half-open, in samples of the recording itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str = Field(description="name of the audio file, without its folder")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="of the audio file")
    sample_rate_hz: int = Field(gt=0, description="of the recording; its pictures are made at 384 kHz")
    channel: int | None = Field(ge=0, description="null: the mean of all channels")
    first_sample: int = Field(ge=0)
    end_sample: int

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.end_sample <= self.first_sample:
            raise ValueError(f"end_sample ({self.end_sample}) must be after first_sample ({self.first_sample})")
        return self


@dataclass(frozen=True, slots=True, eq=False)
class SourceWindow:
    """One window of a recording.

    Attributes:
        source: what it shows.
        image: T's image, uint8 [256, 256], 255 = the top of T's range.
    """

    source: Source
    image: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class AudioFile:
    """A recording on disk, read window by window so that its length does not matter.

    Attributes:
        path: any format that libsndfile reads.
        channel: which one to read; None: the mean of all.
    """

    path: Path
    channel: int | None = None

    def window_starts(self, *, hop_s: float) -> list[int]:
        """First sample of each window: `hop_s` apart, the last one where it still ends with the recording.

        Raises:
            SeaCanaryError: the file cannot be read, or has no such channel.
        """
        with self._opened() as audio:
            samples = _window_samples(audio.samplerate)
            last = max(0, audio.frames - samples)
            starts = range(0, last + 1, max(1, round(hop_s * audio.samplerate)))
        return [*starts, last] if starts[-1] < last else list(starts)

    def windows(self, starts: list[int]) -> Iterator[SourceWindow]:
        """The windows that begin at these samples; what a short recording does not fill is silent.

        Raises:
            SeaCanaryError: the file cannot be read, or has no such channel.
        """
        transform = CompositeSpectrogram().eval()
        with self._opened() as audio, self.path.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
            for start in starts:
                end = min(start + _window_samples(audio.samplerate), audio.frames)
                source = Source(
                    file=self.path.name,
                    sha256=digest,
                    sample_rate_hz=audio.samplerate,
                    channel=self.channel,
                    first_sample=start,
                    end_sample=end,
                )
                yield SourceWindow(source, _image(transform, self._read(audio, start)))

    def _read(self, audio: soundfile.SoundFile, start: int) -> NDArray[np.float32]:
        lead = min(start, EDGE_SAMPLES)
        audio.seek(start - lead)
        block = audio.read(lead + _window_samples(audio.samplerate) + EDGE_SAMPLES, dtype="float32", always_2d=True)
        mono = block.mean(axis=1, dtype=np.float32) if self.channel is None else block[:, self.channel]
        return plain_stretch(
            np.ascontiguousarray(mono), audio.samplerate, start=lead, to_rate_hz=SAMPLE_RATE_HZ, samples=WINDOW_SAMPLES
        )

    def _opened(self) -> soundfile.SoundFile:
        try:
            audio = soundfile.SoundFile(self.path)
        except (OSError, soundfile.LibsndfileError) as exc:
            raise SeaCanaryError(f"{self.path.name} cannot be read as audio: {exc}") from exc
        if self.channel is not None and self.channel >= audio.channels:
            audio.close()
            raise SeaCanaryError(
                f"{self.path.name} has {audio.channels} channels, counted from 0; there is no {self.channel}"
            )
        if not audio.frames:
            audio.close()
            raise SeaCanaryError(f"{self.path.name} holds no samples")
        return audio


def _window_samples(rate_hz: int) -> int:
    """Samples of a recording that fill one window, rounded up."""
    return -(-WINDOW_SAMPLES * rate_hz // SAMPLE_RATE_HZ)


@torch.inference_mode()
def _image(transform: CompositeSpectrogram, pcm: NDArray[np.float32]) -> NDArray[np.uint8]:
    image = transform(torch.from_numpy(pcm)[None])[0, 0].numpy()
    return np.asarray(np.round(image * 255), np.uint8)
