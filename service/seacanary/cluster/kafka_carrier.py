"""The way to Kafka: spooled envelopes into the images topic, one batch to a partition at a time."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]  # it ships no types
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]
from aiokafka.partitioner import DefaultPartitioner  # type: ignore[import-untyped]

from seacanary.cluster.envelope import key_of
from seacanary.cluster.image_spool import Spooled
from seacanary.cluster.shipping import BrokersAway, Receipt
from seacanary.cluster.topics import IMAGE_BYTES
from seacanary.errors import SeaCanaryError
from seacanary.kafka_clients import drop_producer, in_words

# Kafka's limit of a record is one of a whole batch, with its own header.
BATCH_BYTES = IMAGE_BYTES - 4096
# What an image may take of it: the rest is for names, the path of a recording, and Kafka's own fields.
RECORD_BYTES = BATCH_BYTES - 8192
LOG_APPEND_TIME = 1  # a record's time is the broker's


@dataclass(frozen=True, slots=True)
class _Sent:
    """A batch on its way to one partition."""

    items: Sequence[Spooled]
    metadata: "asyncio.Future[Any]"  # aiokafka's RecordMetadata


class KafkaCarrier:
    """An idempotent producer that is thrown away after any failure, and made anew.

    A batch of one partition arrives whole or not at all, and no other is on its way there
    meanwhile: a hydrophone's records cannot overtake one another, whatever fails.
    """

    def __init__(
        self,
        *,
        options: Mapping[str, Any],
        topic: str,
        station: str,
        prepare: Callable[[], Awaitable[object]],
        system_s: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; brokers are asked by the first send().

        Args:
            options: client_options() of the Kafka section.
            topic: full name of the images topic.
            station: name of the station, for keys.
            prepare: makes and checks the topics, before the first record of each connection.
            system_s: the system clock, compared with the brokers'.
        """
        self._options, self._topic, self._station = dict(options), topic, station
        self._prepare, self._system_s = prepare, system_s
        self._producer: AIOKafkaProducer | None = None
        self._request_s = self._options.get("request_timeout_ms", 40_000) / 1000

    async def send(self, parcel: Sequence[Spooled]) -> Receipt:
        """As Carrier.send."""
        try:
            async with asyncio.timeout(3 * self._request_s):
                producer = self._producer or await self._open()
                began_s = self._system_s()
                results = await self._deliver(producer, parcel)
        except (KafkaError, OSError, TimeoutError, SeaCanaryError) as exc:
            await self.aclose()
            raise BrokersAway(in_words(exc)) from exc
        return await self._receipt(results, began_s)

    async def aclose(self) -> None:
        """Drop the producer; what it still holds is sent again by another."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await drop_producer(producer)

    async def _open(self) -> AIOKafkaProducer:
        await self._prepare()
        self._producer = AIOKafkaProducer(
            **self._options,
            client_id=f"seacanary-edge-{self._station}",
            enable_idempotence=True,
            acks="all",
            compression_type=None,  # images come compressed
            max_batch_size=BATCH_BYTES,
            max_request_size=4 * BATCH_BYTES,
        )
        await self._producer.start()
        return self._producer

    async def _deliver(
        self, producer: AIOKafkaProducer, parcel: Sequence[Spooled]
    ) -> list[tuple[Sequence[Spooled], Any]]:
        """Batches with their RecordMetadata, or with what befell them."""
        sent = [
            await self._submit(producer, partition, items)
            for partition, items in (await self._by_partition(producer, parcel)).items()
        ]
        results = await asyncio.gather(*(batch.metadata for batch in sent), return_exceptions=True)
        return [(batch.items, result) for batch, result in zip(sent, results, strict=True)]

    async def _by_partition(self, producer: AIOKafkaProducer, parcel: Sequence[Spooled]) -> dict[int, list[Spooled]]:
        partitions = sorted(await producer.partitions_for(self._topic))
        partition_of = DefaultPartitioner()  # that of Faust's producer: detections share their images' partition
        found: dict[int, list[Spooled]] = defaultdict(list)
        for item in parcel:
            found[partition_of(key_of(self._station, item.hydrophone), partitions, partitions)].append(item)
        return found

    async def _submit(self, producer: AIOKafkaProducer, partition: int, items: Sequence[Spooled]) -> _Sent:
        """Send what of the items goes into one batch; the rest comes with the next parcel."""
        batch = producer.create_batch()
        count = 0
        for item in items:
            key = key_of(self._station, item.hydrophone)
            if batch.append(key=key, value=item.record, timestamp=None) is None:
                break
            count += 1
        batch.close()
        return _Sent(items[:count], await producer.send_batch(batch, self._topic, partition=partition))

    async def _receipt(self, results: Sequence[tuple[Sequence[Spooled], Any]], began_s: float) -> Receipt:
        """What arrived; a producer that failed anything is not used again.

        Raises:
            BrokersAway: nothing did.
        """
        failures = [result for _, result in results if isinstance(result, BaseException)]
        arrived = [(items, result) for items, result in results if not isinstance(result, BaseException)]
        if failures:
            await self.aclose()
        if not arrived:
            raise BrokersAway(in_words(failures[0])) from failures[0]
        ahead_s = broker_ahead_s(arrived[-1][1], began_s=began_s, ended_s=self._system_s())
        return Receipt([item for items, _ in arrived for item in items], ahead_s)


def broker_ahead_s(metadata: Any, *, began_s: float, ended_s: float) -> float | None:  # aiokafka's RecordMetadata
    """How far the brokers' clock is ahead of ours, at least: their time lies outside of the time it took us.

    Args:
        metadata: of an acknowledged record.
        began_s: our clock before it was sent, UTC seconds since 1970.
        ended_s: our clock after it was acknowledged.
    """
    if metadata.timestamp_type != LOG_APPEND_TIME or metadata.timestamp is None:
        return None
    appended_s = float(metadata.timestamp) / 1000
    return max(0.0, appended_s - ended_s) + min(0.0, appended_s - began_s)
