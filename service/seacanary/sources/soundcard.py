"""Source `soundcard`: any input PortAudio offers, up to 384 kHz, each channel a hydrophone.

PortAudio reports an overflow only as a flag on the first block after it, so the length of
the gap is measured (FrameIndex). Only a flag, or a block the hand-off shed, makes a gap:
a sound card whose crystal is slow or fast never does.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from seacanary.audio import Arrival, AudioBlock, PcmEncoding
from seacanary.errors import SourceError, SourceLost
from seacanary.handoff import Handoff
from seacanary.sources.capture import Captured, Clock, Feed, Opening, captured_blocks, read_clocks
from seacanary.sources.portaudio import PORTAUDIO, OpenInput, PortAudio, Wanted

PORTAUDIO_MAX_RATE_HZ = 384_000  # a check inside the library as Debian ships it, whatever the hardware can
CLOCK_STEP_S = 0.01  # more than NTP slews in a second-long stall (0.5 ms) and than reading two clocks can differ
CRYSTAL_ERROR = 1e-3  # how much slower than nominal a sound card may run; real ones stay below 2e-4

_ENCODINGS: dict[str, PcmEncoding] = {"int16": "s16le", "int24": "s24le", "int32": "s32le", "float32": "f32le"}


class SoundcardSection(BaseModel):
    """A sound card, found by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["soundcard"] = "soundcard"
    hydrophones: tuple[str, ...] = Field(min_length=1, description="one name per channel, in channel order")
    device: str = Field(
        min_length=1, description="the device's name, a part of it, or a regular expression; case does not matter"
    )
    sample_rate_hz: int = Field(gt=0, description="rate to capture at, hertz")
    format: Literal["int16", "int24", "int32", "float32"] = Field("int32", description="sample format asked for")
    latency_s: float = Field(
        0.3,
        ge=0.2,
        le=5,
        description="audio the driver holds for us before it overflows; under 0.2 s it does so by itself",
    )
    block_s: float = Field(0.02, ge=0.005, le=0.2, description="audio per callback")
    handoff_s: float = Field(
        5, gt=0, le=60, description="audio kept while the station is busy; beyond, the oldest is shed"
    )

    @field_validator("sample_rate_hz")
    @classmethod
    def _within_portaudio(cls, rate_hz: int) -> int:
        if rate_hz > PORTAUDIO_MAX_RATE_HZ:
            raise ValueError(
                f"PortAudio refuses rates above {PORTAUDIO_MAX_RATE_HZ} Hz; use kind: alsa for {rate_hz} Hz"
            )
        return rate_hz

    @property
    def can_stall(self) -> bool:
        """A device that falls silent has stalled."""
        return True

    @property
    def hydrophone_names(self) -> tuple[str, ...]:
        """Names of the hydrophones this source feeds."""
        return self.hydrophones

    @property
    def block_frames(self) -> int:
        """Frames per callback."""
        return max(1, round(self.block_s * self.sample_rate_hz))


@dataclass(frozen=True, slots=True)
class _Heard:
    """Where the stream stood after a block.

    Attributes:
        adc_end_s: the stream's ADC time after the block's last frame, 0 if unknown.
        clock_offset_s: system clock less monotonic clock; it changes when the system clock is stepped.
        origin_s: monotonic time of frame 0, by the promptest arrival of late.
    """

    adc_end_s: float
    clock_offset_s: float
    origin_s: float


