"""What sound card and ALSA capture share: opening on a thread, and from stamped raw frames to AudioBlocks."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from seacanary.audio import Arrival, AudioBlock, PcmEncoding, decode_pcm
from seacanary.errors import SourceError
from seacanary.handoff import Handoff
from seacanary.sources.channels import channel_blocks

Clock = Callable[[], Arrival]

Device = TypeVar("Device")


def read_clocks() -> Arrival:
    """The system and the monotonic clock, now."""
    return Arrival(system_s=time.time(), monotonic_s=time.monotonic())


@dataclass(frozen=True, slots=True)
class Captured:
    """What a capture thread hands over: copied bytes, stamped, not yet decoded.

    Attributes:
        raw: whole frames, channels interleaved.
        first_frame: stream index of the first frame; lost frames are counted.
        frames: how many frames raw holds.
        arrival: when the last frame arrived.
    """

    raw: bytes
    first_frame: int
    frames: int
    arrival: Arrival


@dataclass(frozen=True, slots=True)
class Feed:
    """How to read a stream's bytes.

    Attributes:
        hydrophones: one name per channel, in channel order.
        sample_rate_hz: nominal rate.
        encoding: sample format of the raw bytes.
    """

    hydrophones: tuple[str, ...]
    sample_rate_hz: int
    encoding: PcmEncoding

    def epoch_of(self, captured: Captured) -> datetime:
        """UTC of the stream's sample 0, from when one stretch of it arrived."""
        end_frame = captured.first_frame + captured.frames
        return datetime.fromtimestamp(captured.arrival.system_s - end_frame / self.sample_rate_hz, UTC)


class Opening(Generic[Device]):
    """A device that is opened on a thread, and closed in the end whoever gives up waiting for it.

    An open cannot be called off: left alone, one that succeeds after all would
    keep the device from every later one.
    """

    def __init__(self, open_device: Callable[[], Device], close: Callable[[Device], None]) -> None:
        """Begin to open.

        Args:
            open_device: opens; may block, and raise a SourceError.
            close: closes; may block; safe to call twice.
        """
        self._close = close
        self._task = asyncio.create_task(asyncio.to_thread(open_device))

    async def opened(self) -> Device:
        """Wait for the device.

        Raises:
            SourceError: it cannot be opened.
        """
        return await asyncio.shield(self._task)

    async def aclose(self) -> None:
        """Close it once it is open, after this returns if that takes too long; safe to call twice."""
        try:
            device = await self.opened()
        except SourceError:  # opened() has raised it to whom it concerns
            return
        except asyncio.CancelledError:
            self._task.add_done_callback(self._close_late)
            raise
        await asyncio.to_thread(self._close, device)

    def _close_late(self, task: "asyncio.Task[Device]") -> None:
        if not task.cancelled() and task.exception() is None:
            task.get_loop().run_in_executor(None, self._close, task.result())


async def captured_blocks(handoff: Handoff[Captured | SourceError], feed: Feed) -> AsyncIterator[AudioBlock]:
    """Decode what a capture thread hands over, until it hands over the error that ended it.

    Frames that the hand-off shed were stamped before, so they show as a jump.

    Raises:
        SourceError: the one handed over.
    """
    epoch: datetime | None = None
    while True:
        item = await handoff.get()
        if isinstance(item, SourceError):
            raise item
        epoch = epoch or feed.epoch_of(item)
        samples = decode_pcm(item.raw, feed.encoding, len(feed.hydrophones))
        for block in channel_blocks(
            feed.hydrophones,
            samples,
            first_sample=item.first_frame,
            sample_rate_hz=feed.sample_rate_hz,
            epoch=epoch,
            arrival=item.arrival,
        ):
            yield block
