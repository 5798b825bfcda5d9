"""The `seacanary` command: parses, calls, exits."""

import json
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from seacanary import __version__
from seacanary.analysis import Analysis, AnalysisOptions, recordings_in, samples_in
from seacanary.backup.command import add_backup
from seacanary.benchmark import measure
from seacanary.checking import facts_of
from seacanary.cluster_commands import add_cluster_commands
from seacanary.config import StationConfig, read_config
from seacanary.config_checks import ProcessRole
from seacanary.demo import demo_config
from seacanary.detection import PROVIDER_NAMES, Detector, DetectorSection
from seacanary.doctor.command import add_doctor
from seacanary.event_commands import events_app
from seacanary.init.command import add_init
from seacanary.log_outlet import LogOutlet
from seacanary.reload_command import add_reload
from seacanary.reports import ReportFormat, Sheet
from seacanary.roles import read_any
from seacanary.runner import Runner, early_hang_ups
from seacanary.schemas import SCHEMAS, SchemaName, schema_text
from seacanary.sources.devices import list_devices
from seacanary.terminal import (
    EPILOG,
    SERVICE_EPILOG,
    AsJson,
    ConfigPath,
    Seconds,
    complain,
    err,
    fail,
    log_handler,
    or_exit,
    out,
    served,
)
from seacanary.webhook_commands import webhooks_app

CORES = os.cpu_count() or 1

app = typer.Typer(
    help="Listens to hydrophones and says when belugas and porpoises are there, when they are not, "
    "and when nobody was listening.\n\nStart with [bold]seacanary demo[/]: it needs no server and no hydrophone.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(events_app(), name="events")
app.add_typer(webhooks_app(), name="webhooks")
add_cluster_commands(app)
add_doctor(app)
add_init(app)
add_backup(app)
add_reload(app)

Model = Annotated[
    Path | None, typer.Option("--model", help="folder with transform.onnx and model.onnx; default: the bundled model")
]


def main() -> None:
    """Entry point of the `seacanary` command."""
    unread = False
    try:
        app()
    except* BrokenPipeError:  # the reader of our output has gone, as with `| head`: nothing to complain of
        unread = True
    if unread:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"seacanary {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="log more to stderr")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="print the version and end")
    ] = False,
) -> None:
    if logging.root.handlers:
        return  # whoever calls us from Python has said where logs go
    logging.root.addHandler(LogOutlet(log_handler()))
    logging.root.setLevel(logging.INFO if verbose else logging.WARNING)


@app.command(epilog=SERVICE_EPILOG)
def run(config: ConfigPath, as_json: AsJson = False, seconds: Seconds = None) -> None:
    """Run a station until Ctrl-C.

    What was captured before Ctrl-C is still analysed, journalled and published, and the ledger is shown. SIGHUP, or
    `seacanary reload`, has it read the configuration again.
    """
    early = early_hang_ups()
    station = or_exit(lambda: read_config(config))
    _run_station(station, as_json=as_json, seconds=seconds, file=config.absolute(), early=early)


@app.command(epilog=EPILOG)
def demo(
    seconds: Seconds = None,
    as_json: AsJson = False,
    seed: Annotated[int, typer.Option(min=0, help="of the simulated calls")] = 1,
    folder: Annotated[
        Path | None, typer.Option(help="where journal, events, clips and pictures stay; default: removed at the end")
    ] = None,
) -> None:
    """Run an embedded station: no server, no hydrophone, no configuration.

    One hydrophone is simulated; the other replays a real recording with simulated calls mixed in.
    """
    with nullcontext(folder) if folder else tempfile.TemporaryDirectory(prefix="seacanary-demo-") as place:
        _run_station(demo_config(Path(place), seed=seed), as_json=as_json, seconds=seconds)


@app.command(epilog=EPILOG)
def analyze(
    paths: Annotated[list[Path], typer.Argument(help="sound files, or folders of them", metavar="PATH...")],
    out_path: Annotated[Path | None, typer.Option("--out", help="file to write to; default: stdout")] = None,
    report: Annotated[
        ReportFormat, typer.Option("--format", help="JSON lines, CSV, or a Raven selection table")
    ] = "json",
    windows: Annotated[bool, typer.Option("--windows", help="JSON only: one object per window too")] = False,
    model: Model = None,
    sessions: Annotated[int, typer.Option(min=1, max=64, help="inference threads")] = CORES,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="no progress bar")] = False,
) -> None:
    """Analyse recordings offline, as fast as the machine allows.

    The stages, and so the events, are those of a live station. A silent file gives no findings and exit code 0.
    """
    detector = or_exit(lambda: Detector.load(DetectorSection(path=model, sessions=sessions)))
    files = or_exit(lambda: recordings_in(paths))
    with _open_out(out_path) as stream, _progress(files, quiet=quiet) as advance:
        sheet = Sheet(report, stream)
        analysis = Analysis(detector, AnalysisOptions(windows=windows), emit=sheet.add, progress=advance)
        summary = analysis.run(files)
        sheet.close()
    for error in summary.errors:
        complain(error.message)
    if summary.errors or any(file.windows_failed for file in summary.files):
        raise typer.Exit(1 if summary.files else 2)


