"""A short real measurement: how many hydrophones this machine can carry in a role. Run in a process of its own."""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from seacanary.audio import Window, read_only
from seacanary.benchmark import measure
from seacanary.contract import ModelContract
from seacanary.detection import Detector, DetectorSection
from seacanary.image_detection import ImageJudge, Transformer
from seacanary.observations import Imaged
from seacanary.onnx_sessions import image_shape

AUDIO_S = 4.0
LEAST_S = 2.0
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a short run came to.

    Attributes:
        hydrophones: how many streams the machine carries in real time, with nothing else to do than it has now.
        peak_bytes: memory the run took at most.
    """

    hydrophones: float
    peak_bytes: int


def measured(section: DetectorSection, role: str) -> Measured:
    """Run simulated audio or images through what a role does of T and M."""
    match role:
        case "edge":
            hydrophones = _of_transformer(Transformer.load(section), section.sessions)
        case "worker":
            hydrophones = _of_judge(ImageJudge.load(section), section.sessions)
        case _:
            detector = Detector.load(section)
            hydrophones = measure(detector, audio_s=AUDIO_S, sessions=section.sessions).hydrophones_realtime
    return Measured(hydrophones, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def _of_transformer(transformer: Transformer, sessions: int) -> float:
    contract = transformer.contract
    pcm = np.random.default_rng(1).normal(0, 1e-3, contract.window_samples).astype(np.float32)
    window = Window(
        hydrophone="doctor", pcm=read_only(pcm), start=EPOCH, epoch=EPOCH, first_sample=0,
        end_sample=contract.window_samples, sample_rate_hz=contract.sample_rate_hz,
    )  # fmt: skip
    return _in_real_time(contract, sessions, lambda: transformer.images([window] * sessions))


def _of_judge(judge: ImageJudge, sessions: int) -> float:
    contract = judge.contract
    pixels = np.random.default_rng(1).integers(0, contract.image_steps + 1, image_shape(contract), dtype=np.uint8)
    image = Imaged(
        hydrophone="doctor", epoch=EPOCH, first_sample=0, end_sample=contract.window_samples,
        sample_rate_hz=contract.sample_rate_hz, start=EPOCH, source_file=None, missing_fraction=0.0,
        clipped_fraction=0.0, image=pixels, unobserved=frozenset(),
    )  # fmt: skip
    return _in_real_time(contract, sessions, lambda: judge.judge([image] * sessions))


def _in_real_time(contract: ModelContract, windows: int, work: Callable[[], object]) -> float:
    """Streams that can be kept up with, if one call works off so many windows; after one call to warm up."""
    work()
    began_s, calls = time.perf_counter(), 0
    while time.perf_counter() - began_s < LEAST_S:
        work()
        calls += 1
    took_s = time.perf_counter() - began_s
    return calls * windows / took_s * contract.hop_samples / contract.sample_rate_hz
