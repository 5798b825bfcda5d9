"""`make soak`: a station with 8 simulated hydrophones at 384 kHz in real time, watched from outside."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import psutil
import yaml
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.progress import Progress

RESULTS = Path(__file__).parent / "soak.json"
SAMPLE_EVERY_S = 5.0
WARM_UP_S = 60.0
HOP_S = 0.512
LATENCY_TARGET_S = HOP_S + 0.5


def config(folder: Path, *, hydrophones: int, port: int) -> Path:
    """A station of simulated hydrophones with JSON Lines as its publisher."""
    calls = {"bouts_per_min": 2}
    tree = {
        "station": {"name": "soak"},
        "sources": [
            {
                "kind": "simulated",
                "hydrophones": [f"h{i}" for i in range(hydrophones)],
                "sample_rate_hz": 384_000,
                "pace": "realtime",
                "scene": {"seed": 1, "whistle": calls, "beluga_click": calls, "porpoise_click": calls},
            }
        ],
        "journal": {"path": str(folder / "journal.db")},
        "publishers": [{"kind": "jsonl", "path": str(folder / "events.jsonl")}],
        "metrics": {"port": port},
    }
    path = folder / "station.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def scrape(port: int) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """All samples of /metrics by name and labels."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def total(samples: dict[tuple[str, tuple[tuple[str, str], ...]], float], name: str) -> float:
    """Sum of a metric over its labels."""
    return sum(value for (which, _), value in samples.items() if which == name)


def quantile_bound(samples: dict[tuple[str, tuple[tuple[str, str], ...]], float], name: str, q: float) -> float:
    """Upper edge of the histogram bucket that holds the quantile, seconds."""
    buckets = sorted((float(dict(labels)["le"]), v) for (n, labels), v in samples.items() if n == f"{name}_bucket")
    return next((edge for edge, count in buckets if count >= q * buckets[-1][1]), float("nan"))


def watch(process: subprocess.Popen[str], *, port: int, minutes: float) -> tuple[list[tuple[float, float]], dict]:
    """Sample memory until time is up; returns (s, MB) pairs and the last scrape."""
    station, began = psutil.Process(process.pid), time.monotonic()
    memory: list[tuple[float, float]] = []
    latest: dict = {}
    with Progress() as progress:
        task = progress.add_task("soaking", total=minutes * 60)
        while (running_s := time.monotonic() - began) < minutes * 60 and process.poll() is None:
            time.sleep(SAMPLE_EVERY_S)
            memory.append((running_s, station.memory_info().rss / 1e6))
            latest = scrape(port)
            progress.update(task, completed=running_s, description=f"{memory[-1][1]:.0f} MB")
    return memory, latest


def main() -> None:
    """Soak and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--hydrophones", type=int, default=8)
    parser.add_argument("--port", type=int, default=9118)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="seacanary-soak-") as name:
        path = config(Path(name), hydrophones=options.hydrophones, port=options.port)
        command = [sys.executable, "-m", "seacanary.cli", "run", str(path), "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            time.sleep(10)
            memory, latest = watch(process, port=options.port, minutes=options.minutes)
            cpu_s = sum(psutil.Process(process.pid).cpu_times()[:2])
            process.terminate()
            lines = process.communicate(timeout=120)[0].splitlines()
    report(memory, latest, summary=json.loads(lines[-1]), options=options, cpu_s=cpu_s)


def report(
    memory: list[tuple[float, float]], latest: dict, *, summary: dict, options: argparse.Namespace, cpu_s: float
) -> None:
    """Print and store what came out."""
    steady = np.array([pair for pair in memory if pair[0] >= min(WARM_UP_S, memory[-1][0] / 2)])
    slope_mb_per_h = float(np.polyfit(steady[:, 0], steady[:, 1], 1)[0] * 3600)
    events, windows = "seacanary_capture_to_event_seconds", "seacanary_capture_to_conclusion_seconds"
    results = {
        "minutes": options.minutes,
        "hydrophones": options.hydrophones,
        "windows_analysed": total(latest, "seacanary_windows_analysed_total"),
        "windows_shed": total(latest, "seacanary_windows_shed_total"),
        "samples_lost": total(latest, "seacanary_samples_lost_total"),
        "balanced": summary["balanced"],
        "events": summary["events"],
        "rss_mb_first": round(float(steady[0, 1]), 1),
        "rss_mb_last": round(float(steady[-1, 1]), 1),
        "rss_slope_mb_per_h": round(slope_mb_per_h, 2),
        "capture_to_event_p50_bucket_s": quantile_bound(latest, events, 0.50),
        "capture_to_event_p99_bucket_s": quantile_bound(latest, events, 0.99),
        "capture_to_conclusion_p99_bucket_s": quantile_bound(latest, windows, 0.99),
        "latency_target_s": LATENCY_TARGET_S,
        "model_id": next(dict(labels)["model"] for (name, labels) in latest if name == "seacanary_build_info"),
        "cpu_cores_used": round(cpu_s / (memory[-1][0] + 10), 2),
        "date": datetime.now(UTC).date().isoformat(),
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    Console().print_json(data=results)
    misses = [
        text
        for missed, text in (
            (results["windows_shed"] > 0, "windows were shed"),
            (not results["balanced"], "the ledger does not balance"),
            (results["capture_to_event_p99_bucket_s"] > LATENCY_TARGET_S, "p99 capture-to-event is over hop + 0.5 s"),
        )
        if missed
    ]
    if misses:
        sys.exit("soak missed: " + "; ".join(misses))


if __name__ == "__main__":
    main()
