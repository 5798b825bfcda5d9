"""Source `alsa`: ALSA without PortAudio, for interfaces at 512 or 576 kHz, each channel a hydrophone.

ALSA reports an overrun and not its length, so the gap is measured (FramePosition). Only
an overrun, or a block the hand-off shed, makes a gap; a slow or fast crystal never does.
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from functools import partial
from types import ModuleType
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from seacanary.audio import AudioBlock, PcmEncoding
from seacanary.errors import SourceError, SourceLost, SourceUnusable
from seacanary.handoff import Handoff
from seacanary.sources.capture import Captured, Clock, Feed, Opening, captured_blocks, read_clocks
from seacanary.sources.real_time import ask_for_real_time

_ENCODINGS: dict[str, PcmEncoding] = {
    "S16_LE": "s16le",
    "S24_3LE": "s24le",
    "S32_LE": "s32le",
    "FLOAT_LE": "f32le",
}
_JOIN_TIMEOUT_S = 2.0


class AlsaSection(BaseModel):
    """An ALSA capture device."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["alsa"] = "alsa"
    hydrophones: tuple[str, ...] = Field(min_length=1, description="one name per channel, in channel order")
    device: str = Field(
        min_length=1,
        description="ALSA name of the device, as `seacanary devices` lists it: hw:CARD=UltraMic,DEV=0; "
        "a plug: or default device may resample without saying so",
    )
    sample_rate_hz: int = Field(gt=0, le=10_000_000, description="rate to capture at, hertz")
    format: Literal["S16_LE", "S24_3LE", "S32_LE", "FLOAT_LE"] = Field("S32_LE", description="sample format")
    period_s: float = Field(0.02, ge=0.002, le=0.2, description="audio per read")
    buffer_s: float = Field(0.5, ge=0.05, le=5, description="audio the driver holds for us before it overruns")
    handoff_s: float = Field(
        5, gt=0, le=60, description="audio kept while the station is busy; beyond, the oldest is shed"
    )

    @property
    def hydrophone_names(self) -> tuple[str, ...]:
        """Names of the hydrophones this source feeds."""
        return self.hydrophones

    @property
    def can_stall(self) -> bool:
        """A device that falls silent has stalled."""
        return True

    @property
    def period_frames(self) -> int:
        """Frames per read."""
        return max(1, round(self.period_s * self.sample_rate_hz))


class Pcm(Protocol):
    """The part of alsaaudio.PCM used here."""

    def read(self) -> tuple[int, bytes]:
        """Wait for a period: (frames, bytes); a negative count is an overrun, already recovered from."""

    def avail(self) -> int:
        """Frames waiting in the driver's buffer; negative in an overrun."""

    def close(self) -> None:
        """Release the device."""


class FramePosition:
    """The stream index of every read's first frame.

    After a good read the device's own position is known: what was read, and what waits in
    its buffer. An overrun is measured from the last such moment to the next, by the
    monotonic clock at the nominal rate. Error bound: one period of the device (the step in
    which some drivers report their fill level), and the time the reading thread was held
    up between the two readings; some frames where the fill level is continuous.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        self._next_frame = 0
        self._heard: tuple[float, int] | None = None  # monotonic time, index after the last frame the device held
        self._overrun = False
        self.overruns = 0

    def overrun(self) -> None:
        """The device reported an overrun; the next read comes after a gap."""
        self.overruns += not self._overrun
        self._overrun = True

    def stamp(self, frames: int, *, waiting: int, monotonic_s: float) -> int:
        """Account for one good read.

        Args:
            frames: frames read.
            waiting: frames in the driver's buffer after it, negative if unknown.
            monotonic_s: monotonic clock at the same moment.

        Returns:
            Stream index of the first frame read.
        """
        first_frame = self._next_frame
        if self._overrun and self._heard is not None:
            heard_s, heard_frame = self._heard
            now_frame = heard_frame + round((monotonic_s - heard_s) * self._rate_hz)
            first_frame = max(first_frame + 1, now_frame - max(0, waiting) - frames)
        self._overrun = False
        self._next_frame = first_frame + frames
        if waiting >= 0:
            self._heard = (monotonic_s, self._next_frame + waiting)
        return first_frame


class Reader(threading.Thread):
    """Reads a PCM until told to stop or until it fails, and then closes it."""

    def __init__(
        self, pcm: Pcm, handoff: Handoff[Captured | SourceError], *, position: FramePosition, clock: Clock
    ) -> None:
        # daemon: a driver that hangs in a read must not hold up the end of the process
        super().__init__(name="alsa-capture", daemon=True)
        self._pcm, self._handoff, self._position, self._clock = pcm, handoff, position, clock
        self._stopping = threading.Event()

    def end(self) -> None:
        """Ask the thread to end after the read it is in, and wait for it, up to 2 s."""
        self._stopping.set()
        self.join(_JOIN_TIMEOUT_S)

    def run(self) -> None:
        """The thread's body; hands a SourceLost over when the device fails."""
        ask_for_real_time()
        try:
            while not self._stopping.is_set():
                self._read_once()
        except alsaaudio().ALSAAudioError as exc:
            self._handoff.put(SourceLost(f"ALSA stopped delivering: {exc}"))
        finally:
            self._pcm.close()

    def _read_once(self) -> None:
        frames, raw = self._pcm.read()
        if frames < 0:
            self._position.overrun()
            return
        if frames == 0:
            return
        arrival = self._clock()
        first_frame = self._position.stamp(frames, waiting=self._pcm.avail(), monotonic_s=arrival.monotonic_s)
        self._handoff.put(Captured(raw, first_frame, frames, arrival))


