"""The processes of a measurement: started with their orders, their processor time taken, ended with the measurement."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from kafka_server import KafkaServer
from seacanary.cluster.app import GROUP
from seacanary.cluster.section import KafkaSection
from seacanary.kafka_clients import client_options

PARTITIONS = 12
# A worker that is behind judges fewer images, and would look faster: what is measured here is the whole work.
JUDGES_ALL = {"batch_images": 32, "batch_images_most": 32, "coarsen_after_s": 3600, "shed_after_s": 7200}
# Longest that any wait here may take: a worker's start with a rebalance, on a busy machine.
LONGEST_WAIT_S = 120.0


class Child:
    """One process of benchmarks.cluster_child."""

    def __init__(self, kind: str, orders: Mapping[str, Any], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path, self._log = folder / "orders.json", folder / "log"
        path.write_text(json.dumps(orders), encoding="utf-8")
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.cluster_child", kind, path],
                stdout=log,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )

    def cpu_s(self) -> float:
        """Processor time it has used, seconds; of one that has ended, 0."""
        return cpu_s(self.process.pid)

    def check(self) -> None:
        """Raise if it has ended with an error.

        Raises:
            RuntimeError: with the end of its log.
        """
        if self.process.poll() not in {None, 0}:
            log = self._log.read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"a process of the benchmark ended with {self.process.returncode}: {log[-3000:]}")

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it, and wait for its end."""
        self.process.send_signal(how)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Bench:
    """Topics of their own on the one broker, and the processes that use them; all end on exit.

    Attributes:
        kafka: the topics.
        brokers: folder of the broker.
    """

    def __init__(self, server: KafkaServer, folder: Path, *, prefix: str, records: Path) -> None:
        """Prepare.

        Args:
            server: the running broker.
            folder: for what the processes hold and log; the broker's is in there.
            prefix: of the topics' names.
            records: file of the Records that all processes share.
        """
        self.kafka: KafkaSection = server.section(topic_prefix=f"{prefix}.", partitions=PARTITIONS)
        self.brokers = folder / "kafka"
        self._folder, self._records, self._children = folder / prefix, records, ExitStack()
        self._count = self._hydrophones = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._children.close()

    def worker(self, *, roles: tuple[str, ...], assumed_images_per_s: float | None, kind: str = "worker") -> Child:
        """Start a worker, or the bare loop, with the stand-in for a model."""
        config = {
            "kafka": self.kafka.model_dump(mode="json"),
            "worker": {"data": str(self._folder / f"data-{self._count}"), "roles": roles, **JUDGES_ALL},
            "metrics": {"enabled": False},
        }
        return self._start(kind, {"config": config, "assumed_images_per_s": assumed_images_per_s})

    def feed(self, *, hydrophones: int, images_per_s: float | None, images: int) -> Child:
        """Start sending images of hydrophones that were not heard before."""
        feed = {
            "first_hydrophone": self._hydrophones,
            "hydrophones": hydrophones,
            "images_per_s": images_per_s,
            "images": images,
        }
        self._hydrophones += hydrophones
        return self._start("feed", {"kafka": self.kafka.model_dump(mode="json"), "feed": feed})

    def _start(self, kind: str, orders: Mapping[str, Any]) -> Child:
        self._count += 1
        orders = {**orders, "records": str(self._records)}
        child = Child(kind, orders, self._folder / f"{kind}-{self._count}")
        self._children.callback(child.end, signal.SIGKILL)
        return child


async def wait_for(
    holds: Callable[[], Awaitable[bool]], what: str, *children: Child, timeout_s: float = LONGEST_WAIT_S
) -> None:
    """Wait until something holds while all of these processes run.

    Raises:
        RuntimeError: not in time, or a process has failed.
    """
    began_s = time.monotonic()
    while not await holds():
        for child in children:
            child.check()
        if time.monotonic() - began_s > timeout_s:
            raise RuntimeError(f"not within {timeout_s:g} s: {what}")
        await asyncio.sleep(0.2)


async def all_joined(kafka: KafkaSection, workers: Sequence[Child]) -> None:
    """Wait until these workers, and no others, share the topics."""

    async def joined() -> bool:
        admin = AIOKafkaAdminClient(**client_options(kafka))
        await admin.start()
        try:
            with suppress(KafkaError):  # a new broker does not know yet who coordinates the group
                (answer,) = await admin.describe_consumer_groups([kafka.topic(GROUP)])
                _, _, state, _, _, members, *_ = answer.groups[0]
                return state == "Stable" and len(members) == len(workers)
            return False
        finally:
            await admin.close()

    await wait_for(joined, f"{len(workers)} workers share the topics", *workers)


def broker_cpu_s() -> float:
    """Processor time of the brokers that this process has started, seconds."""
    return sum(cpu_s(child.pid) for child in psutil.Process().children() if child.name() == "java")


def cpu_s(pid: int) -> float:
    """Processor time of a process and its threads, user and system, seconds; 0 if it has ended."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
