"""Sources `udp` and `rtp`: raw PCM in datagrams, with or without RTP's numbering."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator

from seacanary.audio import Arrival, AudioBlock, decode_pcm
from seacanary.errors import SourceLost
from seacanary.sources.capture import Clock, read_clocks
from seacanary.sources.datagrams import Datagram, DatagramQueue, open_datagrams
from seacanary.sources.live import LiveBlocks
from seacanary.sources.network import RtpSection, UdpSection
from seacanary.sources.rtp import RtpStream, Stretch, parse_rtp

_MISFITS_MAX = 100  # in a row: then it is not line noise, but another format than configured, or another sender


class UdpSource:
    """Bare PCM. What the network loses cannot be seen; what our own queue sheds is an exact gap."""

    overflows = 0  # what the kernel's buffer cannot hold is not told

    def __init__(self, section: UdpSection, *, clock: Clock = read_clocks) -> None:
        self._section, self._clock = section, clock
        self._transport: asyncio.DatagramTransport | None = None
        self._queue: DatagramQueue | None = None
        self._last: Arrival | None = None
        self._misfits = self._lost_bytes = 0

    @property
    def shed_blocks(self) -> int:
        """Datagrams the full queue shed since the socket was opened."""
        return 0 if self._queue is None else self._queue.shed

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        """Yield blocks as they come in.

        Raises:
            SourceLost: the address cannot be listened on (now), or a run of
                datagrams is of another format than configured.
        """
        section = self._section
        gathered = LiveBlocks(
            section.hydrophones, sample_rate_hz=section.sample_rate_hz, block_samples=section.block_samples
        )
        self._transport, self._queue = await open_datagrams(section.host, section.port, clock=self._clock)
        while True:
            for block in self._gathered(await self._queue.get(), gathered):
                yield block

    async def aclose(self) -> None:
        """Close the socket; safe to call twice."""
        if self._transport is not None:
            self._transport.close()
            await asyncio.sleep(0)  # the loop closes the socket in its next turn

    def _gathered(self, datagram: Datagram, gathered: LiveBlocks) -> Iterator[AudioBlock]:
        """Blocks that one datagram completes."""
        section = self._section
        self._lost_bytes += datagram.shed_bytes
        if len(datagram.raw) % section.frame_bytes:
            self._count_misfit(datagram)
            return
        lost = self._lost_bytes // section.frame_bytes
        self._misfits = self._lost_bytes = 0
        if self._paused(datagram.arrival):
            yield from gathered.begin_epoch()
        samples = decode_pcm(datagram.raw, section.encoding, len(section.hydrophones))
        yield from gathered.push(samples, datagram.arrival, lost=lost)

    def _paused(self, arrival: Arrival) -> bool:
        last, self._last = self._last, arrival
        return last is not None and arrival.monotonic_s - last.monotonic_s > self._section.pause_s

    def _count_misfit(self, datagram: Datagram) -> None:
        """Pass over a stray datagram, but not over a stream of them.

        Raises:
            SourceLost: too many in a row; whoever sends them may stop.
        """
        self._misfits += 1
        if self._misfits >= _MISFITS_MAX:
            raise SourceLost(
                f"udp {self._section.host}:{self._section.port}: {self._misfits} datagrams in a row, the last of "
                f"{len(datagram.raw)} bytes, are not whole frames of {self._section.frame_bytes} bytes; "
                "check encoding, the number of hydrophones, and who else sends here"
            )


class RtpSource:
    """RTP audio: repeats dropped, order restored, loss shown as exact gaps."""

    overflows = 0  # what the kernel's buffer cannot hold is not told

    def __init__(self, section: RtpSection, *, clock: Clock = read_clocks) -> None:
        self._section, self._clock = section, clock
        self._transport: asyncio.DatagramTransport | None = None
        self._queue: DatagramQueue | None = None
        self._gathered = LiveBlocks(
            section.hydrophones, sample_rate_hz=section.sample_rate_hz, block_samples=section.block_samples
        )

    @property
    def shed_blocks(self) -> int:
        """Datagrams the full queue shed since the socket was opened."""
        return 0 if self._queue is None else self._queue.shed

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        """Yield blocks as they come in.

        Raises:
            SourceLost: the address cannot be listened on (now).
        """
        section = self._section
        stream = RtpStream(
            frame_bytes=section.frame_bytes,
            sample_rate_hz=section.sample_rate_hz,
            reorder_packets=section.reorder_packets,
        )
        self._transport, self._queue = await open_datagrams(section.host, section.port, clock=self._clock)
        while True:
            stretches: Iterable[Stretch] = ()
            try:
                async with asyncio.timeout(section.reorder_s):
                    datagram = await self._queue.get()
                packet = parse_rtp(datagram.raw)
                arrival = datagram.arrival
                if packet is not None:
                    stretches = stream.push(packet)
            except TimeoutError:  # what is missing now will not come any more
                arrival, stretches = self._clock(), stream.flush()
            for stretch in stretches:
                for block in self._placed(stretch, arrival):
                    yield block

    async def aclose(self) -> None:
        """Close the socket; safe to call twice."""
        if self._transport is not None:
            self._transport.close()
            await asyncio.sleep(0)  # the loop closes the socket in its next turn

    def _placed(self, stretch: Stretch, arrival: Arrival) -> Iterator[AudioBlock]:
        if stretch.new_epoch:
            yield from self._gathered.begin_epoch()
        samples = decode_pcm(stretch.payload, self._section.pcm_encoding, len(self._section.hydrophones))
        yield from self._gathered.push(samples, arrival, lost=stretch.lost_frames)
