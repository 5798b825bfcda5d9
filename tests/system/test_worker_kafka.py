"""Workers on a real Kafka: whatever becomes of them, the events are those of one station."""

import itertools
import json
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from cluster_scene import Scene, by_id, make_scene
from kafka_cluster import READY, Cluster, WorkerProcess, in_turn, wait_for
from kafka_server import KafkaServer, why_not
from seacanary.cluster.event_journal import EventJournal, EventRecord
from seacanary.cluster.guarding import BROKEN
from seacanary.cluster.topics import DEAD_LETTERS, EVENTS
from seacanary.events import JournalEntry

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(900)]

KILLS = 6


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(tmp_path_factory.mktemp("model"), seconds=60.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    if reason := why_not():
        pytest.skip(reason)
    with KafkaServer(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture
def cluster(server: KafkaServer, scene: Scene, tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(server, scene, tmp_path, prefix=f"{tmp_path.name}.") as cluster:
        yield cluster


def assert_events_are_the_stations(cluster: Cluster, scene: Scene) -> None:
    assert by_id([event for event, _ in cluster.events()]) == by_id(scene.events)


def wait_ready(workers: Sequence[WorkerProcess]) -> None:
    for worker in workers:
        wait_for(lambda worker=worker: READY in worker.log, "a worker is ready")


def delivered(cluster: Cluster) -> list[str]:
    """Ids in the files of all workers that have delivered, repeats included."""
    files = {worker.folder / "lines.jsonl" for worker in cluster.workers}
    return [json.loads(line)["id"] for file in files if file.exists() for line in file.read_text().splitlines()]


def test_two_workers_say_what_one_station_says(cluster: Cluster, scene: Scene) -> None:
    workers = [cluster.start(), cluster.start()]
    wait_ready(workers)
    cluster.send(in_turn(scene.sent))
    cluster.wait_done()
    assert_events_are_the_stations(cluster, scene)
    wait_for(lambda: len(delivered(cluster)) == len(scene.events), "all events delivered", timeout_s=20)
    assert sorted(delivered(cluster)) == sorted(by_id(scene.events))
    for worker in workers:
        worker.process.send_signal(signal.SIGTERM)
    assert [worker.process.wait(60) for worker in workers] == [0, 0]


def test_workers_killed_in_the_middle_lose_and_repeat_nothing(cluster: Cluster, scene: Scene) -> None:
    """SIGKILL at random moments while records flow; the killed one comes back, sometimes without its data."""
    random = np.random.default_rng(7)
    workers = [cluster.start(number=0), cluster.start(number=1)]
    wait_ready(workers)
    sent = in_turn(scene.sent)
    cuts = np.linspace(0, len(sent), KILLS + 2).astype(int)
    for kill, (begin, end) in enumerate(itertools.pairwise(cuts)):
        cluster.send(sent[begin:end])
        if kill == KILLS:
            break
        time.sleep(float(random.uniform(0.2, 6.0)))
        victim = int(random.integers(2))
        workers[victim].kill()
        if random.random() < 0.5:
            workers[victim].forget()
        workers[victim] = cluster.start(number=victim)
    cluster.wait_done()
    assert_events_are_the_stations(cluster, scene)
    wait_for(lambda: len(set(delivered(cluster))) == len(scene.events), "all events delivered", timeout_s=60)


@pytest.mark.parametrize("planted", ["infer:5", "track:300"])
def test_an_exception_in_an_agent_ends_the_process_and_loses_nothing(
    cluster: Cluster, scene: Scene, planted: str
) -> None:
    faulty = cluster.start(planted, number=0)
    cluster.send(in_turn(scene.sent))
    assert faulty.process.wait(120) == BROKEN
    assert f"planted in {planted.partition(':')[0]}" in faulty.log
    assert "the worker ends" in faulty.log
    cluster.start(number=0)
    cluster.wait_done()
    assert_events_are_the_stations(cluster, scene)


def test_what_cannot_be_read_goes_to_the_dead_letters_and_the_rest_flows(cluster: Cluster, scene: Scene) -> None:
    cluster.start()
    sent = in_turn(scene.sent)
    bad = [(b"test/h0", b"no envelope"), (b"test/h1", b""), (b"test/h2", None), (b"odd", b"SCE\x09" + bytes(20))]
    cluster.send(sent[:100], raw=bad)
    cluster.send(sent[100:])
    cluster.wait_done()
    assert_events_are_the_stations(cluster, scene)
    letters = {record.value: dict(record.headers) for record in cluster.records(DEAD_LETTERS)}
    assert letters.keys() == {value for _, value in bad}
    assert b"version 9" in letters[bad[3][1]]["reason"]
    assert {headers["topic"] for headers in letters.values()} == {cluster.kafka.topic("images").encode()}


def test_a_worker_that_joins_takes_over_state_and_the_journal(cluster: Cluster, scene: Scene, tmp_path: Path) -> None:
    first = cluster.start(number=0)
    sent = in_turn(scene.sent)
    half = len(sent) // 2
    cluster.send(sent[:half])
    cluster.wait_done()
    open_now = [e.id for e, _ in cluster.events() if e.kind == "started"]
    second = cluster.start(number=1)
    wait_ready([first, second])
    cluster.send(sent[half : half + 300])
    cluster.wait_done()
    first.kill()
    cluster.send(sent[half + 300 :])
    cluster.wait_done()
    assert open_now
    assert_events_are_the_stations(cluster, scene)
    wait_for(lambda: set(delivered(cluster)) == by_id(scene.events).keys(), "all events delivered", timeout_s=60)
    # The second has gone on where the first was: what is in both files was delivered in the last moment only.
    assert len(delivered(cluster)) - len(scene.events) < 30


async def test_a_journal_filled_anywhere_has_the_same_entries(cluster: Cluster, scene: Scene, tmp_path: Path) -> None:
    cluster.start(number=0)
    cluster.send(in_turn(scene.sent))
    cluster.wait_done()
    worker = cluster.workers[0]
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(60) == 0
    async with await EventJournal.open(worker.folder / "data" / "events.db") as there:
        entries = [entry async for entry in there.journal.entries()]
    assert entries == await _filled(cluster, tmp_path / "elsewhere.db")
    assert by_id([entry.event for entry in entries]) == by_id(scene.events)


async def _filled(cluster: Cluster, path: Path) -> list[JournalEntry]:
    records = [EventRecord(record.offset, record.timestamp, record.value) for record in cluster.records(EVENTS)]
    async with await EventJournal.open(path) as here:
        assert await here.take(records) == []
        return [entry async for entry in here.journal.entries()]
