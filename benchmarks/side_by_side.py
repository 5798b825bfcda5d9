"""Times two pieces of work in turn, so that a machine whose speed drifts is fair to both."""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Comparison:
    """Median seconds of each, and the median of the ratios pair by pair."""

    first_s: float
    second_s: float
    ratio: float
    lowest_ratio: float
    highest_ratio: float


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def compare(first: Callable[[], object], second: Callable[[], object], *, pairs: int) -> Comparison:
    """Run first, second, first, second ... after one warm-up of each; ratio = first / second."""
    first()
    second()
    gc.disable()
    times = [(seconds(first), seconds(second)) for _ in range(pairs)]
    gc.enable()
    ratios = sorted(a / b for a, b in times)
    return Comparison(
        first_s=statistics.median(a for a, _ in times),
        second_s=statistics.median(b for _, b in times),
        ratio=statistics.median(ratios),
        lowest_ratio=ratios[0],
        highest_ratio=ratios[-1],
    )
