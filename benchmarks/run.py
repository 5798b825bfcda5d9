"""`make bench`: measures side by side, prints a table, writes benchmarks/results.json."""

import os

# Before numpy: its own threads would make every figure depend on chance.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import json
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnxruntime as ort
import scipy.fft
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.side_by_side import Comparison, compare, seconds
from seacanary.benchmark import RATE_HZ, decoded_blocks, run_pipeline, simulated_pcm
from seacanary.detection import MODEL_FILE, TRANSFORM_FILE, Detector, DetectorSection, bundled_model
from seacanary.intake import Intake

RESULTS = Path(__file__).parent / "results.json"
AUDIO_S = 30
CORES = 2


def windows_of(raw: bytes, detector: Detector) -> list[NDArray[np.float32]]:
    """The windows of the pipeline, for ONNX Runtime alone."""
    intake = intake_for(detector)
    windows = [w for block in decoded_blocks(raw, "bench") for w in intake.push(block).windows]
    return [w.pcm for w in [*windows, *intake.end().windows]]


def intake_for(detector: Detector) -> Intake:
    """The first stage, as a station makes it."""
    contract = detector.contract
    return Intake(
        "bench",
        sample_rate_hz=contract.sample_rate_hz,
        window_samples=contract.window_samples,
        hop_samples=contract.hop_samples,
        pad_at_end=False,
    )


def bare_session(name: str) -> ort.InferenceSession:
    """One graph of the bundled model on one thread, with nothing of ours around it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(bundled_model() / name, options, providers=["CPUExecutionProvider"])


def bare_runtime(windows: list[NDArray[np.float32]]) -> Callable[[], None]:
    """ONNX Runtime on the same windows: T, then M, a pair of sessions per core."""
    pairs = [(bare_session(TRANSFORM_FILE), bare_session(MODEL_FILE)) for _ in range(CORES)]

    def share(core: int) -> None:
        transform, model = pairs[core]
        for pcm in windows[core::CORES]:
            model.run(None, {"image": transform.run(None, {"pcm": pcm[np.newaxis]})[0]})

    def run() -> None:
        with ThreadPoolExecutor(CORES) as pool:
            list(pool.map(share, range(CORES)))

    return run


def pipeline_against_runtime(raw: bytes) -> Comparison:
    """Bare ONNX Runtime's time over the pipeline's: 1 means that the pipeline costs nothing."""
    detector = Detector.load(DetectorSection(sessions=CORES))
    bare = bare_runtime(windows_of(raw, detector))
    return compare(bare, lambda: run_pipeline(detector, raw, sessions=CORES), pairs=7)


def transform_against_fft(raw: bytes) -> Comparison:
    """Time of the bare FFTs of T's frames over T's, both on one thread."""
    detector = Detector.load(DetectorSection())
    pcm = windows_of(raw[: 3 * RATE_HZ * 2], detector)[0][np.newaxis]
    transform = bare_session(TRANSFORM_FILE)
    frames = [
        np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(pcm[0], rows.fft_samples)[:: rows.hop_samples])
        for rows in detector.contract.transform.rows
    ]

    def ffts() -> None:
        for block in frames:
            scipy.fft.rfft(block, axis=1, workers=1)

    return compare(ffts, lambda: transform.run(None, {"pcm": pcm}), pairs=60)


def ingest_rate(raw: bytes) -> float:
    """Hydrophone-seconds per second from packed bytes to windows, on one core."""
    detector = Detector.load(DetectorSection())

    def ingest() -> None:
        intake = intake_for(detector)
        for block in decoded_blocks(raw, "bench"):
            for window in intake.push(block).windows:
                intake.ledger.settle_before(window.first_sample)

    ingest()
    return AUDIO_S / statistics.median(seconds(ingest) for _ in range(9))


def memory_per_hydrophone() -> float:
    """Growth of a station's resident memory with each hydrophone more, MB, in fresh processes."""
    few, many = 2, 42
    measured = [
        float(
            subprocess.run(
                [sys.executable, "-m", "benchmarks.memory", str(count)], check=True, capture_output=True, text=True
            ).stdout
        )
        for count in (few, many)
    ]
    return (measured[1] - measured[0]) / (many - few)


def main() -> None:
    """Measure everything and report."""
    console = Console()
    with console.status("making 30 s of simulated sea"):
        raw = simulated_pcm(AUDIO_S)
    with console.status("pipeline against bare ONNX Runtime"):
        pipeline = pipeline_against_runtime(raw)
    with console.status("T against bare FFTs"):
        transform = transform_against_fft(raw)
    with console.status("ingest"):
        ingest = ingest_rate(raw)
    with console.status("memory"):
        memory_mb = memory_per_hydrophone()
    results = {
        "pipeline_vs_ort": round(pipeline.ratio, 3),
        "transform_vs_fft": round(transform.ratio, 3),
        "ingest_hydrophone_s_per_s_per_core": round(ingest, 1),
        "hydrophones_realtime": int(AUDIO_S / pipeline.second_s),
        "mb_per_hydrophone": round(memory_mb, 1),
        "details": {
            "pipeline_ratio_range": [round(pipeline.lowest_ratio, 3), round(pipeline.highest_ratio, 3)],
            "pipeline_ms_per_window": round(1e3 * pipeline.second_s / (AUDIO_S / 0.512), 2),
            "transform_ms": round(1e3 * transform.second_s, 2),
            "bare_fft_ms": round(1e3 * transform.first_s, 2),
            "model_id": Detector.load(DetectorSection()).contract.model_id,
        },
        "machine": f"{_cpu()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}",
        "date": datetime.now(UTC).date().isoformat(),
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    console.print(_table(results))


TARGETS = {
    "pipeline_vs_ort": ("whole pipeline / bare ONNX Runtime, throughput", ">= 0.85"),
    "transform_vs_fft": ("T / bare FFTs of the same sizes, speed", ">= 0.6"),
    "ingest_hydrophone_s_per_s_per_core": ("bytes to windows, hydrophone-s per s and core, 384 kHz", ">= 200"),
    "hydrophones_realtime": (f"hydrophones at 384 kHz in real time on {CORES} cores", ""),
    "mb_per_hydrophone": ("memory per hydrophone, MB", "<= 32"),
}


def _table(results: dict[str, object]) -> Table:
    table = Table(title=f"{results['machine']}, {results['date']}")
    for heading in ("figure", "measured", "target"):
        table.add_column(heading)
    for key, (text, target) in TARGETS.items():
        table.add_row(text, str(results[key]), target)
    return table


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
