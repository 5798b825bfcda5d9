"""The watchdog on a real Kafka: a worker that stands still is ended and started again; one that waits is not."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_scene import Scene, by_id, make_scene
from kafka_cluster import READY, Cluster, WorkerProcess, in_turn, wait_for
from kafka_server import KafkaServer, why_not
from seacanary.cluster.guarding import BROKEN
from seacanary.cluster.watchdog import FILE

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(900)]

LIMIT_S = 12
HALF_S = LIMIT_S / 2


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(tmp_path_factory.mktemp("model"), seconds=40.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    if reason := why_not():
        pytest.skip(reason)
    with KafkaServer(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture
def cluster(server: KafkaServer, scene: Scene, tmp_path: Path) -> Iterator[Cluster]:
    hasty = {"request_timeout_s": 3.0}
    with Cluster(server, scene, tmp_path, prefix=f"{tmp_path.name}.", **hasty) as cluster:
        yield cluster


class Supervisor:
    """Starts worker 0 again whenever it has ended, the first one with a fault planted."""

    def __init__(self, cluster: Cluster, *planted: str) -> None:
        self._cluster = cluster
        self.ended: list[int] = []
        self.worker = self._start(*planted)

    def _start(self, *planted: str) -> WorkerProcess:
        return self._cluster.start(*planted, number=0, stuck_after_s=LIMIT_S)

    def look_after(self) -> None:
        code = self.worker.process.poll()
        if code is not None:
            self.ended.append(code)
            self.worker = self._start()

    def until_done(self, *, timeout_s: float = 200) -> None:
        def done() -> bool:
            self.look_after()
            return self._cluster.lag() == 0

        wait_for(done, "all records concluded", timeout_s=timeout_s)


def assert_events_are_the_stations(cluster: Cluster, scene: Scene) -> None:
    found = cluster.events()
    assert by_id([event for event, _ in found]) == by_id(scene.events)
    wait_for(lambda: len(set(cluster.delivered())) == len(scene.events), "all events delivered", timeout_s=30)


def reasons(worker: WorkerProcess) -> dict[str, int]:
    counts: dict[str, int] = json.loads((worker.folder / "data" / FILE).read_text(encoding="utf-8"))["counts"]
    return counts


@pytest.mark.parametrize(
    ("planted", "reason", "said"),
    [
        # As in Faust's issues 175 and 523: the consumer reads no more, while its thread goes on with heartbeats.
        ("fetch:25:hang", "standstill", "nothing is taken or acknowledged there, while brokers answer"),
        ("track:200:block", "loop", "its event loop does not come round"),
    ],
)
def test_a_worker_that_stands_still_is_ended_and_nothing_is_lost(
    cluster: Cluster, scene: Scene, planted: str, reason: str, said: str
) -> None:
    supervisor = Supervisor(cluster, planted)
    first = supervisor.worker
    wait_for(lambda: READY in first.log, "the worker is ready")
    sent = in_turn(scene.sent)
    half = len(sent) // 2
    cluster.send(sent[:half])
    time.sleep(HALF_S)
    cluster.send(sent[half:])
    supervisor.until_done()
    assert supervisor.ended == [BROKEN]
    assert reasons(first) == {reason: 1}
    assert "the worker is stuck since about 2" in first.log
    assert said in first.log
    assert "the watchdog has ended a worker here before" in first.log
    assert_events_are_the_stations(cluster, scene)


def test_brokers_that_are_away_for_longer_than_the_limit_are_waited_for(
    cluster: Cluster, scene: Scene, server: KafkaServer
) -> None:
    supervisor = Supervisor(cluster)
    first = supervisor.worker
    wait_for(lambda: READY in first.log, "the worker is ready")
    sent = in_turn(scene.sent)
    half = len(sent) // 2
    cluster.send(sent[:half])
    time.sleep(1)
    server.kill()
    try:
        time.sleep(3 * LIMIT_S)
        assert first.process.poll() is None, first.log[-3000:]
    finally:
        server.start()
    cluster.send(sent[half:])
    supervisor.until_done()
    assert "watchdog: brokers do not answer" in first.log
    assert "watchdog: brokers answer again" in first.log
    assert supervisor.ended == []
    assert_events_are_the_stations(cluster, scene)
