"""Workers as processes over a real Kafka: started and killed, fed, and what they wrote read back."""

import asyncio
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from cluster_scene import GUARD, PRESENCE, Scene
from kafka_server import KafkaServer
from seacanary.cluster.app import GROUP
from seacanary.cluster.envelope import Envelope, encode, key_of
from seacanary.cluster.section import KafkaSection
from seacanary.cluster.security import client_options
from seacanary.cluster.topics import DETECTIONS, EVENTS, IMAGES, make_topics, topics
from seacanary.events import EVENT, PresenceEvent

T = TypeVar("T")
CHILD = Path(__file__).parent / "system" / "worker_child.py"
READY = "worker: "
LONGEST_WAIT_S = 150.0


class WorkerProcess:
    """One worker; its log and data stay in its folder."""

    def __init__(self, config: dict[str, Any], folder: Path, *planted: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "worker.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        self._log = folder / "worker.log"
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)}
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, CHILD, path, *planted], stdout=log, stderr=log, env=environment
            )

    @property
    def log(self) -> str:
        """All that it, and those before it in the same folder, have said."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """Kill it in the middle of what it does."""
        self.process.kill()
        self.process.wait()

    def forget(self) -> None:
        """Lose its data, as when another machine takes its place."""
        shutil.rmtree(self.folder / "data", ignore_errors=True)


class Cluster:
    """Topics of their own on a broker, and the workers that share them; workers are killed on exit."""

    def __init__(self, server: KafkaServer, scene: Scene, folder: Path, *, prefix: str, partitions: int = 4) -> None:
        self.kafka: KafkaSection = server.section(topic_prefix=prefix, partitions=partitions)
        self._scene, self._folder = scene, folder
        self._numbers = itertools.count()
        self.workers: list[WorkerProcess] = []

    def __enter__(self) -> Self:
        _run(make_topics(self.kafka))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.workers:
            worker.kill()

    def start(self, *planted: str, number: int | None = None, **section: Any) -> WorkerProcess:
        """Start a worker; one with a number it had before finds its data again."""
        folder = self._folder / f"worker-{next(self._numbers) if number is None else number}"
        worker = WorkerProcess(self._config(folder, section), folder, *planted)
        self.workers.append(worker)
        return worker

    def send(self, sent: Sequence[Envelope], *, raw: Sequence[tuple[bytes, bytes | None]] = ()) -> None:
        """Send envelopes in their order, and other records behind them."""
        _run(self._send([(key_of(item.station, item.hydrophone), encode(item)) for item in sent] + list(raw)))

    def events(self) -> list[tuple[PresenceEvent, int]]:
        """The events topic's, repeats included, each with its record's time in ms."""
        return [(_presence(record.value), record.timestamp) for record in self.records(EVENTS)]

    def records(self, topic: str) -> list[Any]:
        """All that a topic holds."""
        return _run(_records(self.kafka, topic))

    def wait_done(self, *, timeout_s: float = LONGEST_WAIT_S) -> float:
        """Wait until everything sent has been concluded and committed; seconds it took."""
        return wait_for(lambda: _run(_lag(self.kafka)) == 0, "all records concluded", timeout_s=timeout_s)

    def _config(self, folder: Path, section: dict[str, Any]) -> dict[str, Any]:
        return {
            "kafka": self.kafka.model_dump(mode="json"),
            "worker": {"data": str(folder / "data"), "session_timeout_s": 6, "deadline_s": 0.05, **section},
            "model": {"path": str(self._scene.model), "sessions": 1},
            "presence": PRESENCE.model_dump(mode="json"),
            "guard": GUARD.model_dump(mode="json"),
            "publishers": [{"kind": "jsonl", "name": "lines", "path": str(folder / "lines.jsonl")}],
            "metrics": {"enabled": False},
        }

    async def _send(self, records: Sequence[tuple[bytes, bytes | None]]) -> None:
        producer = AIOKafkaProducer(**client_options(self.kafka), acks="all")
        await producer.start()
        try:
            for write in [await producer.send(self.kafka.topic(IMAGES), value, key=key) for key, value in records]:
                await write
        finally:
            await producer.stop()


def in_turn(sent: dict[str, list[Envelope]]) -> list[Envelope]:
    """Hydrophones interleaved, as they speak."""
    return [item for turn in itertools.zip_longest(*sent.values()) for item in turn if item is not None]


def wait_for(holds: Callable[[], bool], what: str, *, timeout_s: float = LONGEST_WAIT_S) -> float:
    """Wait until something holds; seconds it took."""
    began_s = time.monotonic()
    while not holds():
        assert time.monotonic() - began_s < timeout_s, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.3)
    return time.monotonic() - began_s


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run on a loop of its own, also where a loop is running."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, work).result()


def _presence(value: bytes) -> PresenceEvent:
    event = EVENT.validate_json(value)
    assert isinstance(event, PresenceEvent)
    return event


async def _records(section: KafkaSection, topic: str) -> list[Any]:
    consumer = AIOKafkaConsumer(**client_options(section), group_id=None, enable_auto_commit=False)
    await consumer.start()
    try:
        count = next(known.partitions for known in topics(section) if known.name == section.topic(topic))
        places = [TopicPartition(section.topic(topic), place) for place in range(count)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        found: list[Any] = []
        while any([await consumer.position(place) < ends[place] for place in places]):
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                found.extend(batch)
        return found
    finally:
        await consumer.stop()


async def _lag(section: KafkaSection) -> int | None:
    """Records of all stages that are not committed yet; None while a new broker does not know."""
    admin = AIOKafkaAdminClient(**client_options(section))
    consumer = AIOKafkaConsumer(**client_options(section), group_id=None)
    await admin.start()
    await consumer.start()
    try:
        try:
            committed = await admin.list_consumer_group_offsets(section.topic(GROUP))
        except GroupCoordinatorNotAvailableError:
            return None
        names = {section.topic(name): section.partitions for name in (IMAGES, DETECTIONS)} | {section.topic(EVENTS): 1}
        ends = await consumer.end_offsets([TopicPartition(name, p) for name, n in names.items() for p in range(n)])
        return sum(end - max(committed[place].offset if place in committed else 0, 0) for place, end in ends.items())
    finally:
        await consumer.stop()
        await admin.close()
