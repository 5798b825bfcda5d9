"""What sound card and ALSA capture share: from stamped raw frames to AudioBlocks."""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from seacanary.audio import Arrival, AudioBlock, PcmEncoding, decode_pcm
from seacanary.errors import SourceError
from seacanary.handoff import Handoff
from seacanary.sources.channels import channel_blocks

Clock = Callable[[], Arrival]


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
