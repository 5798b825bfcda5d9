"""Source `url`: whatever FFmpeg opens, through PyAV, decoded on a thread of its own."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import TypeVar

import av
import numpy as np
from numpy.typing import NDArray

from seacanary.audio import Arrival, AudioBlock
from seacanary.errors import SourceLost, SourceUnusable
from seacanary.sources.capture import Clock, read_clocks
from seacanary.sources.live import LiveBlocks
from seacanary.sources.network import UrlSection

_GAP_MAX_S = 60  # a longer jump of the time stamps is a restarted clock, not a loss
_BAD_PACKETS_MAX = 200  # in a row
_SDP_PROTOCOLS = "file,crypto,data,rtp,udp,tcp"

# PyAV's wheels come without SRT and RIST; FFmpeg as distributions ship it has them.
_RELAY = (
    "build PyAV against the system's FFmpeg (pip install --no-binary av av), "
    "or relay it into a tcp source: ffmpeg -i URL -f s16le tcp://HOST:PORT"
)

# What no reopening cures: FFmpeg lacks the part, or the URL names nothing.
_HOPELESS = (
    av.error.DemuxerNotFoundError,
    av.error.DecoderNotFoundError,
    av.error.OptionNotFoundError,
    av.error.FileNotFoundError,
    av.error.IsADirectoryError,
)
_FULL_SCALE: dict[str, float] = {"int16": 2.0**15, "int32": 2.0**31, "int64": 2.0**63, "float32": 1.0, "float64": 1.0}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Decoded:
    """One decoded frame in its place.

    Attributes:
        samples: float32 [channels, n], full scale ±1.
        arrival: when it was decoded.
        lost: samples per channel missing just before it, by the time stamps.
        new_epoch: the time stamps went back or far ahead: a new count begins.
    """

    samples: NDArray[np.float32]
    arrival: Arrival
    lost: int = 0
    new_epoch: bool = False


class StampClock:
    """Finds gaps in presentation time stamps (pts).

    Each stamp is compared with the one before alone, so neither the rounding of
    coarse time bases nor a sender's slow clock ever adds up to a gap. Half a frame
    out of place is a gap, so that no lost frame goes unnoticed, unless the time base
    is so coarse that two of its ticks are longer than the frame.
    """

    def __init__(self, sample_rate_hz: int, time_base: Fraction) -> None:
        self._rate_hz, self._time_base = sample_rate_hz, time_base
        self._coarse = ceil(2 * time_base * sample_rate_hz)
        self._stamped: int | None = None  # the last stamp
        self._since = self._frame = 0  # samples from there on; those of the last frame

    def place(self, pts: int | None, count: int) -> tuple[int, bool]:
        """(samples lost before this frame, whether a new epoch begins).

        Args:
            pts: time stamp in units of the time base; None: it follows on, and
                what was lost there shows at the next stamp.
            count: samples of the frame.
        """
        before, since, frame = self._stamped, self._since, self._frame
        self._frame = count
        if pts is None:
            self._since += count
            return 0, False
        self._stamped, self._since = pts, count
        if before is None:
            return 0, False
        jump = round((pts - before) * self._time_base * self._rate_hz) - since
        if abs(jump) <= max(self._coarse, min(count, frame) // 2):
            return 0, False
        known = 0 < jump <= _GAP_MAX_S * self._rate_hz
        return (jump, False) if known else (0, True)


def shown(url: str) -> str:
    """A URL as messages may name it: without user, password, query and FFmpeg's space-separated options."""
    if "://" not in url:
        return url  # a file, whose name may hold anything
    return re.sub(r"//[^/]*@", "//", re.split(r"[?#\s]", url, maxsplit=1)[0])


