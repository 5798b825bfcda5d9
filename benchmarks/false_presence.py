"""`make false-presence`: a day of simulated sea without animals; how often is a presence reported?

In pieces of an hour, each a small JSON file written when done and not made again
while model and recipe stay the same: the day can be stopped and resumed anywhere.
"""

import os

# Before numpy: one thread of inference and one of simulation per worker, no hidden ones.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import multiprocessing
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from pathlib import Path
from queue import Empty, Queue

from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.animal_free import Recipe, plan_sha256
from benchmarks.false_alarms import PieceResult, count_piece
from benchmarks.false_presence_summary import Summary, summarise, table
from seacanary.detection import Detector, DetectorSection
from seacanary.errors import SeaCanaryError

OUT = Path(__file__).parent / "false_presence"
HOURS = 24


def piece_path(out: Path, piece: int) -> Path:
    """Where a piece's result lies."""
    return out / f"piece-{piece:02d}.json"


def done_piece(out: Path, piece: int, *, recipe: Recipe, model_id: str) -> PieceResult | None:
    """The result of an earlier run, if it is there and of this model, recipe and simulation."""
    path = piece_path(out, piece)
    if not path.is_file():
        return None
    try:
        result = PieceResult.model_validate_json(path.read_text())
    except ValidationError:  # of an older form: made again
        return None
    same = (result.piece, result.model_id, result.recipe) == (piece, model_id, recipe)
    return result if same and result.plan_sha256 == plan_sha256(piece, recipe) else None


def make_piece(piece: int, recipe: Recipe, model: Path | None, out: Path, told: "Queue[float]") -> None:
    """Count a piece in a process of its own, and write its result when it is complete."""
    detector = Detector.load(DetectorSection(path=model, sessions=1))
    try:
        result = count_piece(piece, recipe, detector, told=told.put)
    finally:
        detector.close()
    path = piece_path(out, piece)
    unfinished = path.with_suffix(".part")
    unfinished.write_text(result.model_dump_json(indent=1) + "\n")
    unfinished.replace(path)


def run(
    pieces: Sequence[int], recipe: Recipe, *, model: Path | None, out: Path, workers: int, console: Console
) -> Summary:
    """Make the pieces that are missing, then sum up all of them into out/summary.json.

    Raises:
        ModelRefused: there is no usable model.
    """
    out.mkdir(parents=True, exist_ok=True)
    detector = Detector.load(DetectorSection(path=model, sessions=1))
    model_id = detector.contract.model_id
    detector.close()
    missing = [p for p in pieces if done_piece(out, p, recipe=recipe, model_id=model_id) is None]
    console.print(f"{model_id}: {len(pieces) - len(missing)} of {len(pieces)} pieces are there already")
    if missing:
        _make(missing, recipe, model=model, out=out, workers=workers, console=console)
    found = [done_piece(out, p, recipe=recipe, model_id=model_id) for p in pieces]
    summary = summarise([result for result in found if result is not None])
    (out / "summary.json").write_text(summary.model_dump_json(indent=2) + "\n")
    return summary


def _make(
    pieces: Sequence[int], recipe: Recipe, *, model: Path | None, out: Path, workers: int, console: Console
) -> None:
    context = multiprocessing.get_context("spawn")
    with (
        context.Manager() as manager,
        ProcessPoolExecutor(workers, mp_context=context) as pool,
        _progress(console) as progress,
    ):
        told: Queue[float] = manager.Queue()
        futures = [pool.submit(make_piece, piece, recipe, model, out, told) for piece in pieces]
        task = progress.add_task("hours without animals", total=len(pieces) * recipe.piece_s)
        try:
            while not _all_done(futures):
                progress.advance(task, _waited_for(told))
        except BaseException:  # a failed piece or Ctrl-C: begin no other; what is done is kept
            pool.shutdown(cancel_futures=True)
            raise
        progress.update(task, completed=len(pieces) * recipe.piece_s)


def _all_done(futures: Iterable[Future[None]]) -> bool:
    done, pending = wait(futures, timeout=0)
    for future in done:
        future.result()
    return not pending


def _waited_for(told: "Queue[float]") -> float:
    """Seconds of sea newly done; waits half a second for some."""
    try:
        return told.get(timeout=0.5)
    except Empty:
        return 0.0


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    return Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=console)


def main() -> None:
    """Count and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=int, default=HOURS, help="pieces of an hour, from the first")
    parser.add_argument("--model", type=Path, help="folder of the model; default: the bundled one")
    parser.add_argument("--out", type=Path, default=OUT, help="where pieces and summary lie")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    options = parser.parse_args()
    if min(options.hours, options.workers) < 1:
        parser.error("--hours and --workers must be at least 1")
    console, pieces = Console(), range(options.hours)
    try:
        summary = run(pieces, Recipe(), model=options.model, out=options.out, workers=options.workers, console=console)
    except SeaCanaryError as exc:
        sys.exit(str(exc))
    console.print(table(summary))
    if options.hours >= HOURS and summary.heard_too_rarely:
        sys.exit(f"not a fair day: heard too rarely: {', '.join(summary.heard_too_rarely)}")


if __name__ == "__main__":
    main()
