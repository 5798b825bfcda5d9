"""A line to a server on this machine that can be cut, and mended: a relay in a thread of its own."""

import asyncio
import threading
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import Self

CHUNK_BYTES = 65536
LONGEST_WAIT_S = 10


class TcpLine:
    """While it is cut nothing arrives and nothing is refused, as with a cable that was pulled.

    Connections of before the cut are dead once it is mended.

    Attributes:
        port: that leads to the server.
    """

    def __init__(self, target_port: int, *, port: int) -> None:
        """Prepare a line from a port to another of this machine."""
        self.port, self._target_port = port, target_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-line")
        self._whole = asyncio.Event()
        self._relays: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Nothing passes from now on."""
        self._loop.call_soon_threadsafe(self._whole.clear)

    def mend(self) -> None:
        """What comes now passes."""
        asyncio.run_coroutine_threadsafe(self._mend(), self._loop).result(LONGEST_WAIT_S)

    def __enter__(self) -> Self:
        self._whole.set()
        self._thread.start()
        opened: Future[asyncio.Server] = asyncio.run_coroutine_threadsafe(self._open(), self._loop)
        self._server = opened.result(LONGEST_WAIT_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(LONGEST_WAIT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _close(self) -> None:
        self._server.close()
        await self._end_relays()

    async def _mend(self) -> None:
        await self._end_relays()
        self._whole.set()

    async def _end_relays(self) -> None:
        relays = set(self._relays)
        for relay in relays:
            relay.cancel()
        if relays:
            await asyncio.wait(relays)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._relay(reader, writer))
        self._relays.add(task)
        task.add_done_callback(self._relays.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            try:
                await self._whole.wait()
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
                try:
                    await self._both_ways((reader, far_writer), (far_reader, writer))
                finally:
                    far_writer.transport.abort()
            finally:
                writer.transport.abort()

    async def _both_ways(self, *ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        pumps = [asyncio.create_task(self._pump(*way)) for way in ways]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(CHUNK_BYTES):
            await self._whole.wait()
            writer.write(chunk)
            await writer.drain()