class UrlSource:
    """One stream that FFmpeg opens; a URL with a known length ends, any other is lost when it stops."""

    shed_blocks = overflows = 0  # it is read only as fast as we take it; what is lost before, the time stamps show

    def __init__(self, section: UrlSection, *, clock: Clock = read_clocks) -> None:
        self._section, self._clock, self._shown = section, clock, shown(section.url)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ffmpeg")
        self._opened: OpenUrl | None = None

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        """Yield blocks as they are decoded.

        Raises:
            SourceLost: no answer, a broken stream, or the end of an endless one.
            SourceUnusable: FFmpeg cannot open such a URL, or its audio is not
                what the section says.
        """
        self._opened = opened = await self._on_thread(lambda: OpenUrl(self._section, self._clock))
        gathered = LiveBlocks(
            self._section.hydrophones,
            sample_rate_hz=opened.sample_rate_hz,
            block_samples=opened.block_samples,
        )
        while decoded := await self._on_thread(opened.read):
            for piece in decoded:
                for block in _placed(piece, gathered):
                    yield _dated(block, live=opened.live)
        for block in gathered.flush():
            yield _dated(block, live=opened.live)
        if opened.live:
            raise SourceLost(f"{self._shown}: the stream ended")

    async def aclose(self) -> None:
        """Close once the read under way is over (at most read_s); safe to call twice."""
        opened, self._opened = self._opened, None
        if opened is not None:
            self._thread.submit(opened.close)
        self._thread.shutdown(wait=False)

    async def _on_thread(self, work: Callable[[], T]) -> T:
        """Run on the one FFmpeg thread: a container is never closed while it is read."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


class OpenUrl:
    """An open FFmpeg container; lives on one thread.

    Its errors are raised from None: PyAV's own name the URL with its password.
    """

    def __init__(self, section: UrlSection, clock: Clock) -> None:
        """Open and look for audio.

        Raises:
            SourceLost, SourceUnusable: as UrlSource.blocks.
        """
        self._section, self._clock, self._shown = section, clock, shown(section.url)
        self._container = self._open()
        try:
            self._stream = self._audio_stream()
        except SourceUnusable:
            self._container.close()
            raise
        self.sample_rate_hz = self._stream.rate
        self.block_samples = max(1, round(section.block_s * self.sample_rate_hz))
        self.live = self._container.duration is None
        self._stamps = StampClock(self.sample_rate_hz, self._stream.time_base or Fraction(1, self.sample_rate_hz))
        self._packets = self._container.demux(self._stream)
        self._bad_packets = 0

    def read(self) -> list[Decoded]:
        """Decode about one block; empty at the end.

        Raises:
            SourceLost: nothing came in time, or the stream broke or changed its format.
        """
        pieces: list[Decoded] = []
        count = 0
        try:
            for packet in self._packets:
                pieces.extend(self._decoded(packet))
                count = sum(piece.samples.shape[1] for piece in pieces)
                if count >= self.block_samples:
                    break
        except av.error.ExitError:
            raise SourceLost(f"{self._shown}: nothing came for {self._section.read_s:g} s") from None
        except av.error.FFmpegError as exc:
            raise SourceLost(f"{self._shown}: {exc.strerror}") from None
        return pieces

    def close(self) -> None:
        """Release the container."""
        self._container.close()

    def _open(self) -> av.container.InputContainer:
        section = self._section
        options = {"protocol_whitelist": _SDP_PROTOCOLS} if section.url.endswith(".sdp") else {}
        try:
            return av.open(section.url, options=options | section.options, timeout=(section.open_s, section.read_s))
        except av.error.ProtocolNotFoundError:
            raise SourceUnusable(f"{self._shown}: the FFmpeg inside PyAV has no such protocol; {_RELAY}") from None
        except _HOPELESS as exc:
            raise SourceUnusable(f"{self._shown}: FFmpeg cannot open it: {exc.strerror}") from None
        except av.error.ExitError:
            raise SourceLost(f"{self._shown}: no answer within {section.open_s:g} s") from None
        except av.error.FFmpegError as exc:
            raise SourceLost(f"{self._shown}: {exc.strerror}") from None

    def _audio_stream(self) -> av.AudioStream:
        """The stream asked for.

        Raises:
            SourceUnusable: it is not there, or has other channels than named.
        """
        section, streams = self._section, self._container.streams.audio
        if section.stream >= len(streams):
            raise SourceUnusable(f"{self._shown}: stream {section.stream} wanted, but it has {len(streams)} with audio")
        stream = streams[section.stream]
        if stream.channels != len(section.hydrophones):
            raise SourceUnusable(
                f"{self._shown}: hydrophones names {len(section.hydrophones)}, but the stream has "
                f"{stream.channels} channels; give one name per channel"
            )
        return stream

    def _decoded(self, packet: "av.Packet[av.AudioStream]") -> Iterator[Decoded]:
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            self._count_bad_packet()
            return
        self._bad_packets = 0
        for frame in frames:
            if isinstance(frame, av.AudioFrame):
                yield self._placed(frame)

    def _count_bad_packet(self) -> None:
        """Pass over a damaged packet, whose time shows up as lost, but not over a stream of them.

        Raises:
            SourceLost: too many in a row.
        """
        self._bad_packets += 1
        if self._bad_packets >= _BAD_PACKETS_MAX:
            raise SourceLost(f"{self._shown}: {self._bad_packets} packets in a row could not be decoded")

    def _placed(self, frame: av.AudioFrame) -> Decoded:
        channels = len(frame.layout.channels)
        if (frame.sample_rate, channels) != (self.sample_rate_hz, len(self._section.hydrophones)):
            raise SourceLost(
                f"{self._shown}: format changed to {frame.sample_rate} Hz, {channels} channels in mid-stream"
            )
        lost, new_epoch = self._stamps.place(frame.pts, frame.samples)
        return Decoded(float_samples(frame), self._clock(), lost, new_epoch)


def float_samples(frame: av.AudioFrame) -> NDArray[np.float32]:
    """A decoded frame, planar or packed, of any sample format, as float32 [channels, n], full scale ±1."""
    raw = frame.to_ndarray()
    rows = raw if frame.format.is_planar else raw.reshape(-1, len(frame.layout.channels)).T
    if raw.dtype == np.uint8:
        return (rows.astype(np.float32) - 128) / np.float32(128)
    return np.ascontiguousarray(rows.astype(np.float32) / np.float32(_FULL_SCALE[raw.dtype.name]))


def _placed(piece: Decoded, gathered: LiveBlocks) -> Iterator[AudioBlock]:
    if piece.new_epoch:
        yield from gathered.begin_epoch()
    yield from gathered.push(piece.samples, piece.arrival, lost=piece.lost)


def _dated(block: AudioBlock, *, live: bool) -> AudioBlock:
    """What has an end comes as fast as it can be read: its arrival says nothing of the sender's clock."""
    return block if live else replace(block, arrival=None)
