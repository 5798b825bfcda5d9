"""T and M through ONNX Runtime on a GPU: latency and throughput from one window to many.

`python -m benchmarks.gpu` writes gpu.json beside this file and prints a table. It needs numpy, rich
and onnxruntime-gpu only. `--provider cpu` runs the same code without a GPU and keeps nothing unless
told where.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

ARTIFACTS = Path(__file__).parents[1] / "models" / "artifacts"
RESULTS = Path(__file__).parent / "gpu.json"
BATCHES = (1, 2, 4, 8, 16, 32, 64)
WARM_UP = 5  # cuDNN tries its algorithms on the first runs of a shape
PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}
METADATA_KEY = "seacanary.contract"


class NoGpu(Exception):
    """The provider asked for is not really there."""


@dataclass(frozen=True, slots=True)
class Row:
    """One graph at one batch size."""

    graph: str
    precision: str
    batch: int
    runs: int
    median_ms: float
    p95_ms: float
    windows_per_s: float
    hydrophones: int


@dataclass(frozen=True, slots=True)
class Precision:
    """A form of M: its file, and whether matrix products may round to TF32."""

    name: str
    model: Path
    tf32: bool


def open_session(path: Path, provider: str, *, tf32: bool, profile: Path | None = None) -> ort.InferenceSession:
    """A session that is really on the provider.

    Raises:
        NoGpu: ONNX Runtime has not the provider, or fell back to the CPU.
    """
    wanted = PROVIDERS[provider]
    if wanted not in ort.get_available_providers():
        raise NoGpu(f"this ONNX Runtime offers {ort.get_available_providers()}, not {wanted}: install onnxruntime-gpu")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    if provider == "cpu":
        options.intra_op_num_threads = 1
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    settings = {"use_tf32": "1" if tf32 else "0"} if provider == "cuda" else {}
    session = ort.InferenceSession(path, options, providers=[(wanted, settings)])
    if session.get_providers()[0] != wanted:
        raise NoGpu(f"asked for {wanted}, ONNX Runtime took {session.get_providers()}: no GPU, driver, CUDA or cuDNN")
    return session


def precisions(folder: Path, provider: str) -> list[Precision]:
    """The forms of M that are there to measure; TF32 exists on GPUs only."""
    found = [Precision("fp32", folder / "model.onnx", tf32=False)]
    if provider == "cuda":
        found.append(Precision("tf32", folder / "model.onnx", tf32=True))
    half = folder / "fp16" / "model.onnx"
    return [*found, Precision("fp16", half, tf32=False)] if half.exists() else found


def contract_of(session: ort.InferenceSession) -> dict[str, Any]:
    """What the graph's metadata say of it; read as plain JSON, so that the service need not be installed."""
    contract: dict[str, Any] = json.loads(session.get_modelmeta().custom_metadata_map[METADATA_KEY])
    return contract


