"""How long a new worker takes to go on where a killed one was: all hydrophones' states from the changelog."""

import signal
import time
from collections.abc import Callable

from benchmarks.cluster_load import ALL_ROLES
from benchmarks.cluster_processes import Bench, all_joined, wait_for
from benchmarks.cluster_reading import count, concluded_first_ms, reader, records
from benchmarks.cluster_stand_in import ASSUMED_IMAGES_PER_S
from seacanary.cluster.app import CHANGELOG_TOPIC
from seacanary.contract import ModelContract

TARGET_S = 30.0
# What the killed worker had under way may still arrive; nobody takes its place sooner than its session times out.
STILL_ARRIVING_S = 1.0


async def measure_takeover(
    bench_of: Callable[[str], Bench], contract: ModelContract, *, hydrophones: int, states_each: int
) -> dict[str, object]:
    """Kill a worker that has followed all hydrophones, start another without its data, and wait for the last of them.

    They go on sending meanwhile.

    Args:
        bench_of: topics of their own, by prefix.
        contract: of the model.
        hydrophones: how many.
        states_each: images of each that the first worker concludes before it is killed.
    """
    images_per_s = hydrophones * contract.sample_rate_hz / contract.hop_samples
    with bench_of("takeover") as bench:
        first = bench.worker(roles=ALL_ROLES, assumed_images_per_s=ASSUMED_IMAGES_PER_S)
        await all_joined(bench.kafka, [first])
        feed = bench.feed(hydrophones=hydrophones, images_per_s=images_per_s, images=round(images_per_s * 600))
        async with reader(bench.kafka) as consumer:

            async def concluded() -> bool:
                return await count(consumer, bench.kafka, CHANGELOG_TOPIC) >= hydrophones * states_each

            await wait_for(concluded, "states are in the changelog", first, feed)
        killed_ms = round(1000 * time.time())
        first.end(signal.SIGKILL)
        second = bench.worker(roles=ALL_ROLES, assumed_images_per_s=ASSUMED_IMAGES_PER_S)
        after_ms = killed_ms + round(1000 * STILL_ARRIVING_S)

        async def all_again() -> bool:
            changelog = await records(bench.kafka, CHANGELOG_TOPIC)
            return len(concluded_first_ms(changelog, after_ms=after_ms)) >= hydrophones

        await wait_for(all_again, "the second worker has concluded a record of every hydrophone", second, feed)
        changelog = await records(bench.kafka, CHANGELOG_TOPIC)
        first_ms = concluded_first_ms(changelog, after_ms=after_ms)
    return takeover(
        [at_ms - killed_ms for at_ms in first_ms.values()], states=sum(r.at_ms <= after_ms for r in changelog)
    )


def takeover(after_ms: list[int], *, states: int) -> dict[str, object]:
    """What cluster.json says of the takeover.

    Args:
        after_ms: from the kill to each hydrophone's first record concluded.
        states: records in the changelog when the first worker was killed.
    """
    return {
        "takeover_s": round(max(after_ms) / 1000, 2),
        "takeover": {
            "what": "SIGKILL of the only worker to the first record of the last hydrophone concluded by "
            "one that was started at once, without data; 10 s of it until the dead one's session times out",
            "target_s": TARGET_S,
            "first_hydrophone_s": round(min(after_ms) / 1000, 2),
            "hydrophones": len(after_ms),
            "states_in_changelog": states,
        },
    }
