"""`seacanary edge` and `seacanary worker` as an operator starts them: Kafka and Redis with passwords and TLS."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml
from aiokafka import AIOKafkaProducer
from redis import Redis

from byte_models import write_byte_model
from kafka_cluster import READY, wait_for
from kafka_server import KafkaServer, why_not
from redis_server import RedisServer
from seacanary.cluster.section import KafkaSection
from seacanary.cluster.topics import IMAGES
from seacanary.kafka_clients import client_options

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed"),
]

COMMAND = Path(sys.executable).with_name("seacanary")
RATE_HZ = 8000
REDIS_PASSWORD = "for-redis-alone"
STREAM = "{seacanary}:events"
LONGEST_S = 240


@dataclass(frozen=True)
class Site:
    """Files of a station, the same as an edge, and a worker.

    Attributes:
        folder: with station.yaml, edge.yaml and worker.yaml; commands run in it.
        kafka: how the brokers are reached.
        environment: of the commands, with the secrets that the files do not hold.
        secrets: what nobody may ever say.
    """

    folder: Path
    kafka: KafkaSection
    environment: Mapping[str, str]
    secrets: tuple[str, ...]

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; it gives no secret away."""
        ended = subprocess.run(
            [COMMAND, *words], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False,
            timeout=LONGEST_S,
        )  # fmt: skip
        self.assert_discreet(ended.stdout + ended.stderr)
        return ended

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        """A worker that is ready; killed on exit if it still runs."""
        log = self.folder / "worker.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [COMMAND, "worker", "worker.yaml"], cwd=self.folder, env=self.environment, stdout=stream, stderr=stream
            )
        try:
            wait_for(lambda: READY in log.read_text() or process.poll() is not None, "the worker is ready")
            assert process.poll() is None, log.read_text()
            yield process
            self.assert_discreet(log.read_text())
        finally:
            process.kill()
            process.wait()

    def assert_discreet(self, said: str) -> None:
        assert not [secret for secret in self.secrets if secret in said]

    def change(self, file: str, **sections: Any) -> None:
        """Replace sections of a file."""
        path = self.folder / file
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | sections))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    if reason := why_not():
        pytest.skip(reason)
    with KafkaServer(tmp_path_factory.mktemp("kafka"), secure=True) as server:
        yield server


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis"), password=REDIS_PASSWORD) as server:
        yield server


@pytest.fixture
def site(server: KafkaServer, redis: RedisServer, tmp_path: Path) -> Site:
    """The edge has Kafka's password from a file, the worker from its environment."""
    kafka = server.section(topic_prefix=f"{tmp_path.name}.", partitions=2, request_timeout_s=5)
    assert kafka.login is not None
    assert kafka.login.password_file is not None
    password = kafka.login.password_file.read_text().strip()
    by_file = kafka.model_dump(mode="json", exclude_none=True)
    login = {"username": kafka.login.username, "password": "${KAFKA_PASSWORD}"}
    write_byte_model(tmp_path / "model")
    record(tmp_path / "20260501_120000.wav")
    heard = {"model": {"path": "model"}, "presence": {"rule": {"hold_s": 0.5}}, "metrics": {"enabled": False}}
    station = heard | {
        "station": {"name": "pier"},
        "sources": [{"kind": "files", "path": "20260501_120000.wav", "name": "north"}],
    }
    worker = heard | {
        "kafka": by_file | {"login": login},
        "worker": {"data": "data", "session_timeout_s": 6, "port": 0},
        "publishers": [{"kind": "redis_streams", "url": "${REDIS_URL}", "ca_file": str(redis.certificate)}],
    }
    for name, tree in (
        ("station", station),
        ("edge", station | {"kafka": by_file, "edge": {"spool": "spool"}}),
        ("worker", worker),
    ):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(tree))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "KAFKA_PASSWORD": password, "REDIS_URL": redis.url}
    return Site(tmp_path, kafka, environment, (password, REDIS_PASSWORD))


