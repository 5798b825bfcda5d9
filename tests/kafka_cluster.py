"""Workers as processes over a real Kafka: started and killed, fed, and what they wrote read back."""

import asyncio
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from kafka_server import KafkaServer
from seacanary.cluster.app import GROUP
from seacanary.cluster.envelope import Envelope, key_of
from seacanary.cluster.envelope_codec import encode
from seacanary.cluster.section import KafkaSection
from seacanary.cluster.security import client_options
from seacanary.cluster.topics import DETECTIONS, EVENTS, IMAGES, make_topics
from seacanary.events import EVENT, PresenceEvent
from topic_records import records_of

T = TypeVar("T")
CHILD = Path(__file__).parent / "system" / "worker_child.py"
READY = "worker: "
LONGEST_WAIT_S = 150.0
# A busy machine, or a backlog after a fault, must not make the events others.
NEVER_THINNED = {"coarsen_after_s": 50_000, "shed_after_s": 100_000}


class Described(Protocol):
    """What workers work for."""

    @property
    def sections(self) -> Mapping[str, Any]:
        """Model, presence and guard, as in a configuration."""


class WorkerProcess:
    """One worker; its log and data stay in its folder."""

    def __init__(self, config: dict[str, Any], folder: Path, *planted: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "judging").unlink(missing_ok=True)
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

    @property
    def is_judging(self) -> bool:
        """Whether a worker that was slowed down ("slow:SECONDS") is, or died, in the middle of a batch."""
        file = self.folder / "judging"
        return file.exists() and file.read_bytes() == b"1"

    def kill(self) -> None:
        """Kill it in the middle of what it does."""
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        """Freeze it, as a machine does that swaps or sleeps."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on as if nothing had been."""
        self.process.send_signal(signal.SIGCONT)

    def forget(self) -> None:
        """Lose its data, as when another machine takes its place."""
        shutil.rmtree(self.folder / "data", ignore_errors=True)


