"""Workers under load: what 1, 2 and 4 bring through, how late, and whether they keep up with a fleet."""

import asyncio
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.cluster_bytes import stored_bytes
from benchmarks.cluster_processes import Bench, Child, all_joined, broker_cpu_s, wait_for
from benchmarks.cluster_reading import Latencies, count, latencies, quantiles_s, rate_per_s, reader, records
from benchmarks.cluster_stand_in import ASSUMED_IMAGES_PER_S
from seacanary.cluster.app import CHANGELOG_TOPIC
from seacanary.cluster.topics import DETECTIONS, EVENTS, IMAGES
from seacanary.cluster.tracking import Tracking
from seacanary.contract import ModelContract
from seacanary.guard import GuardSection
from seacanary.presence_rules import PresenceSection

ALL_ROLES = ("infer", "track", "deliver")
WARM_UP_HYDROPHONES = 24
# A load is kept up with if what was offered is concluded this soon after its end: a batch's deadline, and a commit.
SETTLE_S = 2.0
KEPT_UP = 0.99


@dataclass(frozen=True, slots=True)
class Offered:
    """What was offered and what became of it.

    Attributes:
        workers: processes.
        hydrophones: that sent.
        offered_per_s: images a second that were to come.
        appended_per_s: that came, by the broker's clock.
        concluded_per_s: that were concluded (their state stored) while they came and SETTLE_S after.
        kept_up: whether that was all of them, but for a hundredth.
        detection: quantiles from an image's append to its detection's, seconds.
        event: quantiles from the deciding image's append to its event's, seconds.
        events: how many.
        worker_cores, broker_cores, feed_cores: processors each kind of process had on average.
    """

    workers: int
    hydrophones: int
    offered_per_s: float
    appended_per_s: float
    concluded_per_s: float
    kept_up: bool
    detection: Mapping[str, float | None]
    event: Mapping[str, float | None]
    events: int
    worker_cores: float
    broker_cores: float
    feed_cores: float


class Crew:
    """Workers of all roles that share the topics of a bench."""

    def __init__(self, bench: Bench, contract: ModelContract, *, workers: int) -> None:
        self._bench, self._contract = bench, contract
        self._workers = [
            bench.worker(roles=ALL_ROLES, assumed_images_per_s=ASSUMED_IMAGES_PER_S) for _ in range(workers)
        ]

    async def ready(self) -> None:
        """Wait until all have joined, and what is sent comes out at the other end."""
        await all_joined(self._bench.kafka, self._workers)
        feed = self._bench.feed(hydrophones=WARM_UP_HYDROPHONES, images_per_s=None, images=4 * WARM_UP_HYDROPHONES)
        await self._all_concluded(feed)

    def end(self) -> None:
        """Stop all."""
        for worker in self._workers:
            worker.end()

    async def backlog(self, images: int, *, hydrophones: int) -> float:
        """Images a second that are brought through when there is always more to do."""
        before = await self._counted(CHANGELOG_TOPIC)
        feed = self._bench.feed(hydrophones=hydrophones, images_per_s=None, images=images)
        await self._all_concluded(feed)
        return rate_per_s((await records(self._bench.kafka, CHANGELOG_TOPIC))[before:])

    async def stored_bytes(self, name: str) -> int:
        """Mean size of a topic's records as they lie in its segments; those that were compacted away count too."""
        count = await self._counted(name)
        return round(stored_bytes(self._bench.brokers, self._bench.kafka.topic(name)) / max(1, count))

    async def offer(self, images_per_s: float, *, hydrophones: int, seconds: float) -> Offered:
        """Offer a steady load and see what becomes of it."""
        kafka, images = self._bench.kafka, math.ceil(images_per_s * seconds)
        before = {name: await self._counted(name) for name in (IMAGES, DETECTIONS, EVENTS, CHANGELOG_TOPIC)}
        used = self._processor_s()
        feed = self._bench.feed(hydrophones=hydrophones, images_per_s=images_per_s, images=images)
        began_s = time.monotonic()
        fed_cores = await self._fed(feed)
        elapsed_s = time.monotonic() - began_s
        cores = [(now - then) / elapsed_s for now, then in zip(self._processor_s(), used, strict=True)]
        await asyncio.sleep(SETTLE_S)
        concluded = await self._counted(CHANGELOG_TOPIC) - before[CHANGELOG_TOPIC]
        await self._all_concluded(feed)
        read = {name: (await records(kafka, name))[begun:] for name, begun in before.items()}
        taken_s = (read[IMAGES][-1].at_ms - read[IMAGES][0].at_ms) / 1000
        found = self._latencies(read)
        return Offered(
            workers=len(self._workers),
            hydrophones=hydrophones,
            offered_per_s=round(images_per_s, 1),
            appended_per_s=round(images / taken_s, 1),
            concluded_per_s=round(concluded / taken_s, 1),
            kept_up=concluded >= KEPT_UP * images and images / taken_s >= KEPT_UP * images_per_s,
            detection=quantiles_s(found.detections_s),
            event=quantiles_s(found.events_s),
            events=len(found.events_s),
            worker_cores=round(cores[0], 2),
            broker_cores=round(cores[1], 2),
            feed_cores=round(fed_cores / elapsed_s, 2),
        )

    def _latencies(self, read: Mapping[str, Sequence[Any]]) -> Latencies:
        tracking = Tracking(self._contract, presence=PresenceSection(), guard=GuardSection())
        return latencies(read[IMAGES], read[DETECTIONS], read[EVENTS], tracking)

    async def _fed(self, feed: Child) -> float:
        """Wait for the end of a feed; the processor time it took, seconds."""
        used = 0.0
        while feed.process.poll() is None:
            used = max(used, feed.cpu_s())
            await asyncio.sleep(0.1)
        feed.check()
        return used

    async def _all_concluded(self, feed: Child) -> None:
        await self._fed(feed)

        async def concluded() -> bool:
            return await self._counted(CHANGELOG_TOPIC) >= await self._counted(IMAGES)

        await wait_for(concluded, "all images are concluded", *self._workers)

    async def _counted(self, name: str) -> int:
        async with reader(self._bench.kafka) as consumer:
            return await count(consumer, self._bench.kafka, name)

    def _processor_s(self) -> tuple[float, float]:
        """Of all workers, of the broker."""
        return sum(worker.cpu_s() for worker in self._workers), broker_cpu_s()


