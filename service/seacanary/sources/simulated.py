"""Source `simulated`: seeded hydrophones with known calls, alone or over a real recording."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import soxr
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from seacanary.audio import AudioBlock, read_only
from seacanary.simulation import Scene, SimulatedCall, Soundscape
from seacanary.sources.capture import Clock, read_clocks
from seacanary.sources.pacing import Monotonic, Pacer, Sleep
from seacanary.sources.recordings import RecordingReader, probe

BLOCK_S = 0.25
_CALLS_KEPT = 10_000
_SEAM_S = 0.5  # crossfade where a background begins anew
_BACKGROUND_MAX_S = 600.0  # it is held in memory


class SimulatedSection(BaseModel):
    """Simulated hydrophones, each with a seed of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["simulated"] = "simulated"
    hydrophones: tuple[str, ...] = Field(("simulated",), min_length=1, description="one name per simulated hydrophone")
    scene: Scene = Field(default_factory=Scene, description="what is heard; hydrophone n has the seed scene.seed + n")
    sample_rate_hz: int = Field(384_000, ge=8000, le=576_000, description="samples per second")
    pace: Literal["realtime", "fast"] = Field("realtime", description="as a hydrophone would, or as fast as possible")
    seconds: float | None = Field(None, gt=0, description="ends after so much audio; null: never")
    start: AwareDatetime | None = Field(None, description="time of the first sample; null: now")
    background: Path | None = Field(None, description="a recording that is looped under the scene")
    background_gain_db: float = Field(0.0, ge=-120, le=60, description="level of the background, dB")

    @property
    def hydrophone_names(self) -> tuple[str, ...]:
        """Names of the hydrophones this source feeds."""
        return self.hydrophones

    @property
    def can_stall(self) -> bool:
        """A simulation that falls silent is a fault like any other."""
        return True


@dataclass(frozen=True, slots=True)
class HeardCall:
    """A call that was put into the audio.

    Attributes:
        hydrophone: where.
        call: what and when, in samples since the epoch.
    """

    hydrophone: str
    call: SimulatedCall


class LoopedBackground:
    """A recording without end: crossfaded into its own beginning.

    Args:
        recording: float32 [n], full scale ±1, n >= 2.
        seam_samples: length of the crossfade; shortened if the recording is short.
        first: index at which the loop starts, to set several hydrophones apart.
    """

    def __init__(self, recording: NDArray[np.float32], *, seam_samples: int, first: int = 0) -> None:
        seam = min(seam_samples, recording.size // 2)
        self._loop = recording[: recording.size - seam].copy()
        if seam:
            # sines keep the power of sounds that are not alike, as two moments of noise are
            angle = np.linspace(0, np.pi / 2, seam, dtype=np.float32)
            self._loop[:seam] = recording[:seam] * np.sin(angle) + recording[recording.size - seam :] * np.cos(angle)
        self._position = first % self._loop.size

    def next(self, count: int) -> NDArray[np.float32]:
        """The next `count` samples, float32 [count]."""
        samples = np.take(self._loop, np.arange(self._position, self._position + count), mode="wrap")
        self._position = (self._position + count) % self._loop.size
        return samples


class SimulatedSource:
    """Renders soundscapes block by block on a thread, paced against the monotonic clock."""

    def __init__(
        self,
        section: SimulatedSection,
        *,
        clock: Clock = read_clocks,
        monotonic: Monotonic = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Set up; nothing is rendered yet.

        Args:
            section: what to simulate.
            clock: gives the time of the first sample if the section does not, and arrivals.
            monotonic: clock for the pace.
            sleep: waits, for the pace.
        """
        self._section, self._clock = section, clock
        self._pacer = Pacer(monotonic, sleep) if section.pace == "realtime" else None
        self.calls: deque[HeardCall] = deque(maxlen=_CALLS_KEPT)

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        """Yield blocks of all hydrophones in turn.

        Raises:
            SourceUnusable: the background cannot be read.
        """
        section = self._section
        hydrophones = await asyncio.to_thread(self._hydrophones)
        epoch = section.start
        end = None if section.seconds is None else round(section.seconds * section.sample_rate_hz)
        first, step = 0, max(1, round(BLOCK_S * section.sample_rate_hz))
        while end is None or first < end:
            count = step if end is None else min(step, end - first)
            rendered = await asyncio.to_thread(_render, hydrophones, count)
            if self._pacer is not None:
                await self._pacer.wait_until((first + count) / section.sample_rate_hz)
            arrival = None if self._pacer is None else self._clock()
            if epoch is None:  # as of a device: the first block has just arrived, so its first sample is this old
                epoch = datetime.fromtimestamp(self._clock().system_s - count / section.sample_rate_hz, UTC)
            for hydrophone, (samples, calls) in zip(hydrophones, rendered, strict=True):
                self.calls.extend(HeardCall(hydrophone.name, call) for call in calls)
                yield AudioBlock(hydrophone.name, samples, first, section.sample_rate_hz, epoch, arrival)
            first += count

    async def aclose(self) -> None:
        """Nothing is held."""

    def _hydrophones(self) -> list["_Hydrophone"]:
        section = self._section
        recording = None if section.background is None else _read_background(section.background, section.sample_rate_hz)
        return [_Hydrophone(section, number, recording) for number in range(len(section.hydrophones))]


class _Hydrophone:
    """One seeded soundscape, over its own stretch of the background."""

    def __init__(self, section: SimulatedSection, number: int, recording: NDArray[np.float32] | None) -> None:
        scene = section.scene.model_copy(update={"seed": section.scene.seed + number})
        self.name = section.hydrophones[number]
        self._soundscape = Soundscape(scene, sample_rate_hz=section.sample_rate_hz)
        self._gain = np.float32(10 ** (section.background_gain_db / 20))
        self._background: LoopedBackground | None = None
        if recording is not None:
            seam, apart = round(_SEAM_S * section.sample_rate_hz), recording.size // len(section.hydrophones)
            self._background = LoopedBackground(recording, seam_samples=seam, first=number * apart)
        self._position = 0

    def render(self, count: int) -> tuple[NDArray[np.float32], list[SimulatedCall]]:
        """The next samples, float32 [count], full scale ±1, and the calls whose onset they hold."""
        rendered = self._soundscape.render(count)
        first, self._position = self._position, self._position + count
        calls = [call for call in rendered.calls if max(0, call.onset_sample) >= first]
        if self._background is None:
            return rendered.samples, calls
        mixed = rendered.samples + self._gain * self._background.next(count)
        return read_only(np.clip(mixed, -1, 1)), calls


def _render(hydrophones: list[_Hydrophone], count: int) -> list[tuple[NDArray[np.float32], list[SimulatedCall]]]:
    return [hydrophone.render(count) for hydrophone in hydrophones]


def _read_background(path: Path, sample_rate_hz: int) -> NDArray[np.float32]:
    """The first channel of a recording, at another rate, float32 [n].

    Raises:
        SourceUnusable: it cannot be read.
    """
    recording, reader = probe(path), RecordingReader(path)
    try:
        samples = reader.read(min(recording.frames, round(_BACKGROUND_MAX_S * recording.sample_rate_hz)))[0]
    finally:
        reader.close()
    samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    resampled: NDArray[np.float32] = soxr.resample(samples, recording.sample_rate_hz, sample_rate_hz)
    return resampled
