"""Peak resident memory of the stages with N hydrophones: `python -m benchmarks.memory N` prints MB."""

import asyncio
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import numpy as np

from seacanary.audio import AudioBlock, read_only
from seacanary.batching import BatchingSection
from seacanary.benchmark import BLOCK_SAMPLES, EPOCH, RATE_HZ, bench_hydrophone
from seacanary.detection import Detector, DetectorSection
from seacanary.listening import Conclusion, Feed, Listening
from seacanary.metrics import Metrics

AUDIO_S = 3


class NoiseSource:
    """Seeded noise, a fresh array per block as a driver would give it."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        rng = np.random.default_rng(1)
        for first in range(0, AUDIO_S * RATE_HZ, BLOCK_SAMPLES):
            samples = rng.standard_normal(BLOCK_SAMPLES, np.float32) * np.float32(0.01)
            yield AudioBlock(self._name, read_only(samples), first, RATE_HZ, EPOCH)
            await asyncio.sleep(0)

    async def aclose(self) -> None:
        return


async def listen(count: int) -> None:
    """Run `count` hydrophones through every stage but the journal."""
    detector = Detector.load(DetectorSection())
    seen = 0

    async def tell(_: Conclusion) -> None:
        nonlocal seen
        seen += 1

    feeds = [
        Feed(f"h{i}", NoiseSource(f"h{i}"), partial(bench_hydrophone, detector), patient=True) for i in range(count)
    ]
    batching = BatchingSection(max_windows=4, deadline_s=0, queue_windows=8)
    await Listening(feeds, detector=detector, batching=batching, metrics=Metrics(), tell=tell).run()


def peak_mb() -> float:
    """Peak resident memory, MB; not ru_maxrss, which a child takes over from its parent."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    asyncio.run(listen(int(sys.argv[1])))
    print(peak_mb())
