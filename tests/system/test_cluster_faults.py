"""Workers, brokers, edges and the lines between them fail: the events stay those of one station.

SEACANARY_CUT_S says for how long edges are cut off, a minute by default; 600 was accepted.
"""

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from cluster_scene import Scene, by_id, make_scene
from edge_scene import EdgeProcess, Site, small_site
from kafka_cluster import Cluster, in_turn, wait_for
from kafka_server import KafkaServer, LongLine, why_not
from net_namespace import NamespaceRefused, NetNamespace
from redis_server import free_port
from seacanary.cluster.envelope import ImageEnvelope
from seacanary.cluster.envelope_codec import decode
from seacanary.cluster.topics import EVENTS, IMAGES
from seacanary.events import EVENT, ConditionEvent, PresenceEvent
from tcp_line import TcpLine
from wall_clock import WallClock

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(1800)]

log = logging.getLogger(__name__)

KILLS = 20
SESSION_S = 6.0
SLOW = "slow:0.2"
CUT_S = float(os.environ.get("SEACANARY_CUT_S", "60"))
DOWN_S = 120.0
IMAGES_PER_S = 3 * 8000 / 512  # of three hydrophones
FEW = 200  # images that may be under way, even on a busy machine
LONGEST_SITE_S = CUT_S + 600


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(tmp_path_factory.mktemp("model"), hydrophones=6, seconds=120.0)


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


def assert_events_are_the_stations(cluster: Cluster, station: Sequence[PresenceEvent]) -> None:
    events = [event for event, _ in cluster.events()]
    assert by_id(events) == by_id(station)
    log.warning("%d events, %d of them written again", len(station), len(events) - len(station))


def assert_all_delivered(cluster: Cluster, scene: Scene) -> None:
    """Each event is in some worker's file; a repeat may be, after a takeover."""
    wait_for(lambda: set(cluster.delivered()) == by_id(scene.events).keys(), "all events delivered", timeout_s=60)
    log.warning("%d of them delivered again", len(cluster.delivered()) - len(scene.events))


def some_random() -> np.random.Generator:
    """Other moments each time; what they came from is in the log."""
    seed = int.from_bytes(os.urandom(4))
    log.warning("seed %d", seed)
    return np.random.default_rng(seed)


def test_twenty_kills_in_the_middle_of_a_batch(cluster: Cluster, scene: Scene) -> None:
    """While records flow; who was killed comes back, sometimes without its data, or when the other is dead too."""
    random = some_random()
    in_batch = 0
    workers = cluster.supervised(2, SLOW, forgets=lambda: bool(random.random() < 0.5))
    with workers, cluster.sending(in_turn(scene.sent), per_s=scene.records / 240) as feeding:
        for _ in range(KILLS):
            time.sleep(float(random.uniform(0.0, 5.0)))
            wait_for(lambda: any(worker.is_judging for worker in cluster.alive), "a worker has a batch")
            judging = [worker for worker in cluster.alive if worker.is_judging] or cluster.alive
            victim = judging[int(random.integers(len(judging)))]
            time.sleep(float(random.uniform(0.0, 0.2)))
            victim.kill()
            in_batch += victim.is_judging
        log.warning("%d of %d kills in the middle of a batch", in_batch, KILLS)
        log.warning("records %s", "had come" if feeding.done() else "came")
        feeding.result(LONGEST_SITE_S)
        log.warning("all concluded %.0f s after the last record", cluster.wait_done(timeout_s=300))
        log.warning("besides, workers ended with %s", [code for code in cluster.ended if code != -signal.SIGKILL])
        assert in_batch >= KILLS / 2
        assert_events_are_the_stations(cluster, scene.events)
        assert_all_delivered(cluster, scene)