class FrameIndex:
    """The stream index of every callback's first frame.

    An overflow's lost frames are measured from the jump of the stream's ADC time, which
    PortAudio takes from the driver's time stamp and fill level. Error bound: the step in
    which the driver reports its position, at worst one host period, below latency_s; a
    frame or two where the position is continuous. Where there is no ADC time, or the
    system clock it comes from was stepped meanwhile, the arrival of the callback decides:
    never shorter than the truth, and longer by what a callback arrives late, one host
    period plus the time this process did not run.

    PortAudio may fill the first block after an overflow up with frames from before it, and
    does not say how many; that block is dropped and counts as lost, so that no window
    holds the splice.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self.overflows = 0
        self._rate_hz = sample_rate_hz
        self._next_frame = 0
        self._heard: _Heard | None = None
        self._flagged = False

    def stamp(self, frames: int, *, adc_s: float, arrival: Arrival, overflowed: bool) -> int | None:
        """Account for one callback.

        Args:
            frames: frames in the callback's block.
            adc_s: the stream's ADC time of the block's first frame, 0 if unknown.
            arrival: clocks at the callback.
            overflowed: PortAudio's input overflow flag.

        Returns:
            Index of the block's first frame, or None: drop the block.
        """
        # every block of one host buffer carries the flag, and only the first comes after a jump
        again, self._flagged = overflowed and self._flagged, overflowed
        if overflowed and self._heard is None:
            return None  # the stream begins after this
        lost = self._lost(frames, adc_s=adc_s, arrival=arrival) if overflowed else 0
        is_loss = overflowed and (lost >= 1 or not again)
        first_frame = self._next_frame + (max(1, lost) if is_loss else 0)
        self._next_frame = first_frame + frames
        self._heard = self._after(frames, adc_s=adc_s, arrival=arrival)
        self.overflows += is_loss
        return None if is_loss else first_frame

    def _lost(self, frames: int, *, adc_s: float, arrival: Arrival) -> int:
        heard = self._heard
        if heard is None:
            return 0
        stepped_s = arrival.system_s - arrival.monotonic_s - heard.clock_offset_s
        if adc_s > 0 and heard.adc_end_s > 0 and abs(stepped_s) < CLOCK_STEP_S:
            return round((adc_s - heard.adc_end_s) * self._rate_hz)
        return round((arrival.monotonic_s - heard.origin_s) * self._rate_hz) - self._next_frame - frames

    def _after(self, frames: int, *, adc_s: float, arrival: Arrival) -> _Heard:
        block_s = frames / self._rate_hz
        origin_s = arrival.monotonic_s - self._next_frame / self._rate_hz
        if self._heard is not None:
            origin_s = min(origin_s, self._heard.origin_s + CRYSTAL_ERROR * block_s)
        return _Heard(
            adc_end_s=adc_s + block_s if adc_s > 0 else 0.0,
            clock_offset_s=arrival.system_s - arrival.monotonic_s,
            origin_s=origin_s,
        )


class CaptureCallback:
    """What PortAudio calls for each block, on its own thread: copies, stamps, hands off, returns."""

    def __init__(self, handoff: Handoff[Captured | SourceError], index: FrameIndex, *, clock: Clock) -> None:
        self._handoff, self._index, self._clock = handoff, index, clock

    def __call__(self, data: Any, frames: int, time_info: Any, flags: Any) -> None:
        """Take one block; the arguments are sounddevice's, whose types are opaque."""
        arrival = self._clock()
        first_frame = self._index.stamp(
            frames,
            adc_s=time_info.inputBufferAdcTime,
            arrival=arrival,
            overflowed=flags.input_overflow,
        )
        if first_frame is not None:
            self._handoff.put(Captured(bytes(data), first_frame, frames, arrival))


class Soundcard:
    """The Source over one PortAudio input."""

    def __init__(
        self, section: SoundcardSection, *, clock: Clock = read_clocks, portaudio: PortAudio = PORTAUDIO
    ) -> None:
        self._section, self._clock, self._portaudio = section, clock, portaudio
        self._index = FrameIndex(section.sample_rate_hz)
        self._opening: Opening[OpenInput] | None = None
        self._handoff: Handoff[Captured | SourceError] | None = None

    @property
    def overflows(self) -> int:
        """Overflows PortAudio flagged since the source was opened."""
        return self._index.overflows

    @property
    def shed_blocks(self) -> int:
        """Blocks the full hand-off shed since the source was opened."""
        return 0 if self._handoff is None else self._handoff.shed

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        """Open the device and yield what it hears; see Source.

        Raises:
            SourceLost: no such device now, or it stopped delivering.
            SourceUnusable: the name fits several devices, or the device cannot
                capture with this rate, format or number of channels.
        """
        section = self._section
        kept_blocks = max(1, round(section.handoff_s / section.block_s))
        self._handoff = handoff = Handoff[Captured | SourceError](asyncio.get_running_loop(), kept_blocks)
        self._opening = Opening(partial(self._portaudio.open, self._wanted(handoff)), self._portaudio.close)
        await self._opening.opened()
        feed = Feed(section.hydrophones, section.sample_rate_hz, _ENCODINGS[section.format])
        async for block in captured_blocks(handoff, feed):
            yield block

    async def aclose(self) -> None:
        """Stop the stream and release the device; safe to call twice."""
        if self._opening is not None:
            await self._opening.aclose()

    def _wanted(self, handoff: Handoff[Captured | SourceError]) -> Wanted:
        return Wanted(
            device=self._section.device,
            sample_rate_hz=self._section.sample_rate_hz,
            channels=len(self._section.hydrophones),
            format=self._section.format,
            block_frames=self._section.block_frames,
            latency_s=self._section.latency_s,
            callback=CaptureCallback(handoff, self._index, clock=self._clock),
            ended=lambda why: handoff.put(SourceLost(why)),
        )
