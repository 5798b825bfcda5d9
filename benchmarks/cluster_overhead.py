"""What Faust costs: the infer agent against the same work in a bare aiokafka loop, in turn, on the same topic."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.cluster_processes import Bench, wait_for
from benchmarks.cluster_reading import count, rate_per_s, reader, records
from seacanary.cluster.topics import DETECTIONS, IMAGES, make_topics

TARGET = 0.25
HYDROPHONES = 48
# Of each turn's records: over which processor time is not counted, as it goes into the start.
RAMP = 0.15


@dataclass(frozen=True, slots=True)
class Turn:
    """One process working off all records of the topic.

    Attributes:
        per_s: records a second.
        cpu_us: processor time of the process for a record, microseconds.
    """

    per_s: float
    cpu_us: float


def overhead(bare: Sequence[Turn], faust: Sequence[Turn]) -> dict[str, object]:
    """How much longer a record takes with Faust, by the clock and by processor time: medians of the pairs' ratios."""
    by_clock = [b.per_s / f.per_s - 1 for b, f in zip(bare, faust, strict=True)]
    by_cpu = [f.cpu_us / b.cpu_us - 1 for b, f in zip(bare, faust, strict=True)]
    return {
        "faust_overhead": round(statistics.median(by_clock), 3),
        "overhead": {
            "what": "time for a record in Faust's infer agent over that in a bare aiokafka loop, less 1; the stand-in "
            "for M does not sleep, so nothing hides it",
            "target": TARGET,
            "range": [round(min(by_clock), 3), round(max(by_clock), 3)],
            "processor_time_overhead": round(statistics.median(by_cpu), 3),
            "bare_messages_per_s": round(statistics.median(turn.per_s for turn in bare), 1),
            "faust_messages_per_s": round(statistics.median(turn.per_s for turn in faust), 1),
            "bare_processor_us": round(statistics.median(turn.cpu_us for turn in bare)),
            "faust_processor_us": round(statistics.median(turn.cpu_us for turn in faust)),
            "pairs": len(by_clock),
        },
    }


async def measure_overhead(bench: Bench, *, pairs: int, images: int) -> dict[str, object]:
    """Let both work off the same backlog in turn.

    Each process begins with a topic that holds `images` more than it has read: the next pair's come when both are done.
    """
    await make_topics(bench.kafka)
    turns: dict[str, list[Turn]] = {"bare": [], "worker": []}
    for pair in range(pairs):
        feed = bench.feed(hydrophones=HYDROPHONES, images_per_s=None, images=images)
        async with reader(bench.kafka) as consumer:

            async def fed(consumer: object = consumer, wanted: int = (pair + 1) * images) -> bool:
                return await count(consumer, bench.kafka, IMAGES) >= wanted

            await wait_for(fed, "the backlog is in the topic", feed)
        for kind, done in turns.items():
            done.append(await _turn(bench, kind, images))
    return overhead(turns["bare"], turns["worker"])


async def _turn(bench: Bench, kind: str, images: int) -> Turn:
    async with reader(bench.kafka) as consumer:
        before = await count(consumer, bench.kafka, DETECTIONS)

        async def done(least: int) -> bool:
            return await count(consumer, bench.kafka, DETECTIONS) >= before + least

        child = bench.worker(roles=("infer",), assumed_images_per_s=None, kind=kind)
        await wait_for(lambda: done(round(RAMP * images)), f"{kind} has begun", child)
        begun_cpu_s, begun = child.cpu_s(), await count(consumer, bench.kafka, DETECTIONS) - before
        await wait_for(lambda: done(images), f"{kind} is done", child)
        cpu_us = 1e6 * (child.cpu_s() - begun_cpu_s) / max(1, images - begun)
    child.end()
    return Turn(rate_per_s((await records(bench.kafka, DETECTIONS))[before:], ramp=RAMP), cpu_us)
