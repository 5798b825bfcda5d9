"""Listening to a source for some seconds, as a station would. Run in a process of its own: drivers hang and abort."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from seacanary.audio import AudioBlock
from seacanary.config import SourceSection
from seacanary.errors import SourceLost, SourceUnusable
from seacanary.wiring import open_source

# The rate is fitted over this; the first blocks come in a burst.
LISTEN_S, SETTLE_S = 3.0, 0.3
LEAST_FIT_S = 1.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of one hydrophone.

    Attributes:
        sample_rate_hz: nominal rate.
        true_rate_hz: samples a second by this machine's clock; None: too short to tell.
        peak: largest sample, full scale 1.
        lost: samples missing between blocks.
    """

    sample_rate_hz: int
    true_rate_hz: float | None
    peak: float
    lost: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of listening.

    Attributes:
        heard: by hydrophone; empty: nothing.
        trouble: why it broke or could not be opened; None: it did not.
        kind: lost (may be back by itself) or unusable (never as configured); silent: open, and nothing came.
    """

    heard: dict[str, Heard] = field(default_factory=dict)
    trouble: str | None = None
    kind: Literal["lost", "unusable", "silent"] | None = None


@dataclass(slots=True)
class _Tally:
    """Counts one hydrophone's blocks."""

    sample_rate_hz: int
    peak: float = 0.0
    lost: int = 0
    next_sample: int | None = None
    arrivals: list[tuple[float, int]] = field(default_factory=list)

    def add(self, block: AudioBlock) -> None:
        if self.next_sample is not None:
            self.lost += max(0, block.first_sample - self.next_sample)
        self.next_sample = block.end_sample
        self.peak = max(self.peak, float(np.abs(block.samples).max()))
        if block.arrival is not None:
            self.arrivals.append((block.arrival.monotonic_s, block.end_sample))

    def heard(self) -> Heard:
        return Heard(self.sample_rate_hz, fitted_rate_hz(self.arrivals), self.peak, self.lost)


def fitted_rate_hz(arrivals: list[tuple[float, int]]) -> float | None:
    """Samples a second by least squares through (arrival, s; samples by then); None: too few of them."""
    if not arrivals:
        return None
    kept = [(at, samples) for at, samples in arrivals if at >= arrivals[0][0] + SETTLE_S]
    if len(kept) < 3 or kept[-1][0] - kept[0][0] < LEAST_FIT_S:
        return None
    times, samples = np.array(kept, np.float64).T
    return float(np.polyfit(times - times[0], samples, 1)[0])


def listen(section: SourceSection, *, opening_s: float, hear: Callable[[AudioBlock], None] = lambda _: None) -> Attempt:
    """Open a source and hear it for LISTEN_S.

    Args:
        section: of the configuration.
        opening_s: longest wait for the first block.
        hear: told of each block.
    """
    return asyncio.run(_listen(section, opening_s, hear))


async def _listen(section: SourceSection, opening_s: float, hear: Callable[[AudioBlock], None]) -> Attempt:
    source = open_source(section, done=(), on_file_done=lambda _: None)
    tallies: dict[str, _Tally] = {}
    loop = asyncio.get_running_loop()
    try:
        async with aclosing(source):
            patience = asyncio.timeout(opening_s)
            async with patience:
                async for block in source.blocks():
                    if not tallies:
                        patience.reschedule(loop.time() + LISTEN_S)
                    tallies.setdefault(block.hydrophone, _Tally(block.sample_rate_hz)).add(block)
                    hear(block)
    except TimeoutError:
        if not tallies:
            return Attempt({}, f"nothing came within {opening_s:g} s", "silent")
    except (SourceLost, SourceUnusable) as exc:
        kind: Literal["lost", "unusable"] = "lost" if isinstance(exc, SourceLost) else "unusable"
        return Attempt({name: tally.heard() for name, tally in tallies.items()}, str(exc), kind)
    return Attempt({name: tally.heard() for name, tally in tallies.items()})
