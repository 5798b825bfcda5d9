"""Source `tcp`: raw interleaved PCM, from a sender we call or that calls us."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from seacanary.audio import AudioBlock, decode_pcm
from seacanary.errors import SourceLost
from seacanary.sources.capture import Clock, read_clocks
from seacanary.sources.live import LiveBlocks
from seacanary.sources.network import TcpSection
from seacanary.sources.pacing import was_held_up

_READ_BYTES = 1 << 16

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class WholeFrames:
    """Carries the piece of a frame at the end of one read over to the next."""

    def __init__(self, frame_bytes: int) -> None:
        self._frame_bytes = frame_bytes
        self._partial = b""

    def take(self, raw: bytes) -> memoryview:
        """The whole frames of what has been received so far and not yet taken."""
        received = self._partial + raw
        whole = len(received) - len(received) % self._frame_bytes
        self._partial = received[whole:]
        return memoryview(received)[:whole]


class TcpSource:
    """One connection's samples; its end is a loss, for a hydrophone has no end."""

    shed_blocks = overflows = 0  # a sender waits for us, and what it loses meanwhile is not told

    def __init__(self, section: TcpSection, *, clock: Clock = read_clocks) -> None:
        self._section, self._clock = section, clock
        self._server: asyncio.Server | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        """Yield blocks as they come in.

        Raises:
            SourceLost: no connection, the sender hung up, or fell silent.
        """
        section = self._section
        gathered = LiveBlocks(
            section.hydrophones, sample_rate_hz=section.sample_rate_hz, block_samples=section.block_samples
        )
        reader, self._writer = await self._connection()
        frames = WholeFrames(section.frame_bytes)
        while raw := await self._read(reader):
            samples = decode_pcm(frames.take(raw), section.encoding, len(section.hydrophones))
            for block in gathered.push(samples, self._clock()):
                yield block
        for block in gathered.flush():
            yield block
        raise SourceLost(f"{self._where}: the sender closed the connection")

    async def aclose(self) -> None:
        """Close connection and listening socket; safe to call twice."""
        if self._server is not None:
            self._server.close()
        if self._writer is not None:
            self._writer.transport.abort()
            with suppress(OSError):  # how the line broke has been told already
                await self._writer.wait_closed()

    @property
    def _where(self) -> str:
        return f"tcp {self._section.host}:{self._section.port}"

    async def _connection(self) -> Connection:
        try:
            if self._section.mode == "listen":
                return await self._accepted()
            async with asyncio.timeout(self._section.connect_s):
                return await asyncio.open_connection(self._section.host, self._section.port)
        except TimeoutError as exc:
            raise SourceLost(f"{self._where}: no connection within {self._section.connect_s:g} s") from exc
        except OSError as exc:
            raise SourceLost(f"{self._where}: {exc.strerror or exc}") from exc

    async def _accepted(self) -> Connection:
        """Wait for the first caller; the line is busy for all others."""
        first: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()

        def called(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if first.done():
                writer.transport.abort()
            else:
                first.set_result((reader, writer))

        self._server = await asyncio.start_server(called, self._section.host, self._section.port)
        connection = await first
        self._server.close()
        return connection

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + self._section.idle_s
            try:
                async with asyncio.timeout_at(due_s):
                    return await reader.read(_READ_BYTES)
            except TimeoutError as exc:
                if not was_held_up(loop, due_s):
                    raise SourceLost(f"{self._where}: the sender is silent for {self._section.idle_s:g} s") from exc
            except OSError as exc:
                raise SourceLost(f"{self._where}: {exc.strerror or exc}") from exc
