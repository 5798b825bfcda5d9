"""Fleet on a real Kafka: the hours are those of the audio itself, whatever becomes of workers."""

import csv
import json
import re
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from cluster_scene import RATE_HZ, STATION, Scene, make_scene
from kafka_cluster import Cluster, WorkerProcess, in_turn, wait_for
from kafka_server import KafkaServer, why_not
from seacanary.cluster.envelope import Envelope, ImageEnvelope

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(600)]

# So that the scene, which begins at noon, lies across it.
EARLIER = timedelta(seconds=20)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(tmp_path_factory.mktemp("model"), seconds=60.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    if reason := why_not():
        pytest.skip(reason)
    with KafkaServer(tmp_path_factory.mktemp("kafka")) as server:
        yield server


def earlier(item: Envelope) -> Envelope:
    return (
        replace(item, epoch=item.epoch - EARLIER, start=item.start - EARLIER)
        if isinstance(item, ImageEnvelope)
        else item
    )


def asked(worker: WorkerProcess, place: str, **query: str) -> str:
    url = wait_for_url(worker)
    with urllib.request.urlopen(f"{url}{place}?{urlencode(query)}", timeout=10) as answer:
        return str(answer.read().decode())


def wait_for_url(worker: WorkerProcess) -> str:
    wait_for(lambda: "fleet: http" in worker.log, "fleet answers")
    return re.findall(r"fleet: (http://\S+)/fleet", worker.log)[-1]


def rows(worker: WorkerProcess) -> dict[tuple[str, str, str], dict[str, Any]]:
    """By hydrophone, species and hour."""
    page = json.loads(asked(worker, "/fleet", **{"from": "2026-05-01T00:00:00Z", "to": "2026-05-02T00:00:00Z"}))
    return {(row["hydrophone"], row["species"], row["hour"][11:13]): row for row in page["rows"]}


def hour_of(when: datetime) -> str:
    return f"{when:%H}"


def analysed_by_hand(scene: Scene) -> Counter[tuple[str, str]]:
    """Samples in windows, by hydrophone and hour."""
    counts: Counter[tuple[str, str]] = Counter()
    for name, sent in scene.sent.items():
        images = [earlier(item) for item in sent if isinstance(item, ImageEnvelope)]
        held = {(image.epoch, sample) for image in images for sample in range(image.first_sample, image.end_sample)}
        for epoch, sample in held:
            counts[name, hour_of(epoch + timedelta(seconds=sample / RATE_HZ))] += 1
    return counts


def presence_by_hand(scene: Scene) -> tuple[Counter[tuple[str, str, str]], Counter[tuple[str, str, str]]]:
    """Presences begun and seconds present, by hydrophone, species and hour, from a station's events."""
    begun, present_s = Counter[tuple[str, str, str]](), Counter[tuple[str, str, str]]()
    for event in scene.events:
        onset = event.onset - EARLIER
        if event.kind == "started":
            begun[event.hydrophone, event.species, hour_of(onset)] += 1
        if event.kind == "ended":
            assert event.offset is not None
            offset = event.offset - EARLIER
            while onset < offset:
                until = min(offset, onset.replace(minute=0, second=0, microsecond=0) + HOUR)
                present_s[event.hydrophone, event.species, hour_of(onset)] += (until - onset).total_seconds()
                onset = until
    return begun, present_s


def test_hours_of_a_fleet_whose_worker_was_killed_are_those_of_the_audio(
    server: KafkaServer, scene: Scene, tmp_path: Path
) -> None:
    with Cluster(server, scene, tmp_path, prefix="fleet.") as cluster:
        workers = [cluster.start(number=0), cluster.start(number=1)]
        for worker in workers:
            wait_for_url(worker)
        sent = [earlier(item) for item in in_turn(scene.sent)]
        half = len(sent) // 2
        cluster.send(sent[:half])
        time.sleep(4)
        workers[0].kill()
        workers[0].forget()
        cluster.send(sent[half:])
        workers[0] = cluster.start(number=0)
        cluster.wait_done()
        # What was written last is read within a moment.
        wait_for(lambda: rows(workers[0]) == rows(workers[1]) and len(rows(workers[0])) == 3 * 2 * 2, "both know all")
        found = rows(workers[0])
        begun, present_s = presence_by_hand(scene)
        assert {key: row["encounters"] for key, row in found.items()} == {key: begun[key] for key in found}
        assert {key: row["present_s"] for key, row in found.items()} == {
            key: pytest.approx(present_s[key], abs=1e-5) for key in found
        }
        listened = analysed_by_hand(scene)
        for (hydrophone, _, hour), row in found.items():
            assert row["listened_s"] == pytest.approx(listened[hydrophone, hour] / RATE_HZ, abs=2 / RATE_HZ)
            assert row["degraded_s"] == 0
        assert {hour for _, _, hour in found} == {"11", "12"}
        assert sum(begun.values()) > 20
        assert sum(row["lost_s"] for row in found.values()) > 0
        table = list(
            csv.DictReader(
                asked(
                    workers[1], "/fleet", format="csv", **{"from": "2026-05-01T00:00:00Z", "to": "2026-05-02T00:00:00Z"}
                ).splitlines()
            )
        )
        assert len(table) == len(found)
        [station] = json.loads(asked(workers[0], "/fleet/stations"))
        assert (station["station"], len(station["hydrophones"])) == (STATION, 3)
