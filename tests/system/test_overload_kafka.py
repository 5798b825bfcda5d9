"""A worker that is too slow, on a real Kafka: what it does in turn, and that every image is accounted for."""

import itertools
import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cluster_scene import RATE_HZ, Scene, make_scene
from fakes import EPOCH
from kafka_cluster import Cluster, WorkerProcess, in_turn, wait_for
from kafka_server import KafkaServer, why_not
from redis_server import free_port
from seacanary.cluster.envelope import DetectionEnvelope, Envelope, ImageEnvelope, LostEnvelope
from seacanary.cluster.envelope_codec import decode
from seacanary.cluster.topics import DETECTIONS
from seacanary.observations import Detection, Unobserved

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(600)]

# It judges 6 images a second, where 60 come.
SLOW = "each:0.15"
PER_S = 60.0
LIMITS = {
    "batch_images": 4,
    "batch_images_most": 16,
    "grow_after_s": 1,
    "coarsen_after_s": 4,
    "shed_after_s": 12,
    "roles": ["infer", "track", "fleet"],
}
SAMPLE_S = 1 / RATE_HZ


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(tmp_path_factory.mktemp("model"), seconds=60.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    if reason := why_not():
        pytest.skip(reason)
    with KafkaServer(tmp_path_factory.mktemp("kafka")) as server:
        yield server


def live(sent: list[Envelope]) -> list[Envelope]:
    """The scene as if it began now."""
    later = datetime.now(UTC).replace(microsecond=0) - EPOCH
    return [
        replace(item, epoch=item.epoch + later, start=item.start + later) if isinstance(item, ImageEnvelope) else item
        for item in sent
    ]


def metric(port: int, name: str, **labels: str) -> float:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == f"seacanary_{name}" and labels.items() <= sample.labels.items()
    )


@contextmanager
def levels_of(port: int) -> Iterator[list[float]]:
    """The overload level as it changes meanwhile."""
    seen, over = [0.0], threading.Event()

    def look() -> None:
        while not over.wait(0.2):
            try:
                level = metric(port, "worker_overload_level")
            except (URLError, OSError):
                continue
            if level != seen[-1]:
                seen.append(level)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        over.set()
        looking.join()


def stretch_of(item: Envelope) -> Detection | Unobserved | None:
    """What an envelope says was judged, or not."""
    if isinstance(item, DetectionEnvelope):
        return item.detection
    return item.lost if isinstance(item, LostEnvelope) else None


def effort_by_hand(said: list[Envelope]) -> Counter[tuple[str, str]]:
    """Seconds by hydrophone and kind, sample by sample, from what left infer."""
    fates: dict[tuple[str, datetime, int], set[bool]] = defaultdict(set)
    reach: dict[tuple[str, datetime], list[int]] = defaultdict(list)
    for item in said:
        stretch = stretch_of(item)
        if stretch is None:
            continue
        reach[stretch.hydrophone, stretch.epoch] += [stretch.first_sample, stretch.end_sample]
        for sample in range(stretch.first_sample, stretch.end_sample):
            fates[stretch.hydrophone, stretch.epoch, sample].add(isinstance(item, DetectionEnvelope))
    counts: Counter[tuple[str, str]] = Counter()
    for (name, epoch), ends in reach.items():
        for sample in range(min(ends), max(ends)):
            kinds = fates.get((name, epoch, sample), set())
            kind = "degraded_s" if len(kinds) == 2 else "listened_s" if kinds == {True} else "lost_s"
            counts[name, kind] += 1
    return counts


def fleet_effort(worker: WorkerProcess) -> Counter[tuple[str, str]]:
    """Seconds by hydrophone and kind, as the fleet tells."""
    url = worker.log.partition("fleet: ")[2].partition("/fleet")[0]
    with urlopen(f"{url}/fleet?species=beluga", timeout=10) as answer:
        rows = json.loads(answer.read())["rows"]
    found: Counter[tuple[str, str]] = Counter()
    for row, kind in itertools.product(rows, ("listened_s", "degraded_s", "lost_s")):
        found[row["hydrophone"], kind] += row[kind]
    return found


def test_a_worker_that_is_too_slow_gives_up_in_turn_and_accounts_for_every_image(
    server: KafkaServer, scene: Scene, tmp_path: Path
) -> None:
    port = free_port()
    sections = {"metrics": {"port": port}}
    with Cluster(server, scene, tmp_path, prefix="slow.", partitions=1, worker=sections) as cluster:
        worker = cluster.start(SLOW, **LIMITS)
        wait_for(lambda: "fleet: http" in worker.log, "the worker is there")
        sent = live(in_turn(scene.sent))
        with levels_of(port) as levels, cluster.sending(sent, per_s=PER_S):
            wait_for(lambda: 4.0 in levels, "it sheds", timeout_s=120)
        wait_for(lambda: len(cluster.records(DETECTIONS)) >= len(sent), "all concluded")
        # One rung after the other.
        assert [levels.index(level) for level in (0, 1, 2, 3, 4)] == [0, 1, 2, 3, 4]
        assert metric(port, "batch_windows_bucket", le="16.0") > metric(port, "batch_windows_bucket", le="4.0")

        said = [decode(record.value) for record in cluster.records(DETECTIONS)]
        assert_every_envelope_is_answered(sent, said)
        reasons = Counter(item.lost.reason for item in said if isinstance(item, LostEnvelope))
        assert set(reasons) == {"skipped", "shed"}
        for outcome, count in reasons.items():
            assert metric(port, "worker_degraded_images_total", outcome=outcome) == count
        kinds = [item.lost.reason for item in said if isinstance(item, LostEnvelope)]
        assert kinds.index("skipped") < kinds.index("shed")

        samples = effort_by_hand(said)
        told = Counter({key: count * SAMPLE_S for key, count in samples.items()})
        time.sleep(2)  # the last part of the hours is read
        assert fleet_effort(worker) == {key: pytest.approx(told[key], abs=0.01) for key in fleet_effort(worker)}
        assert {kind for _, kind in told} == {"listened_s", "degraded_s", "lost_s"}


def assert_every_envelope_is_answered(sent: list[Envelope], said: list[Envelope]) -> None:
    """Once, in its hydrophone's order: an image by a detection or by a stretch of the same samples."""
    for name in {item.hydrophone for item in sent}:
        mine, answers = ([item for item in items if item.hydrophone == name] for items in (sent, said))
        assert [item.number for item in answers] == [item.number for item in mine]
        for image, answer in zip(mine, answers, strict=True):
            if isinstance(image, ImageEnvelope):
                stretch = stretch_of(answer)
                assert stretch is not None
                assert (stretch.epoch, stretch.first_sample) == (image.epoch, image.first_sample)
