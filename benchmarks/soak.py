"""`make soak`: a whole station under a seeded storm of faults; the exit code says whether all was accounted for."""

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.soaking.judgement import judge
from benchmarks.soaking.pictures import over_time
from benchmarks.soaking.report import Report
from benchmarks.soaking.soak_run import soak

RESULTS = Path(__file__).parent / "soak.json"
PAGE = Path(__file__).parents[1] / "docs" / "soak.md"
PICTURES = {"rss_mb": "resident memory, MB", "handles": "file handles", "threads": "threads"}
LEAST_HOURS = 0.04


def main() -> None:
    """Soak, judge, write it down."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started and mounted is ended and unmounted
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with tempfile.TemporaryDirectory(prefix="seacanary-soak-", ignore_cleanup_errors=True) as name:
        folder = options.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        with Progress(*columns, console=Console(stderr=True)) as progress:
            soaked = soak(folder, seconds=options.hours * 3600, seed=options.seed, progress=progress)
    verdicts, gaps = judge(soaked)
    report = Report(soaked, verdicts, gaps, command=f"make soak HOURS={options.hours:g} SEED={options.seed}")
    _write(report, page=options.out, results=options.results)
    for verdict in verdicts:
        print(f"{'passed' if verdict.passed else 'FAILED'}  {verdict.name}")
        for text in verdict.violations:
            print(f"        {text}")
    sys.exit(0 if report.passed else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same storm")
    parser.add_argument("--out", type=Path, default=PAGE, help="the report; pictures go beside it")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the figures, as JSON")
    parser.add_argument("--keep", type=Path, help="a new folder for all that the soak leaves, logs among them")
    options = parser.parse_args()
    if options.hours < LEAST_HOURS:
        parser.error(f"--hours must be at least {LEAST_HOURS:g}: the faults need room")
    return options


def _write(report: Report, *, page: Path, results: Path) -> None:
    names = {}
    for what, title in PICTURES.items():
        names[title] = f"{page.stem}-{what.removesuffix('_mb')}.svg"
        soaked = report.soaked
        picture = over_time(what, title, soaked.lives, soaked.struck, seconds=soaked.seconds)
        (page.parent / names[title]).write_text(picture)
    page.write_text(report.page(names))
    results.write_text(json.dumps(report.figures(), indent=2) + "\n")


if __name__ == "__main__":
    main()
