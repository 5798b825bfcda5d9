"""`seacanary-models benchmark` and `reproduce`: make the benchmark's windows, fill its table."""

import json
from pathlib import Path
from typing import Annotated

import typer

from seacanary_models.checkpoints import write_whole
from seacanary_models.console import console, progress_bar
from seacanary_models.mgc_benchmark import SHARD_WINDOWS, SIZES, digest, load_part, make_part, specification
from seacanary_models.reproduce import run_cells
from seacanary_models.reproduce_cells import PRESETS, missing_cells, read_cells
from seacanary_models.reproduce_tables import tables

STATED, PAGE = Path("benchmarks/mgc/benchmark.json"), Path("docs/benchmark.md")
Work = Annotated[Path, typer.Option(help="Folder for windows, masks and checkpoints.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes side by side, one thread each.")]


def benchmark(
    *,
    audio: Annotated[
        Path, typer.Option(envvar="SEACANARY_AUDIO", help="Folder of the real recordings, for the part 'real'.")
    ] = Path("../shared/data/audio"),
    work: Work = Path("work"),
    workers: Workers = 2,
    stated: Annotated[Path, typer.Option(help="The benchmark's statement, with the hashes of its parts.")] = STATED,
) -> None:
    """Make the benchmark's windows (half an hour on 2 cores) and compare them with the stated hashes.

    Goes on where it stopped. A part without a stated hash gets one; a part that came out otherwise than
    stated is an error: the simulator, a library or the processor makes other samples than those judged by.
    """
    statement = json.loads(stated.read_text(encoding="utf-8"))
    if any(statement[key] != value for key, value in json.loads(json.dumps(specification())).items()):
        raise ValueError(f"{stated} states another benchmark than this program makes")
    hashes: dict[str, str] = statement.setdefault("parts_sha256", {})
    for part, size in SIZES.items():
        with progress_bar() as progress:
            task = progress.add_task(f"part {part}", total=-(-size // SHARD_WINDOWS))
            for _ in make_part(part, cache=work, audio=audio, workers=workers):
                progress.advance(task)
        made = digest(load_part(part, cache=work))
        if hashes.setdefault(part, made) != made:
            raise ValueError(f"part {part} came out as {made[:12]}, {stated} states {hashes[part][:12]}")
    write_whole(stated, json.dumps(statement, indent=2) + "\n")
    console.print(f"{len(SIZES)} parts, all as stated in {stated}")


def reproduce(
    *,
    preset: Annotated[str, typer.Option(help=f"Size of the table: {', '.join(PRESETS)}.")] = "cpu",
    work: Work = Path("work"),
    workers: Workers = 2,
    cells: Annotated[Path, typer.Option(help="Folder of the finished cells.")] = Path("benchmarks/mgc"),
    page: Annotated[
        Path | None,
        typer.Option(help="Where the tables go; by default docs/benchmark.md, of other presets than cpu to --work."),
    ] = None,
    most: Annotated[int | None, typer.Option(min=1, help="Stop after this many cells; the rest another time.")] = None,
) -> None:
    """Fill the table of networks, masks, fusions and shifts, and write its page.

    Each cell is a small JSON file, kept when it is done: stop whenever you like, the next run goes on.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset '{preset}' is not known; choose one of {', '.join(PRESETS)}")
    chosen, folder = PRESETS[preset], cells / f"cells-{preset}"
    missing = len(missing_cells(chosen, folder))
    with progress_bar() as progress:
        task = progress.add_task("cells", total=min(missing, most or missing))
        for done, cell in enumerate(run_cells(chosen, folder=folder, cache=work, workers=workers, most=most), start=1):
            accuracy = cell.shifts["in_distribution"].joint.joint_accuracy
            progress.update(task, completed=done, description=f"{cell.network}, seed {cell.seed}: {accuracy:.3f}")
    finished = read_cells(folder)
    shown = page or (PAGE if preset == "cpu" else work / f"benchmark-{preset}.md")
    if finished:
        write_whole(shown, tables(finished, chosen))
    console.print(f"{len(finished)} cells done, {len(missing_cells(chosen, folder))} to go; tables in {shown}")