def record(path: Path) -> None:
    """Half a minute of noise, with four calls in it."""
    pcm = np.random.default_rng(1).normal(0, 0.01, 30 * RATE_HZ)
    for at_s in (2, 9, 17, 26):
        pcm[at_s * RATE_HZ : (at_s + 1) * RATE_HZ] = 0.9
    soundfile.write(path, pcm, RATE_HZ, subtype="PCM_16")


def published(redis: RedisServer) -> list[str]:
    """Ids of the presence events in the stream, in its order; this machine's clock may be worth an event of its own."""
    with Redis(
        port=redis.port, password=REDIS_PASSWORD, ssl=True, ssl_ca_certs=str(redis.certificate), decode_responses=True
    ) as client:
        entries: list[tuple[str, dict[str, str]]] = client.xrange(STREAM)  # type: ignore[assignment]  # not async
        return [fields["id"] for _, fields in entries if ".presence." in json.loads(fields["event"])["type"]]


def objects(ended: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_what_an_edge_hears_a_worker_publishes_as_a_station_would(site: Site, redis: RedisServer) -> None:
    *told, station = objects(site.command("run", "station.yaml", "--json"))
    assert sorted(event["type"] for event in told) == ["ended"] * 8 + ["started"] * 8  # two species, four calls
    for file in ("edge.yaml", "worker.yaml"):
        assert site.command("check", file).returncode == 0
    with site.worker() as worker:
        edge = site.command("edge", "edge.yaml", "--json")
        assert edge.returncode == 0, edge.stderr
        [summary] = objects(edge)
        assert summary["ledger"] == station["ledger"]
        assert (summary["balanced"], summary["unsent"], summary["troubles"]) == (True, 0, [])
        wait_for(lambda: len(published(redis)) >= len(told), "all events are in Redis", timeout_s=60)
        again = site.command("edge", "edge.yaml")
        assert again.returncode == 0
        assert "nothing waits" in again.stdout
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
    assert published(redis) == [event["id"] for event in told]
    assert "worker: stopped" in (site.folder / "worker.log").read_text()


def test_a_wrong_password_keeps_images_at_the_edge_and_workers_out(site: Site) -> None:
    (site.folder / "wrong").write_text("a guess")
    login = {"username": "seacanary", "password_file": "wrong"}
    kafka = site.kafka.model_dump(mode="json", exclude_none=True) | {"login": login}
    site.change("edge.yaml", kafka=kafka)
    site.change("worker.yaml", kafka=kafka)
    edge = site.command("edge", "edge.yaml")
    assert edge.returncode == 0
    assert re.search(r"brokers away, images wait on disk: .*(invalid credentials|Unable to bootstrap)", edge.stderr)
    assert re.search(r"\d+ records wait for kafka at .* in spool", edge.stdout)
    worker = site.command("worker", "worker.yaml")
    assert worker.returncode == 1
    assert "credentials" in worker.stderr


def test_a_record_that_no_worker_can_read_is_listed_and_sent_again(site: Site) -> None:
    def listed() -> list[dict[str, Any]]:
        return objects(site.command("deadletters", "list", "worker.yaml", "--json"))

    with site.worker():
        asyncio.run(send(site.kafka, b"no image"))
        wait_for(lambda: len(listed()) == 1, "the record is a dead letter", timeout_s=60)
        [letter] = listed()
        assert letter["topic"] == site.kafka.topic(IMAGES)
        assert (letter["key"], letter["bytes"]) == ("pier/north", 8)
        shown = site.command("deadletters", "replay", "edge.yaml", str(letter["number"]))
        assert shown.stdout.startswith("1 record sent again; workers pass over")
        wait_for(lambda: len(listed()) == 2, "it is refused again", timeout_s=60)
    assert site.command("deadletters", "replay", "edge.yaml", "99").returncode == 2


async def send(section: KafkaSection, value: bytes) -> None:
    producer = AIOKafkaProducer(**client_options(section))
    await producer.start()
    await producer.send_and_wait(section.topic(IMAGES), value, key=b"pier/north", partition=0)
    await producer.stop()
