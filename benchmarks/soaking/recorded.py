"""`make soak-recorded`: hours of recordings through `seacanary analyze` as fast as they go; does memory stay flat?"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psutil
import soundfile
from rich.console import Console
from rich.progress import Progress

from benchmarks.run import _cpu
from benchmarks.soaking.hydrophones import scene
from seacanary.simulation import Soundscape

RESULTS = Path(__file__).parents[1] / "soak_recorded.json"
RATE_HZ = 96_000
FILE_S = 600
RENDERED_S = 60  # a file is this repeated: what is in it matters less than how much of it there is
EVERY_S = 1.0
WARM_UP_SHARE = 0.2
LIMIT_MB_PER_RECORDED_H = 1.0


def record(folder: Path, *, hours: float, seed: int) -> list[Path]:
    """Simulated recordings of FILE_S each, dated one after the other; names differ, the sound is one file's.

    Links keep hours of audio from taking gigabytes of disk.
    """
    samples = Soundscape(scene(seed), sample_rate_hz=RATE_HZ).render(RENDERED_S * RATE_HZ).samples
    once = (np.clip(samples, -1, 1) * 32767).astype(np.int16)
    first = folder / "sound.flac"
    soundfile.write(first, np.tile(once, FILE_S // RENDERED_S), RATE_HZ)
    begun = datetime(2026, 6, 1, tzinfo=UTC)
    count = max(1, round(hours * 3600 / FILE_S))
    names = [
        folder / f"soak_{begun + timedelta(seconds=number * FILE_S):%Y%m%dT%H%M%SZ}.flac" for number in range(count)
    ]
    for name in names:
        name.hardlink_to(first)
    first.unlink()
    return names


def watched(command: Sequence[str], *, out: Path, files: int) -> tuple[list[tuple[float, float, float]], int]:
    """Run it; readings of (s, files done, MB), and its exit code."""
    readings = []
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL) as process,
        Progress(console=Console(stderr=True)) as progress,
    ):
        try:
            station, began_s = psutil.Process(process.pid), time.monotonic()
            task = progress.add_task("analysing", total=files)
            while process.poll() is None:
                time.sleep(EVERY_S)
                done, rss_mb = _files_done(out), station.memory_info().rss / 1e6
                if rss_mb:  # it has not just ended
                    readings.append((time.monotonic() - began_s, done, rss_mb))
                progress.update(task, completed=done, description=f"{rss_mb:.0f} MB")
        finally:
            process.kill()
    return readings, process.returncode


def _files_done(out: Path) -> float:
    """Recordings that the report has come to: its lines name them."""
    if not out.exists():
        return 0.0
    with out.open("rb") as report:
        report.seek(max(0, out.stat().st_size - 4096))
        lines = report.read().decode(errors="replace").splitlines()
    for line in reversed(lines):
        if (at := line.find("soak_")) >= 0:
            begun = datetime.strptime(line[at + 5 : at + 21], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            return (begun - datetime(2026, 6, 1, tzinfo=UTC)).total_seconds() / FILE_S + 1
    return 0.0


def main() -> None:
    """Record, analyse, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0, help="of recorded time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="seacanary-recorded-") as name:
        folder, out = Path(name) / "recordings", Path(name) / "report.jsonl"
        folder.mkdir()
        files = record(folder, hours=options.hours, seed=options.seed)
        command = [sys.executable, "-m", "seacanary.cli", "analyze", str(folder), "--out", str(out), "--quiet"]
        readings, code = watched(command, out=out, files=len(files))
        summary = json.loads(out.read_text().splitlines()[-1])
    results = figures(readings, summary, hours=len(files) * FILE_S / 3600)
    results |= {"command": f"make soak-recorded HOURS={options.hours:g} SEED={options.seed}", "exit_code": code}
    results |= {"machine": machine(), "date": datetime.now(UTC).date().isoformat()}
    options.results.write_text(json.dumps(results, indent=2) + "\n")
    Console().print_json(data=results)
    wrong = faults(results)
    if wrong:
        sys.exit("soak-recorded missed: " + "; ".join(wrong))


def figures(
    readings: Sequence[tuple[float, float, float]], summary: dict[str, object], *, hours: float
) -> dict[str, object]:
    """What it came to.

    Args:
        readings: (s, files done, MB), in order.
        summary: the closing line of `analyze`.
        hours: of recorded time.
    """
    table = np.array(readings)
    steady = table[table[:, 0] >= WARM_UP_SHARE * table[-1, 0]]
    recorded_h = steady[:, 1] * FILE_S / 3600
    slope = float(np.polyfit(recorded_h, steady[:, 2], 1)[0]) if len(steady) > 2 else 0.0
    return {
        "recorded_hours": round(hours, 3),
        "wall_s": round(float(table[-1, 0]), 1),
        "times_real_time": round(hours * 3600 / float(table[-1, 0]), 1),
        "rss_mb_after_warm_up": round(float(steady[0, 2]), 1),
        "rss_mb_at_end": round(float(steady[-1, 2]), 1),
        "rss_mb_most": round(float(table[:, 2].max()), 1),
        "rss_slope_mb_per_recorded_h": round(slope, 3),
        "limit_mb_per_recorded_h": LIMIT_MB_PER_RECORDED_H,
        "balanced": summary.get("balanced"),
        "events": summary.get("events"),
        "files": len(summary.get("files", [])),  # type: ignore[arg-type]  # JSON
    }


def faults(results: dict[str, object]) -> list[str]:
    """What should not be; the slope is judged from two recorded hours on."""
    grows = float(str(results["rss_slope_mb_per_recorded_h"]))
    long = float(str(results["recorded_hours"])) >= 2
    found = (
        (results["exit_code"] != 0, f"exit code {results['exit_code']}"),
        (not results["balanced"], "the ledger does not balance"),
        (long and grows > LIMIT_MB_PER_RECORDED_H, f"memory grows by {grows:g} MB per recorded hour"),
    )
    return [text for wrong, text in found if wrong]


def machine() -> str:
    """What it ran on."""
    return f"{_cpu()}, {platform.system()}, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
