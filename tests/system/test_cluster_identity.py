"""The same audio through a station and through a cluster: the same events, id by id, field by field.

SEACANARY_IDENTITY_MINUTES says how much audio of each hydrophone, 20 by default.
"""

import logging
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from cluster_scene import by_id
from edge_scene import EdgeProcess, Site
from identity_recordings import SIMULATED, what_is_real, write_recordings
from kafka_cluster import Cluster
from kafka_server import KafkaServer, why_not
from redis_server import free_port

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(5400)]

log = logging.getLogger(__name__)

MINUTES = float(os.environ.get("SEACANARY_IDENTITY_MINUTES", "20"))
LONGEST_S = 600 + 180 * MINUTES
CONCLUDED = 'seacanary_worker_records_total{outcome="concluded",stage="infer"}'
PRESENCE = {"rule": {"hold_s": 8, "update_s": 60}}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[KafkaServer]:
    if reason := why_not():
        pytest.skip(reason)
    with KafkaServer(tmp_path / "kafka") as server:
        yield server


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[list[Site]]:
    """Stations of three hydrophones each, recorded; their gigabytes are deleted."""
    yield [make_site(tmp_path / station, station) for station in SIMULATED]
    for station in SIMULATED:
        shutil.rmtree(tmp_path / station)


def make_site(folder: Path, station: str) -> Site:
    names = write_recordings(folder / "recordings", station, seconds=60 * MINUTES)
    sources = [{"kind": "files", "name": name, "path": str(folder / "recordings" / name)} for name in names]
    tree = {
        "station": {"name": station},
        "model": {"sessions": 1},
        "sources": sources,
        "presence": PRESENCE,
        "metrics": {"enabled": False},
    }
    clips = {"path": str(folder / "evidence"), "pre_roll_s": 0, "post_roll_s": 0, "longest_clip_s": 1}
    return Site(folder, tree, {"evidence": clips})


def test_a_cluster_says_what_stations_say(server: KafkaServer, sites: list[Site], tmp_path: Path) -> None:
    with ThreadPoolExecutor(len(sites)) as executor:
        began_s = time.monotonic()
        heard = [list(events) for events in executor.map(Site.events, sites)]
        log.warning("stations: %.0f s", time.monotonic() - began_s)
    told = through_the_cluster(server, sites, tmp_path)
    expected = by_id([event for events in heard for event in events])
    assert told == expected
    log.warning("%g minutes of %s and simulated calls: %d events", MINUTES, what_is_real(), len(expected))


def through_the_cluster(server: KafkaServer, sites: list[Site], folder: Path) -> dict[str, object]:
    """Events of an edge for each station and two workers, by id."""
    sections = {"clips": True}
    with Cluster(server, sites[0], folder, prefix="identity.", partitions=12, worker=sections) as cluster:
        ports = [free_port(), free_port()]
        for port in ports:
            cluster.start(sections={"metrics": {"port": port}})
        cluster.wait_ready()
        began_s = time.monotonic()
        run_all([site.edge(cluster.kafka) for site in sites])
        log.warning("edges: %.0f s", time.monotonic() - began_s)
        cluster.wait_done(timeout_s=LONGEST_S)
        log.warning("edges and workers: %.0f s", time.monotonic() - began_s)
        shares = [judged(port) for port in ports]
        log.warning("images judged by each worker: %s", shares)
        assert all(shares)
        return dict(by_id([event for event, _ in cluster.events()]))


def run_all(edges: list[EdgeProcess]) -> None:
    """Run edges at once, to the end of their recordings."""
    with ExitStack() as running:
        processes = [running.enter_context(edge.running()) for edge in edges]
        for edge, process in zip(edges, processes, strict=True):
            assert process.wait(LONGEST_S) == 0, edge.log[-3000:]
    assert [(edge.waiting(), edge.shed()) for edge in edges] == [(0, 0)] * len(edges)


def judged(port: int) -> int:
    """Records that a worker's model has had."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    (line,) = [line for line in text.splitlines() if line.startswith(CONCLUDED)] or [f"{CONCLUDED} 0"]
    return round(float(line.rpartition(" ")[2]))
