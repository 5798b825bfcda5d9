"""FleetHours: all hours of the fleet, followed from their topic by each worker that answers for them.

Every such worker holds all, so any of them answers for the whole fleet, and none is missed when it dies.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]  # it ships no types
from aiokafka.errors import KafkaError, OffsetOutOfRangeError  # type: ignore[import-untyped]

from seacanary.cluster.fleet_hours import HourPart, HydrophoneHour, PartRefused
from seacanary.cluster.fleet_store import FleetStore, HoursAsked, KnownHydrophone, Told
from seacanary.cluster.section import KafkaSection
from seacanary.cluster.topics import HOURS
from seacanary.kafka_clients import client_options, close_consumer

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)

READ_AT_ONCE = 500
POLL_MS = 500
PAUSE_S = 1.0


class FleetHours:
    """The hours, in a file of this worker's own, on a thread of their own. Queries may raise FleetStoreError.

    Attributes:
        is_complete: whether all that the topic held at the start has been read.
    """

    def __init__(self, store: FleetStore, section: KafkaSection, *, on_refused: Callable[[], None]) -> None:
        self._store, self._section, self._on_refused = store, section, on_refused
        self._place = TopicPartition(section.topic(HOURS), 0)
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="fleet")
        self.is_complete = False

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, section: KafkaSection, *, on_refused: Callable[[], None]) -> AsyncIterator[Self]:
        """Open the file; close it at the end.

        Args:
            path: of the file, made if there is none.
            section: which Kafka.
            on_refused: told of each record that could not be read.

        Raises:
            FleetStoreError: the file cannot be used.
        """
        fleet = cls(FleetStore.open(path), section, on_refused=on_refused)
        try:
            yield fleet
        finally:
            await fleet._on_disk(fleet._store.close)
            fleet._disk.shutdown()

    async def follow(self) -> None:
        """Read the topic until cancelled, whatever becomes of the brokers meanwhile."""
        while True:
            consumer = AIOKafkaConsumer(
                **client_options(self._section), group_id=None, enable_auto_commit=False, auto_offset_reset="none"
            )
            try:
                await consumer.start()
                await self._follow(consumer)
            except OffsetOutOfRangeError:
                await self._begin_anew("the topic no longer holds what comes next")
            except (KafkaError, TimeoutError, OSError) as exc:
                log.warning("the hours topic cannot be read now: %s: %s", type(exc).__name__, exc)
            finally:
                await close_consumer(consumer)
            await asyncio.sleep(PAUSE_S)

    async def hours(self, asked: HoursAsked) -> list[HydrophoneHour]:
        """Hours of hydrophones, by hour, station and hydrophone."""
        return await self._on_disk(self._store.hours, asked)

    async def hydrophones(self) -> list[KnownHydrophone]:
        """All that were ever told of, by station and name."""
        return await self._on_disk(self._store.hydrophones)

    async def species(self) -> list[str]:
        """All that were ever listened for."""
        return await self._on_disk(self._store.species)

    async def told_ms(self) -> int | None:
        """When the brokers took the newest record in here, ms since 1970; None: there is none."""
        return await self._on_disk(lambda: self._store.told_ms)

    async def _follow(self, consumer: Any) -> None:
        offset = await self._on_disk(lambda: self._store.next_offset)
        end = (await consumer.end_offsets([self._place]))[self._place]
        if offset > end:
            await self._begin_anew(f"it ends at {end}, and {offset} comes next: it was made anew")
            offset = 0
        consumer.assign([self._place])
        consumer.seek(self._place, offset)
        while True:
            self.is_complete = self.is_complete or offset >= end
            batch = (await consumer.getmany(self._place, timeout_ms=POLL_MS, max_records=READ_AT_ONCE)).get(self._place)
            position = await consumer.position(self._place)
            if position > offset:
                offset = position
                told = [part for record in batch or () if (part := self._read(record)) is not None]
                await self._on_disk(self._store.take, told, next_offset=offset)

    def _read(self, record: Any) -> Told | None:
        try:
            return Told(HourPart.decoded(record.value), record.timestamp)
        except PartRefused as refused:
            log.warning("%s: record %d: %s", self._place.topic, record.offset, refused)
            self._on_refused()
            return None

    async def _begin_anew(self, why: str) -> None:
        log.warning("%s: %s; the hours are read again from its beginning", self._place.topic, why)
        self.is_complete = False
        await self._on_disk(self._store.clear)

    async def _on_disk(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._disk, partial(call, *args, **kwargs))