class Cluster:
    """Topics of their own on a broker, and the workers that share them; workers are killed on exit.

    Attributes:
        workers: all that were started, dead ones too.
        ended: what workers under supervision ended with, in turn.
    """

    def __init__(
        self,
        server: KafkaServer,
        scene: Described,
        folder: Path,
        *,
        prefix: str,
        partitions: int = 4,
        worker: Mapping[str, Any] | None = None,
        **kafka: Any,
    ) -> None:
        """Prepare.

        Args:
            server: the brokers.
            scene: what its workers work for.
            folder: of the workers' folders.
            prefix: of its topics.
            partitions: of its topics.
            worker: more sections of its workers' configuration.
            kafka: more of the way to the brokers.
        """
        self.kafka: KafkaSection = server.section(topic_prefix=prefix, partitions=partitions, **kafka)
        self._scene, self._folder, self._worker = scene, folder, worker or {}
        self._numbers = itertools.count()
        self.workers: list[WorkerProcess] = []
        self.ended: list[int] = []

    def __enter__(self) -> Self:
        _run(make_topics(self.kafka))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.workers:
            worker.kill()

    @property
    def alive(self) -> list[WorkerProcess]:
        """Workers that have not ended."""
        return [worker for worker in self.workers if worker.process.poll() is None]

    def start(
        self, *planted: str, number: int | None = None, sections: Mapping[str, Any] | None = None, **section: Any
    ) -> WorkerProcess:
        """Start a worker; one with a number it had before finds its data again.

        Args:
            planted: see worker_child.py.
            number: of its folder; None: the next.
            sections: of its configuration, instead of the cluster's.
            section: fields of its worker section.
        """
        folder = self._folder / f"worker-{next(self._numbers) if number is None else number}"
        config = {**self._config(folder, section), **(sections or {})}
        worker = WorkerProcess(config, folder, *planted)
        self.workers.append(worker)
        return worker

    @contextmanager
    def supervised(self, count: int, *planted: str, forgets: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """So many workers, each started again when it is killed or ends by itself, as systemd would.

        Args:
            count: of workers, from number 0.
            planted: in each of them.
            forgets: whether the next one that starts again has lost its data.
        """
        over = threading.Event()
        keepers = [
            threading.Thread(target=self._keep, args=(number, over, planted, forgets)) for number in range(count)
        ]
        for keeper in keepers:
            keeper.start()
        try:
            yield
        finally:
            over.set()
            for keeper in keepers:
                keeper.join()

    def send(self, sent: Sequence[Envelope], *, raw: Sequence[tuple[bytes, bytes | None]] = ()) -> None:
        """Send envelopes in their order, and other records behind them."""
        _run(self._send([(key_of(item.station, item.hydrophone), encode(item)) for item in sent] + list(raw)))

    @contextmanager
    def sending(self, sent: Sequence[Envelope], *, per_s: float) -> Iterator[Future[None]]:
        """Send envelopes in their order at a steady pace, meanwhile; wait for the last at the end."""
        with ThreadPoolExecutor(1) as executor:
            feeding = executor.submit(asyncio.run, self._feed(sent, per_s))
            yield feeding
            feeding.result(LONGEST_WAIT_S + len(sent) / per_s)

    def events(self) -> list[tuple[PresenceEvent, int]]:
        """Presences in the events topic, repeats included, each with its record's time in ms."""
        read = [(EVENT.validate_json(record.value), record.timestamp) for record in self.records(EVENTS)]
        return [(event, time_ms) for event, time_ms in read if isinstance(event, PresenceEvent)]

    def records(self, topic: str) -> list[Any]:
        """All that a topic holds."""
        return _run(records_of(self.kafka, topic))

    def lag(self) -> int | None:
        """Records of all stages that are not committed yet; None while a new broker does not know."""
        return _run(_lag(self.kafka))

    def wait_done(self, *, timeout_s: float = LONGEST_WAIT_S) -> float:
        """Wait until everything sent has been concluded and committed; seconds it took."""
        return wait_for(lambda: self.lag() == 0, "all records concluded", timeout_s=timeout_s)

    def wait_ready(self) -> None:
        """Wait until all workers have begun."""
        for worker in self.workers:
            wait_for(lambda worker=worker: READY in worker.log, "a worker is ready")  # type: ignore[misc]

    def delivered(self) -> list[str]:
        """Ids in the files of all workers that have delivered, repeats included."""
        files = {worker.folder / "lines.jsonl" for worker in self.workers}
        return [json.loads(line)["id"] for file in files if file.exists() for line in file.read_text().splitlines()]

    def _config(self, folder: Path, section: dict[str, Any]) -> dict[str, Any]:
        return {
            "kafka": self.kafka.model_dump(mode="json"),
            "worker": {
                "data": str(folder / "data"),
                "session_timeout_s": 6,
                "deadline_s": 0.05,
                "port": 0,
                **NEVER_THINNED,
                **section,
            },
            "publishers": [{"kind": "jsonl", "name": "lines", "path": str(folder / "lines.jsonl")}],
            "metrics": {"enabled": False},
            **self._scene.sections,
            **self._worker,
        }

    def _keep(self, number: int, over: threading.Event, planted: Sequence[str], forgets: Callable[[], bool]) -> None:
        while not over.is_set():
            worker = self.start(*planted, number=number)
            while worker.process.poll() is None and not over.wait(0.2):
                pass
            if worker.process.returncode is not None:
                self.ended.append(worker.process.returncode)
                if forgets():
                    worker.forget()

    async def _send(self, records: Sequence[tuple[bytes, bytes | None]]) -> None:
        producer = AIOKafkaProducer(**client_options(self.kafka), acks="all")
        await producer.start()
        try:
            for write in [await producer.send(self.kafka.topic(IMAGES), value, key=key) for key, value in records]:
                await write
        finally:
            await producer.stop()

    async def _feed(self, sent: Sequence[Envelope], per_s: float) -> None:
        producer = AIOKafkaProducer(**client_options(self.kafka), acks="all", enable_idempotence=True)
        await producer.start()
        began_s = time.monotonic()
        try:
            for place, item in enumerate(sent):
                await asyncio.sleep(max(0.0, began_s + place / per_s - time.monotonic()))
                await producer.send(self.kafka.topic(IMAGES), encode(item), key=key_of(item.station, item.hydrophone))
            await producer.flush()
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