async def measure_throughput(
    bench_of: Callable[[str], Bench],
    contract: ModelContract,
    *,
    workers: Sequence[int],
    offered_per_s: Sequence[float],
    seconds: float,
    backlog: int,
) -> dict[str, object]:
    """What 1, 2, 4 workers bring through at most, and how late they are under steady loads.

    Args:
        bench_of: topics of their own, by prefix.
        contract: of the model.
        workers: how many at a time.
        offered_per_s: loads, images a second.
        seconds: of each load.
        backlog: images of the measurement of the most.
    """
    results: dict[str, object] = {}
    rows: list[dict[str, object]] = []
    hop_s = contract.hop_samples / contract.sample_rate_hz
    for number in workers:
        with bench_of(f"load{number}") as bench:
            crew = Crew(bench, contract, workers=number)
            await crew.ready()
            most = await crew.backlog(backlog, hydrophones=round(max(offered_per_s) * hop_s))
            results[f"messages_per_s_{number}_worker{'s' if number > 1 else ''}"] = round(most, 1)
            for load in offered_per_s:
                row = await crew.offer(load, hydrophones=max(1, round(load * hop_s)), seconds=seconds)
                rows.append(asdict(row))
            crew.end()
    return results | headline(rows) | {"offered_loads": rows, "offered_seconds": seconds, "backlog_images": backlog}


def headline(rows: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """The p99 of two workers at the greatest load that they kept up with; of any, if they kept up with none."""
    two = [row for row in rows if row["workers"] == 2] or list(rows)
    kept = [row for row in two if row["kept_up"]]
    at = max(kept, key=lambda row: row["offered_per_s"]) if kept else min(two, key=lambda row: row["offered_per_s"])
    return {
        "p99_latency_s": at["detection"]["p99_s"],
        "p99_event_latency_s": at["event"]["p99_s"],
        "p99_latency_at": {key: at[key] for key in ("workers", "offered_per_s", "kept_up")},
    }


async def measure_fleet(
    bench_of: Callable[[str], Bench],
    contract: ModelContract,
    *,
    hydrophones: Sequence[int],
    workers: int,
    seconds: float,
) -> dict[str, object]:
    """Fleets from large to small, until the workers keep up with one.

    Args:
        bench_of: topics of their own, by prefix.
        contract: of the model.
        hydrophones: of the fleets, falling.
        workers: processes.
        seconds: of each.
    """
    tried: list[dict[str, object]] = []
    hop_s = contract.hop_samples / contract.sample_rate_hz
    with bench_of("fleet") as bench:
        crew = Crew(bench, contract, workers=workers)
        await crew.ready()
        for size in hydrophones:
            row = await crew.offer(size / hop_s, hydrophones=size, seconds=seconds)
            tried.append(asdict(row))
            if row.kept_up:
                break
        stored = {name: await crew.stored_bytes(name) for name in (IMAGES, DETECTIONS, EVENTS, CHANGELOG_TOPIC)}
        crew.end()
    kept = [row for row in tried if row["kept_up"]]
    return {
        "fleet_hydrophones_kept_up": kept[0]["hydrophones"] if kept else 0,
        "fleet": {
            "what": f"{hydrophones[0]} simulated hydrophones, M replaced by SleepingGpuStandIn",
            "assumed_gpu_images_per_s": ASSUMED_IMAGES_PER_S,
            "assumption": "assumed, not measured: no GPU was at hand",
            "seconds": seconds,
            "cores": os.cpu_count(),
            "tried": tried,
            "stored_bytes_per_record": stored,
        },
    }
