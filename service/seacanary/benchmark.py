"""How many hydrophones this machine can carry: simulated audio in memory through the real stages."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from functools import partial

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from seacanary.audio import AudioBlock, decode_pcm, read_only
from seacanary.batching import BatchingSection
from seacanary.detection import Detector
from seacanary.guard import GuardSection
from seacanary.hydrophone import Hydrophone
from seacanary.listening import Conclusion, Feed, Listening
from seacanary.metrics import Metrics
from seacanary.presence_rules import PresenceSection
from seacanary.simulation import Scene, Soundscape

RATE_HZ = 384_000
BLOCK_SAMPLES = RATE_HZ // 10
SAMPLE_BYTES = 3
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Capacity(BaseModel):
    """What was measured, and what follows from it."""

    model_config = ConfigDict(frozen=True)

    audio_s: float = Field(description="audio run through, seconds")
    took_s: float = Field(description="wall-clock time it took, seconds")
    sessions: int = Field(description="inference threads")
    ms_per_window: float
    hydrophones_realtime: float = Field(description="hydrophones at 384 kHz that keep up, nothing else running")
    provider: str
    model_id: str


class MemorySource:
    """Packed 24-bit samples in memory, cut into blocks: what a driver hands over, without the driver."""

    def __init__(self, raw: bytes, name: str) -> None:
        self._raw, self._name = raw, name

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        """Yield blocks of a tenth of a second."""
        for block in decoded_blocks(self._raw, self._name):
            yield block

    async def aclose(self) -> None:
        """Nothing to release."""


def simulated_pcm(seconds: float) -> bytes:
    """Simulated sea as packed little-endian 24-bit at 384 kHz."""
    rendered = Soundscape(Scene(seed=7), sample_rate_hz=RATE_HZ).render(round(seconds * RATE_HZ))
    counts = np.clip(rendered.samples * 2**23, -(2**23), 2**23 - 1).astype("<i4")
    return counts.view(np.uint8).reshape(-1, 4)[:, :SAMPLE_BYTES].tobytes()


def decoded_blocks(raw: bytes, name: str) -> Iterator[AudioBlock]:
    """Decode block by block, as a source does."""
    step = BLOCK_SAMPLES * SAMPLE_BYTES
    for at in range(0, len(raw), step):
        samples = decode_pcm(raw[at : at + step], "s24le", 1)[0]
        yield AudioBlock(name, read_only(samples), at // SAMPLE_BYTES, RATE_HZ, EPOCH)


def bench_hydrophone(detector: Detector, name: str) -> Hydrophone:
    """The stages of one hydrophone, as a station makes them."""
    return Hydrophone(
        name,
        station="bench",
        contract=detector.contract,
        presence=PresenceSection(),
        guard=GuardSection(),
        pad_at_end=False,
    )


def run_pipeline(detector: Detector, raw: bytes, *, sessions: int) -> None:
    """Bytes to conclusions through every stage of a station but the journal."""

    async def tell(_: Conclusion) -> None:
        return

    feed = Feed("bench", MemorySource(raw, "bench"), partial(bench_hydrophone, detector), patient=True)
    batching = BatchingSection(max_windows=4 * sessions, deadline_s=0, queue_windows=8 * sessions)
    asyncio.run(Listening([feed], detector=detector, batching=batching, metrics=Metrics(), tell=tell).run())


def measure(detector: Detector, *, audio_s: float, sessions: int) -> Capacity:
    """Time the pipeline on simulated audio, after one warm-up of two seconds."""
    raw = simulated_pcm(audio_s)
    run_pipeline(detector, raw[: 2 * RATE_HZ * SAMPLE_BYTES], sessions=sessions)
    began = time.perf_counter()
    run_pipeline(detector, raw, sessions=sessions)
    took_s = time.perf_counter() - began
    hop_s = detector.contract.hop_samples / detector.contract.sample_rate_hz
    return Capacity(
        audio_s=audio_s,
        took_s=round(took_s, 3),
        sessions=sessions,
        ms_per_window=round(1e3 * took_s / (audio_s / hop_s), 2),
        hydrophones_realtime=round(audio_s / took_s, 1),
        provider=detector.provider,
        model_id=detector.contract.model_id,
    )
