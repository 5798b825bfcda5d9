"""The infer agent's work in a bare aiokafka loop: what it would cost without Faust."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from seacanary.cluster.envelope import key_of
from seacanary.cluster.envelope_codec import encode
from seacanary.cluster.inferring import Inferring
from seacanary.cluster.section import KafkaSection, WorkerSection
from seacanary.cluster.topics import DETECTIONS, IMAGES
from seacanary.kafka_clients import client_options

GROUP = "bare"
# As the workers' app has it.
COMMIT_EVERY_S = 1.0


async def run_bare(kafka: KafkaSection, worker: WorkerSection, inferring: Inferring) -> None:
    """Decode, judge in the same batches, write detections, commit; until cancelled."""
    consumer = AIOKafkaConsumer(
        kafka.topic(IMAGES),
        **client_options(kafka),
        group_id=kafka.topic(GROUP),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=round(1000 * worker.session_timeout_s),
    )
    producer = AIOKafkaProducer(**client_options(kafka), acks="all")
    await consumer.start()
    await producer.start()
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="judge") as executor:
            await _work(consumer, producer, worker, inferring, executor, kafka.topic(DETECTIONS))
    finally:
        await consumer.stop()
        await producer.stop()


async def _work(
    consumer: Any,
    producer: Any,
    worker: WorkerSection,
    inferring: Inferring,
    executor: ThreadPoolExecutor,
    detections: str,
) -> None:
    loop = asyncio.get_running_loop()
    committed_s = loop.time()
    done: dict[TopicPartition, int] = {}
    while True:
        found = await consumer.getmany(timeout_ms=round(1000 * worker.deadline_s), max_records=worker.batch_images)
        records = [record for batch in found.values() for record in batch]
        if records:
            await _conclude(records, producer, inferring, executor, detections)
            done |= {place: batch[-1].offset + 1 for place, batch in found.items()}
        if done and loop.time() - committed_s > COMMIT_EVERY_S:
            await consumer.commit(done)
            committed_s, done = loop.time(), {}


async def _conclude(
    records: Sequence[Any], producer: Any, inferring: Inferring, executor: ThreadPoolExecutor, detections: str
) -> None:
    items = [inferring.read(record.value) for record in records]
    said = await asyncio.get_running_loop().run_in_executor(executor, inferring.conclude, items)
    writes = [
        await producer.send(
            detections, encode(item), key=key_of(item.station, item.hydrophone), partition=record.partition
        )
        for item, record in zip(said, records, strict=True)
    ]
    for write in writes:
        await write