@app.command(epilog=EPILOG)
def devices(as_json: AsJson = False) -> None:
    """List what this machine can capture from, as a configuration would name it."""
    found = list_devices()
    if as_json:
        typer.echo(found.model_dump_json())
        return
    table = Table(title="capture devices", title_justify="left")
    for heading in ("kind", "device", "channels", "rates, Hz"):
        table.add_column(heading, overflow="fold")
    for device in found.devices:
        table.add_row(device.kind, device.device, device.channels, device.rates_hz)
    out.print(table if found.devices else "no capture devices here")
    for problem in found.problems:
        err.print(problem, highlight=False)


@app.command(epilog=EPILOG)
def check(
    config: Annotated[Path, typer.Argument(help="the YAML file of a station, an edge or a worker", metavar="CONFIG")],
    role: Annotated[
        ProcessRole | None, typer.Option(help="what the file must be for; default: found out by the sections it has")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a configuration and the model it names, without starting anything."""
    settings = or_exit(lambda: read_any(config, role))
    facts = {"config": str(config), "role": settings.role, **or_exit(lambda: facts_of(settings))}
    if as_json:
        typer.echo(json.dumps(facts))
        return
    out.print(f"[green]{config}: good[/]", highlight=False)
    for name, value in facts.items():
        out.print(f"  {name}: {value if isinstance(value, str) else ', '.join(value) or 'none'}", highlight=False)


@app.command(epilog=EPILOG)
def schema(
    name: Annotated[SchemaName, typer.Argument(help="which one to print")] = "config",
    folder: Annotated[
        Path | None, typer.Option("--out", help="write all of them as NAME.schema.json into a folder")
    ] = None,
) -> None:
    """Print the JSON Schema of a configuration (config: a station's), the events or the model contract."""
    if folder is None:
        typer.echo(schema_text(name), nl=False)
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for each in SCHEMAS:
            (folder / f"{each}.schema.json").write_text(schema_text(each), encoding="utf-8")
    except OSError as exc:
        fail(f"{folder}: cannot be written: {exc.strerror}")


@app.command(epilog=EPILOG)
def bench(
    seconds: Annotated[float, typer.Option(min=2, max=600, help="audio to run through")] = 20,
    sessions: Annotated[int, typer.Option(min=1, max=64, help="inference threads")] = CORES,
    model: Model = None,
    as_json: AsJson = False,
) -> None:
    """Measure how many hydrophones this machine can carry with this model."""
    detector = or_exit(lambda: Detector.load(DetectorSection(path=model, sessions=sessions)))
    with err.status("measuring"):
        capacity = measure(detector, audio_s=seconds, sessions=sessions)
    if as_json:
        typer.echo(capacity.model_dump_json())
        return
    out.print(
        f"{capacity.audio_s:g} s of simulated audio at 384 kHz in {capacity.took_s:.2f} s: "
        f"{capacity.ms_per_window} ms per window, "
        f"[bold]{capacity.hydrophones_realtime:.0f} hydrophones[/] in real time "
        f"({capacity.model_id}, {capacity.provider}, {capacity.sessions} inference threads)",
        highlight=False,
    )


@app.command()
def version(as_json: AsJson = False) -> None:
    """Print the version of the service."""
    typer.echo(json.dumps({"seacanary": __version__}) if as_json else f"seacanary {__version__}")


def _run_station(
    config: StationConfig,
    *,
    as_json: bool,
    seconds: float | None,
    file: Path | None = None,
    early: threading.Event | None = None,
) -> None:
    detector = or_exit(lambda: Detector.load(config.model))
    if detector.provider != PROVIDER_NAMES[config.model.providers[0]]:
        err.print(f"[yellow]warning:[/] model.providers asks for {config.model.providers[0]} first; running on "
                  f"{detector.provider}", highlight=False)  # fmt: skip
    runner = or_exit(
        lambda: Runner(config, detector=detector, console=out, as_json=as_json, seconds=seconds, file=file, early=early)
    )
    summary = served(runner.run)
    if summary.troubles:
        raise typer.Exit(1)


@contextmanager
def _open_out(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    try:
        with path.open("w", encoding="utf-8", newline="") as stream:
            yield stream
    except OSError as exc:
        fail(f"{path}: cannot be written: {exc.strerror}")


@contextmanager
def _progress(files: Sequence[Path], *, quiet: bool) -> Iterator[Callable[[Path, int], None]]:
    """A bar over the samples of all files that can be read."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=quiet or not err.is_terminal, transient=True) as progress:
        task = progress.add_task("analysing", total=sum(map(samples_in, files)) or None)
        yield lambda path, samples: progress.update(task, advance=samples, description=path.name)


if __name__ == "__main__":
    main()