def windows(count: int, samples: int) -> NDArray[np.float32]:
    """Noise with a click in each window: float32 [count, samples]."""
    pcm = np.random.default_rng(0).standard_normal((count, samples), np.float32) * np.float32(1e-3)
    pcm[:, samples // 4 : samples // 4 + 40] += np.float32(0.2)
    return pcm


def alone(session: ort.InferenceSession, values: NDArray[np.float32], device: str) -> Callable[[], None]:
    """Run one graph, input and outputs staying on the device."""
    binding = session.io_binding()
    placed = ort.OrtValue.ortvalue_from_numpy(values, device, 0)
    binding.bind_ortvalue_input(session.get_inputs()[0].name, placed)
    for output in session.get_outputs():
        binding.bind_output(output.name, device)

    def run() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return run


def chained(
    transform: ort.InferenceSession, model: ort.InferenceSession, pcm: NDArray[np.float32], device: str
) -> Callable[[], Sequence[NDArray[np.float32]]]:
    """Run T then M as the service does: PCM goes up, the image stays, mask and probabilities come down."""
    first, second = transform.io_binding(), model.io_binding()

    def run() -> Sequence[NDArray[np.float32]]:
        first.bind_cpu_input("pcm", pcm)
        first.bind_output("image", device)
        transform.run_with_iobinding(first)
        second.bind_ortvalue_input("image", first.get_outputs()[0])
        second.bind_output("mask_probability")
        second.bind_output("probability")
        model.run_with_iobinding(second)
        outputs: Sequence[NDArray[np.float32]] = second.copy_outputs_to_cpu()
        return outputs

    return run


def measure(run: Callable[[], object], *, graph: str, precision: str, batch: int, hop_s: float, least_s: float) -> Row:
    """Time runs for at least so long, ten at least, after warming up; a hydrophone gives a window per hop."""
    for _ in range(WARM_UP):
        run()
    spent_ms: list[float] = []
    until = time.perf_counter() + least_s
    while len(spent_ms) < 10 or time.perf_counter() < until:
        began = time.perf_counter()
        run()
        spent_ms.append(1e3 * (time.perf_counter() - began))
    median = statistics.median(spent_ms)
    per_s = 1e3 * batch / median
    return Row(
        graph, precision, batch, len(spent_ms),
        round(median, 3), round(float(np.percentile(spent_ms, 95)), 3), round(per_s, 1), int(per_s * hop_s),
    )  # fmt: skip


def measured(folder: Path, provider: str, *, batches: Sequence[int], least_s: float) -> list[Row]:
    """Every graph, precision and batch size, alone and chained."""
    device = "cuda" if provider == "cuda" else "cpu"
    transform = open_session(folder / "transform.onnx", provider, tf32=False)
    contract = contract_of(transform)
    hop_s = contract["hop_samples"] / contract["sample_rate_hz"]
    forms = [(form.name, open_session(form.model, provider, tf32=form.tf32)) for form in precisions(folder, provider)]
    rows = []
    for batch in batches:
        pcm = windows(batch, contract["window_samples"])
        (image,) = transform.run(None, {"pcm": pcm})
        jobs: list[tuple[str, str, Callable[[], object]]] = [("T", "fp32", alone(transform, pcm, device))]
        for name, model in forms:
            jobs += [("M", name, alone(model, image, device))]
            jobs += [("T + M, host to host", name, chained(transform, model, pcm, device))]
        rows += [measure(run, graph=g, precision=p, batch=batch, hop_s=hop_s, least_s=least_s) for g, p, run in jobs]
    return rows


def placement(path: Path, provider: str) -> dict[str, int]:
    """How many nodes of a graph each provider ran: what fell back shows here."""
    with tempfile.TemporaryDirectory() as folder:
        session = open_session(path, provider, tf32=False, profile=Path(folder) / "profile")
        value = session.get_inputs()[0]
        session.run(None, {value.name: np.zeros((1, *value.shape[1:]), np.float32)})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    ran = [event["args"]["provider"] for event in events if "provider" in event.get("args", {})]
    return dict(Counter(ran))


def against_cpu(folder: Path, provider: str) -> dict[str, dict[str, float]]:
    """Largest differences of T and of each form of M from fp32 on the CPU, T and M chained."""
    device = "cuda" if provider == "cuda" else "cpu"
    reference = [open_session(folder / name, "cpu", tf32=False) for name in ("transform.onnx", "model.onnx")]
    transform = open_session(folder / "transform.onnx", provider, tf32=False)
    pcm = windows(2, transform.get_inputs()[0].shape[1])
    (image,) = reference[0].run(None, {"pcm": pcm})
    mask, probability = reference[1].run(["mask_probability", "probability"], {"image": image})
    found = {"T fp32": {"image": _largest(transform.run(None, {"pcm": pcm})[0], image)}}
    for form in precisions(folder, provider):
        model = open_session(form.model, provider, tf32=form.tf32)
        own_mask, own_probability = chained(transform, model, pcm, device)()
        found[f"T + M {form.name}"] = {
            "probability": _largest(own_probability, probability),
            "mask_probability": _largest(own_mask, mask),
            "mask_agreement": float(((own_mask > 0.5) == (mask > 0.5)).mean()),
        }
    return found


def _largest(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    return float(np.abs(found - wanted).max())


def device_name(provider: str) -> str:
    """The GPU with its driver and memory, as nvidia-smi names it; the processor otherwise."""
    if provider == "cpu":
        return "CPU, one thread"
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        return subprocess.run(query, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "a GPU that nvidia-smi does not name"


def report(folder: Path, provider: str, *, batches: Sequence[int], least_s: float) -> dict[str, Any]:
    """Everything that gpu.json holds.

    Raises:
        NoGpu: the provider is not really there.
    """
    if provider == "cuda" and hasattr(ort, "preload_dlls"):
        ort.preload_dlls()  # finds CUDA and cuDNN where pip put them
    transform = open_session(folder / "transform.onnx", provider, tf32=False)
    placed = {"T fp32": placement(folder / "transform.onnx", provider)}
    placed |= {f"M {form.name}": placement(form.model, provider) for form in precisions(folder, provider)}
    return {
        "model_id": contract_of(transform)["model_id"],
        "provider": PROVIDERS[provider],
        "device": device_name(provider),
        "onnxruntime": ort.__version__,
        "date": datetime.now(UTC).date().isoformat(),
        "rows": [asdict(row) for row in measured(folder, provider, batches=batches, least_s=least_s)],
        "nodes_by_provider": placed,
        "against_cpu_fp32": against_cpu(folder, provider),
    }


def table(rows: Sequence[dict[str, object]], title: str) -> Table:
    """The rows, for people."""
    shown = Table(title=title)
    for heading in rows[0]:
        shown.add_column(heading.replace("_", " "))
    for row in rows:
        shown.add_row(*(str(value) for value in row.values()))
    return shown


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write what was measured on a GPU; exit code 2 without one."""
    parser = argparse.ArgumentParser(prog="benchmarks.gpu", description=__doc__)
    parser.add_argument("--provider", choices=sorted(PROVIDERS), default="cuda")
    parser.add_argument("--model", type=Path, default=ARTIFACTS, help="folder of the model, fp16/ within it")
    parser.add_argument("--batches", type=int, nargs="+", default=list(BATCHES))
    parser.add_argument("--least-s", type=float, default=2.0, help="seconds per row at least")
    parser.add_argument("--out", type=Path, help="JSON file; default: gpu.json beside the script, on a GPU only")
    asked = parser.parse_args(arguments)
    try:
        found = report(asked.model, asked.provider, batches=asked.batches, least_s=asked.least_s)
    except NoGpu as exc:
        sys.stderr.write(f"error: {exc}\n")
        raise SystemExit(2) from exc
    out = asked.out or (RESULTS if asked.provider == "cuda" else None)
    if out:
        out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    Console().print(table(found["rows"], title=f"{found['device']}, {found['model_id']}"))


if __name__ == "__main__":
    main()
