"""A process of the benchmark, by its name: worker, bare (infer without Faust) or feed; its orders are a JSON file."""

import asyncio
import json
import logging
import signal
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from benchmarks.cluster_bare import run_bare
from benchmarks.cluster_records import Records
from benchmarks.cluster_stand_in import SleepingGpuStandIn
from seacanary.cluster.inferring import Inferring
from seacanary.cluster.kafka_carrier import BATCH_BYTES
from seacanary.cluster.log_limits import LogLimit
from seacanary.cluster.section import KafkaSection
from seacanary.cluster.topics import IMAGES
from seacanary.cluster.worker import CHATTY, Worker
from seacanary.cluster.worker_config import WorkerConfig
from seacanary.kafka_clients import client_options
from seacanary.metrics import Metrics

MOST_UNDER_WAY = 200
Orders = Mapping[str, Any]


def records_of(orders: Orders) -> Records:
    """The images and the model's contract that all processes share."""
    return Records.model_validate_json(Path(orders["records"]).read_bytes())


def stand_in(orders: Orders) -> SleepingGpuStandIn:
    """The stand-in that these orders ask for, with the bundled model's contract."""
    return SleepingGpuStandIn(records_of(orders).contract, orders["assumed_images_per_s"])


async def run_worker(orders: Orders) -> None:
    """A worker with the stand-in for its model."""
    worker = Worker(WorkerConfig.model_validate(orders["config"]), judge=stand_in(orders), metrics=Metrics())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    await worker.run()


async def run_bare_loop(orders: Orders) -> None:
    """The same work as a worker that only infers."""
    config = WorkerConfig.model_validate(orders["config"])
    await _until_terminated(run_bare(config.kafka, config.worker, Inferring(stand_in(orders), Metrics())))


async def run_feed(orders: Orders) -> None:
    """Hydrophones that say one image a hop, their turns spread evenly; or, without a speed, as fast as they can."""
    kafka = KafkaSection.model_validate(orders["kafka"])
    await _until_terminated(feed(kafka, records_of(orders), **orders["feed"]))


async def feed(
    kafka: KafkaSection,
    records: Records,
    *,
    first_hydrophone: int,
    hydrophones: int,
    images_per_s: float | None,
    images: int,
) -> None:
    """Send images of hydrophones in turn.

    Args:
        kafka: where to.
        records: to be sent.
        first_hydrophone: number of the first; each feed has hydrophones of its own.
        hydrophones: how many.
        images_per_s: of all together; None: without a pause.
        images: how many in all.
    """
    loop = asyncio.get_running_loop()
    producer = AIOKafkaProducer(
        **client_options(kafka),
        acks="all",
        enable_idempotence=True,
        max_batch_size=BATCH_BYTES,
        max_request_size=4 * BATCH_BYTES,
    )
    waiting = deque[asyncio.Future[object]]()
    await producer.start()
    try:
        began_s = loop.time()
        for place in range(images):
            if images_per_s is not None:
                await asyncio.sleep(max(0.0, began_s + place / images_per_s - loop.time()))
            key, value = records.record(first_hydrophone + place % hydrophones, place // hydrophones)
            waiting.append(await producer.send(kafka.topic(IMAGES), value, key=key))
            while waiting and (waiting[0].done() or len(waiting) > MOST_UNDER_WAY):
                await waiting.popleft()
        for write in waiting:
            await write
    finally:
        await producer.stop()


async def _until_terminated(work: Any) -> None:
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


RUN: Mapping[str, Callable[[Orders], Awaitable[None]]] = {
    "worker": run_worker,
    "bare": run_bare_loop,
    "feed": run_feed,
}

if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    for handler in logging.root.handlers:
        handler.addFilter(LogLimit(*CHATTY))
    asyncio.run(RUN[sys.argv[1]](json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))))  # type: ignore[arg-type]