@pytest.mark.parametrize("stage", ["infer", "track", "changelog", "acknowledge"])
def test_a_worker_that_dies_between_two_steps(cluster: Cluster, scene: Scene, stage: str) -> None:
    """Three times, each a moment later in what it does with a record; the other worker lives."""
    random = some_random()
    sent = in_turn(scene.sent)
    with cluster.supervised(1):
        for part in range(3):
            victim = cluster.start(f"{stage}:{random.integers(1, 20)}:kill", number=1)
            cluster.send(sent[part * len(sent) // 3 : (part + 1) * len(sent) // 3])
            wait_for(lambda victim=victim: victim.process.poll() is not None, "it is dead")  # type: ignore[misc]
            assert victim.process.returncode == -signal.SIGKILL
        log.warning("%s: all concluded %.0f s after the last death", stage, cluster.wait_done(timeout_s=300))
        assert_events_are_the_stations(cluster, scene.events)
        assert_all_delivered(cluster, scene)


def test_workers_that_join_and_leave_while_records_flow(cluster: Cluster, scene: Scene) -> None:
    """Two stay; two more join, one after the other, and leave in order in the middle of a batch."""
    with cluster.supervised(2, SLOW), cluster.sending(in_turn(scene.sent), per_s=scene.records / 90):
        for number in (2, 3):
            time.sleep(10)
            worker = cluster.start(SLOW, number=number)
            log.warning("joined: has its first batch after %.0f s", wait_for(lambda w=worker: w.is_judging, "a batch"))
            time.sleep(5)
            worker.process.send_signal(signal.SIGTERM)
            began_s = time.monotonic()
            assert worker.process.wait(60) == 0
            log.warning("left within %.1f s", time.monotonic() - began_s)
        cluster.wait_done(timeout_s=300)
        log.warning("besides, workers ended with %s", cluster.ended)
        assert_events_are_the_stations(cluster, scene.events)
        assert_all_delivered(cluster, scene)


def test_a_worker_that_was_frozen_beyond_its_session_comes_back(cluster: Cluster, scene: Scene) -> None:
    """It goes on in the middle of a batch that others have concluded long since, with what it still had to write."""
    random = some_random()
    freezes = 0
    with cluster.supervised(2, SLOW), cluster.sending(in_turn(scene.sent), per_s=scene.records / 120) as feeding:
        while not feeding.done():
            wait_for(lambda: any(worker.is_judging for worker in cluster.alive), "a worker has a batch")
            time.sleep(float(random.uniform(2, 6)))
            victim = cluster.alive[int(random.integers(len(cluster.alive)))]
            victim.pause()
            time.sleep(SESSION_S + float(random.uniform(1, 10)))
            victim.resume()
            freezes += 1
        log.warning("%d times frozen; all concluded after %.0f s", freezes, cluster.wait_done(timeout_s=300))
        log.warning("workers ended with %s", cluster.ended)
        assert_events_are_the_stations(cluster, scene.events)
        assert_all_delivered(cluster, scene)


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[KafkaServer]:
    """Three, of which each holds all there is."""
    if reason := why_not():
        pytest.skip(reason)
    with KafkaServer(tmp_path / "kafka", brokers=3) as brokers:
        yield brokers


def test_each_of_three_brokers_dies_and_returns(brokers: KafkaServer, tmp_path: Path) -> None:
    site = small_site(tmp_path / "site", seconds=150)
    with Cluster(brokers, site, tmp_path, prefix="three.", replication=3) as cluster, cluster.supervised(2):
        with shipping(site, cluster):
            for number in some_random().permutation([1, 2, 3]):
                time.sleep(10)
                brokers.kill(int(number))
                time.sleep(20)
                brokers.start(int(number))
        assert_events_are_the_stations(cluster, site.events())


def test_all_brokers_are_down_for_two_minutes(brokers: KafkaServer, tmp_path: Path) -> None:
    site = small_site(tmp_path / "site", seconds=DOWN_S + 60)
    with Cluster(brokers, site, tmp_path, prefix="none.", replication=3) as cluster, cluster.supervised(2):
        with shipping(site, cluster) as edge:
            time.sleep(15)
            brokers.kill()
            time.sleep(DOWN_S)
            log.warning("%d images wait after %.0f s", edge.waiting(), DOWN_S)
            brokers.start()
            log.warning("nothing waits after %.0f s", wait_for(lambda: edge.waiting() < FEW, "the spool is drained"))
        assert_events_are_the_stations(cluster, site.events())


@contextmanager
def shipping(
    site: Site,
    cluster: Cluster,
    *,
    within: Sequence[str] = (),
    extra: Mapping[str, str] | None = None,
    **kafka: object,
) -> Iterator[EdgeProcess]:
    """An edge while it hears a site, from its first images until all is concluded; a second run ships what was left.

    Args:
        site: what it hears.
        cluster: what it ships to.
        within: as in EdgeProcess.running.
        extra: as there.
        kafka: the edge's own way to the brokers.
    """
    edge = site.edge(cluster.kafka.model_copy(update=kafka))
    with edge.running(within=within, extra=extra) as process:
        wait_for(lambda: edge.stored() > FEW and edge.waiting() < FEW, "images arrive")
        yield edge
        assert process.wait(LONGEST_SITE_S) == 0, edge.log[-3000:]
    if edge.waiting():
        log.warning("%d images were left for the next start", edge.waiting())
        with edge.running(within=within, extra=extra) as process:
            assert process.wait(LONGEST_SITE_S) == 0, edge.log[-3000:]
    assert (edge.waiting(), edge.shed()) == (0, 0)
    log.warning("all concluded %.0f s after the last image", cluster.wait_done(timeout_s=LONGEST_SITE_S))
    log.warning("workers ended by themselves with %s", cluster.ended)


def test_an_edge_behind_a_cable_that_is_pulled(tmp_path: Path) -> None:
    if reason := why_not():
        pytest.skip(reason)
    try:
        with NetNamespace() as sea:
            address = f"{sea.outside}:{free_port()}"
            cut_off(tmp_path, LongLine(address, address), sea.cut, sea.mend, within=sea.within)
    except NamespaceRefused as refused:
        pytest.skip(f"no network namespace can be made here: {refused}")


def test_an_edge_behind_a_line_that_is_cut(tmp_path: Path) -> None:
    if reason := why_not():
        pytest.skip(reason)
    listens = free_port()
    with TcpLine(listens, port=free_port()) as line:
        cut_off(tmp_path, LongLine(f"127.0.0.1:{listens}", f"127.0.0.1:{line.port}"), line.cut, line.mend)


def cut_off(
    folder: Path, line: LongLine, cut: Callable[[], None], mend: Callable[[], None], *, within: Sequence[str] = ()
) -> None:
    """An edge is alone for a while in the middle of what it hears."""
    site = small_site(folder / "site", seconds=CUT_S + 75)
    far = {"bootstrap_servers": (line.known_as,)}
    with (
        KafkaServer(folder / "kafka", line=line) as server,
        Cluster(server, site, folder, prefix="cut.") as cluster,
        cluster.supervised(2),
    ):
        with shipping(site, cluster, within=within, **far) as edge:
            time.sleep(10)
            cut()
            time.sleep(CUT_S)
            waiting = edge.waiting()
            mend()
            took_s = wait_for(lambda: edge.waiting() < FEW, "the spool is drained")
            log.warning("cut off for %.0f s: %d images waited; shipped %.0f s after it", CUT_S, waiting, took_s)
            assert waiting > 0.8 * CUT_S * IMAGES_PER_S
        assert_events_are_the_stations(cluster, site.events())


@pytest.mark.parametrize("wrong_by_s", [-3600, 3600])
def test_an_edge_whose_clock_is_wrong_by_an_hour(server: KafkaServer, tmp_path: Path, wrong_by_s: int) -> None:
    """What it hears keeps its own times; once the brokers have answered, envelopes say how wrong its clock is, and
    workers say it of each hydrophone, once.
    """
    site = small_site(tmp_path / "site", seconds=20)
    with Cluster(server, site, tmp_path, prefix=f"clock{wrong_by_s}.") as cluster, cluster.supervised(2):
        with shipping(site, cluster, extra=WallClock(tmp_path, offset_s=wrong_by_s).environment):
            pass
        assert_events_are_the_stations(cluster, site.events())
        sent = [decode(record.value) for record in cluster.records(IMAGES)]
        clocks = [item.clock for item in sent if isinstance(item, ImageEnvelope)]
        assert clocks[-1].broker_ahead_s == pytest.approx(-wrong_by_s, abs=60)
        assert clocks[-1].is_unsure(tolerance_s=60)
        told = [EVENT.validate_json(record.value) for record in cluster.records(EVENTS)]
        conditions = {event.id: event for event in told if isinstance(event, ConditionEvent)}.values()
        assert {(e.condition, e.change) for e in conditions} == {("clock_unsure", "begun")}
        assert sorted(e.hydrophone or "" for e in conditions) == sorted({e.hydrophone for e in site.events()})
        # A kernel without NTP may have said so before the brokers did.
        where = "ahead of" if wrong_by_s > 0 else "behind"
        assert all(f"{where} the brokers'" in e.detail or "nobody keeps" in e.detail for e in conditions)
