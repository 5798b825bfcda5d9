"""Spooling: the image spool behind a thread of its own, written in groups, waited on by the loop."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from seacanary.cluster.envelope import Envelope
from seacanary.cluster.image_spool import ImageSpool, Spooled, SpoolState
from seacanary.cluster.spool_schema import SpoolError

log = logging.getLogger(__name__)

# So many wait for the disk; who brings more waits. 64 KiB each at most.
WAITING = 256
# One parcel: small enough to get through a thin line before the broker's patience ends.
PARCEL_BYTES = 2**20

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Read:
    """Files whose envelopes all stand before this point of the queue."""

    paths: Collection[str]


class Spooling:
    """Puts envelopes on disk in the order they come, many in one commit while the disk is slow."""

    def __init__(self, spool: ImageSpool, *, system_s: Callable[[], float] = time.time) -> None:
        """Take the spool over; it is used by one thread from now on."""
        self._spool, self._system_s = spool, system_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="image-spool")
        self._queue = asyncio.Queue[Envelope | _Read](WAITING)
        self._something = asyncio.Event()
        self._something.set()
        self.disk_failures = 0
        self._failing_since_s: float | None = None

    @property
    def failing_s(self) -> float:
        """How long the disk has refused what it is asked, seconds; 0: it does not."""
        return 0.0 if self._failing_since_s is None else time.monotonic() - self._failing_since_s

    @property
    def has_room(self) -> bool:
        """Whether a recording may go on without anything being shed."""
        return self._spool.has_room

    @property
    def is_empty(self) -> bool:
        """Whether all that was stored has been acknowledged."""
        return self._spool.is_empty

    async def put(self, item: Envelope) -> None:
        """Hand over an envelope; its run and number are set when it is stored."""
        await self._queue.put(item)

    async def files_done(self, paths: Collection[str]) -> None:
        """Note that files need not be read again, once all that was put before is stored."""
        await self._queue.put(_Read(tuple(paths)))

    async def flush(self) -> None:
        """Return when all that was put is on disk."""
        await self._queue.join()

    async def run(self) -> None:
        """Store what comes, until cancelled. A disk that is full or broken is tried until it works."""
        while True:
            batch = [await self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get_nowait())
            await self._persistently(partial(self._store, batch))
            self._something.set()
            for _ in batch:
                self._queue.task_done()

    async def take(self) -> list[Spooled]:
        """Wait until something can be sent; one hydrophone after the other.

        What is taken is acknowledged or given back before more is.
        """
        while True:
            self._something.clear()
            if taken := await self._persistently(partial(self._spool.take, limit_bytes=PARCEL_BYTES)):
                return taken
            await self._something.wait()

    async def acknowledge(self, sent: Collection[Spooled]) -> None:
        """Kafka has these; what else was taken is given back."""
        await self._persistently(partial(self._spool.acknowledge, sent))

    async def give_back(self) -> None:
        """What was taken may not have arrived."""
        await self._persistently(self._spool.give_back)

    async def state(self) -> SpoolState:
        """What waits, and what was shed.

        Raises:
            SpoolError: the disk is broken.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._spool.state)

    async def aclose(self) -> None:
        """Close the spool once its thread is idle."""
        await asyncio.to_thread(self._thread.shutdown)
        self._spool.close()

    def _store(self, batch: list[Envelope | _Read]) -> None:
        items = [item for item in batch if not isinstance(item, _Read)]
        done = [path for read in batch if isinstance(read, _Read) for path in read.paths]
        self._spool.put(items, done=done, now_s=self._system_s())

    async def _persistently(self, access: Callable[[], Result]) -> Result:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(SpoolError),
            wait=wait_random_exponential(multiplier=0.5, max=10),
            before_sleep=self._note_failure,
            reraise=True,
        )

        async def attempt() -> Result:
            result = await asyncio.get_running_loop().run_in_executor(self._thread, access)
            self._failing_since_s = None
            return result

        return await retrying(attempt)

    def _note_failure(self, retry: RetryCallState) -> None:
        self.disk_failures += 1
        self._failing_since_s = self._failing_since_s or time.monotonic()
        if retry.attempt_number == 1 and retry.outcome:
            log.error("images cannot be spooled, trying on: %s", retry.outcome.exception())