class Alsa:
    """The Source over one ALSA capture device."""

    def __init__(self, section: AlsaSection, *, clock: Clock = read_clocks) -> None:
        self._section, self._clock = section, clock
        self._position = FramePosition(section.sample_rate_hz)
        self._opening: Opening[Reader] | None = None
        self._handoff: Handoff[Captured | SourceError] | None = None

    @property
    def overflows(self) -> int:
        """Overruns since the source was opened."""
        return self._position.overruns

    @property
    def shed_blocks(self) -> int:
        """Blocks the full hand-off shed since the source was opened."""
        return 0 if self._handoff is None else self._handoff.shed

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        """Open the device and yield what it hears; see Source.

        Raises:
            SourceLost: no such device now, or it stopped delivering.
            SourceUnusable: pyalsaaudio is not installed, or the device does not
                grant this rate, format or number of channels.
        """
        section = self._section
        kept_blocks = max(1, round(section.handoff_s / section.period_s))
        self._handoff = handoff = Handoff[Captured | SourceError](asyncio.get_running_loop(), kept_blocks)
        self._opening = Opening(partial(self._start_reader, handoff), Reader.end)
        await self._opening.opened()
        feed = Feed(section.hydrophones, section.sample_rate_hz, _ENCODINGS[section.format])
        async for block in captured_blocks(handoff, feed):
            yield block

    async def aclose(self) -> None:
        """Stop reading and release the device; safe to call twice.

        A read that the driver never returns from is left behind after 2 s.
        """
        if self._opening is not None:
            await self._opening.aclose()

    def _start_reader(self, handoff: Handoff[Captured | SourceError]) -> Reader:
        reader = Reader(open_pcm(self._section), handoff, position=self._position, clock=self._clock)
        reader.start()
        return reader


def open_pcm(section: AlsaSection) -> Any:
    """Open the device and verify that it granted what was asked: ALSA itself grants something near.

    Returns:
        alsaaudio.PCM, ready to read.

    Raises:
        SourceLost: the device is not there, or busy.
        SourceUnusable: it granted something else.
    """
    library = alsaaudio()
    try:
        pcm = library.PCM(
            type=library.PCM_CAPTURE,
            mode=library.PCM_NORMAL,
            device=section.device,
            rate=section.sample_rate_hz,
            channels=len(section.hydrophones),
            format=getattr(library, f"PCM_FORMAT_{section.format}"),
            periodsize=section.period_frames,
            periods=max(2, round(section.buffer_s / section.period_s)),
        )
    except library.ALSAAudioError as exc:
        there = ", ".join(library.pcms(library.PCM_CAPTURE))
        raise SourceLost(f"ALSA device '{section.device}' cannot be opened: {exc}; there is: {there}") from exc
    refusal = _refusal(pcm, section)
    if refusal:
        pcm.close()
        raise SourceUnusable(refusal)
    return pcm


def _refusal(pcm: Any, section: AlsaSection) -> str | None:
    info = pcm.info()
    granted = (info["rate"], info["channels"], info["format_name"])
    asked = (section.sample_rate_hz, len(section.hydrophones), section.format)
    if granted == asked:
        return None
    return (
        f"ALSA device '{section.device}' was asked for {asked[0]} Hz, {asked[1]} channel(s), {asked[2]} and granted "
        f"{granted[0]} Hz, {granted[1]} channel(s), {granted[2]}; it offers rates {describe_rates(pcm)}, "
        f"channels {pcm.getchannels()}, formats {', '.join(pcm.getformats())}"
    )


def describe_rates(pcm: Any) -> str:
    """The rates an open alsaaudio.PCM offers, hertz, for people: "48000, 96000" or "8000 to 192000"."""
    rates = pcm.getrates()
    if isinstance(rates, tuple):
        return f"{rates[0]} to {rates[1]}"
    return ", ".join(map(str, rates)) if isinstance(rates, list) else str(rates)


def alsaaudio() -> ModuleType:
    """The alsaaudio module.

    Raises:
        SourceUnusable: pyalsaaudio is not installed.
    """
    try:
        import alsaaudio as loaded
    except ImportError as exc:
        raise SourceUnusable("kind: alsa needs pyalsaaudio: pip install 'seacanary[alsa]'") from exc
    module: ModuleType = loaded
    return module
