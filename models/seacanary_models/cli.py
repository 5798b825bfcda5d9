"""The `seacanary-models` command: make windows, train, evaluate, export; and the workshop around them."""

import logging
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.logging import RichHandler
from rich.table import Table

from seacanary.errors import SeaCanaryError
from seacanary_models import annotations_command, benchmark_command, classical_command, masks_command
from seacanary_models.byte_images import seeing_steps
from seacanary_models.card import model_card
from seacanary_models.checkpoints import load_model
from seacanary_models.console import console, errors, progress_bar, refuse
from seacanary_models.datasets import ShardPlan, load_windows, make_shards
from seacanary_models.detection_range import RangeRecipe
from seacanary_models.evaluation import Calibration
from seacanary_models.event_streams import StreamRecipe
from seacanary_models.export import default_contract
from seacanary_models.export_command import REPORT_FILE, ExportJob, checksums, export_all, wanted_variants
from seacanary_models.headline import HeadlineFiles
from seacanary_models.html_report import write_report
from seacanary_models.mgc_benchmark import SHARD_WINDOWS, SIZES, BenchmarkPart, make_part
from seacanary_models.recordings import read_catalogue
from seacanary_models.reporting import Evaluation, read_json, refreshed, write_json
from seacanary_models.reporting import evaluate as evaluate_model
from seacanary_models.training import Step, train
from seacanary_models.variant_report import VariantReport, variants_section
from seacanary_models.workspace import WITH_BENCHMARK, Workspace

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="""The model workshop of Sea Canary.

    The order of work: [bold]simulate[/] makes labelled windows, [bold]train[/] learns from them,
    [bold]evaluate[/] calibrates the result and says how well it hears, [bold]export[/] writes the two
    ONNX graphs the service loads. Every step resumes where it stopped and keeps its files in --work.

    Beside it: [bold]benchmark[/] makes the windows that networks are compared on, [bold]reproduce[/] compares
    them, [bold]classical[/] sets detectors without a network beside ours; [bold]annotations[/] brings other
    people's labels in,
    [bold]masks[/] proposes, exchanges and keeps hand-drawn masks.""",
)
app.command()(benchmark_command.benchmark)
app.command()(benchmark_command.reproduce)
app.command("classical")(classical_command.classical)
app.add_typer(annotations_command.app, name="annotations")
app.add_typer(masks_command.app, name="masks")

Audio = Annotated[Path, typer.Option(envvar="SEACANARY_AUDIO", help="Folder of the real recordings (with files.csv).")]
Work = Annotated[Path, typer.Option(help="Folder for windows and checkpoints.")]
PresetName = Annotated[
    str, typer.Option("--preset", help="smoke: minutes, proves the path. cpu: the real one. gpu: full-size networks.")
]
Workers = Annotated[int, typer.Option(min=1, help="Processes that make windows.")]
Artifacts = Annotated[
    Path | None,
    typer.Option(help="Folder of the model; by default models/artifacts, of preset smoke a folder in --work."),
]
Card = Annotated[
    Path | None, typer.Option(help="Where else the model card goes; by default docs/, of preset smoke nowhere.")
]
DEFAULT_AUDIO, DEFAULT_WORK = Path("../shared/data/audio"), Path("work")
Cells = Annotated[Path, typer.Option(help="Cells of `reproduce`.")]
FalsePresence = Annotated[Path, typer.Option(help="Summary of the day without animals (make false-presence).")]
Classical = Annotated[Path, typer.Option(help="What `classical` measured.")]
DEFAULT_CELLS, DEFAULT_CLASSICAL = Path("benchmarks/mgc/cells-cpu"), Path("benchmarks/mgc/classical.json")
DEFAULT_FALSE_PRESENCE = Path("benchmarks/false_presence/summary.json")
SHIPPED, SHIPPED_CARD = Path("models/artifacts"), Path("docs/model-card.md")


def main() -> None:
    """Run the command; what is wrong with the input ends with one line and exit code 2."""
    logging.basicConfig(level=logging.WARNING, handlers=[RichHandler(console=errors, show_path=False)])
    try:
        app()
    except (SeaCanaryError, FileNotFoundError, ValueError) as exc:
        refuse(str(exc))


@app.command()
def simulate(
    audio: Audio = DEFAULT_AUDIO, work: Work = DEFAULT_WORK, preset: PresetName = "cpu", workers: Workers = 2
) -> None:
    """Make the labelled windows: simulated calls, real negatives, rebuilt porpoise trains.

    Windows depend on seed and number alone, so an interrupted run goes on where it stopped.
    """
    for plan in Workspace(audio, work, preset).plans:
        _make(plan, workers)


@app.command("train")
def train_command(
    *,
    audio: Audio = DEFAULT_AUDIO,
    work: Work = DEFAULT_WORK,
    preset: PresetName = "cpu",
    workers: Workers = 2,
    start_from: Annotated[
        Path | None, typer.Option(help="A finished run's checkpoint to go on from, with a new schedule.")
    ] = None,
    logs: Annotated[Path | None, typer.Option(help="Folder for TensorBoard's logs; none: nowhere.")] = None,
) -> None:
    """Train M on the windows, making those that are missing. Resumes from its checkpoint.

    Presets cpu and gpu learn from the benchmark's part train as well.
    """
    space = Workspace(audio, work, preset)
    config = space.config
    for plan in space.learned_plans:
        _make(plan, workers)
    if preset in WITH_BENCHMARK:
        _make_benchmark_windows(work, workers)
    examples, judges = space.examples(), space.judges()
    with progress_bar() as progress:
        task = progress.add_task("training", total=1000)

        def show(step: Step) -> None:
            words = f"epoch {step.epoch}: mask loss {step.mask_loss:.3f}, call loss {step.call_loss:.3f}"
            progress.update(task, completed=round(1000 * step.done_share), description=words)

        train(
            examples,
            config,
            checkpoint=space.checkpoint,
            report=show,
            validation=judges,
            start_from=start_from,
            log_folder=logs,
        )
    console.print(f"trained on {len(examples)} windows; checkpoint {space.checkpoint}")


@app.command()
def evaluate(
    *,
    audio: Audio = DEFAULT_AUDIO,
    work: Work = DEFAULT_WORK,
    preset: PresetName = "cpu",
    workers: Workers = 2,
    artifacts: Artifacts = None,
    card: Card = None,
    html: Annotated[
        Path | None, typer.Option(help="Folder for one self-contained HTML report and its figures as PNG.")
    ] = None,
    cells: Cells = DEFAULT_CELLS,
    false_presence: FalsePresence = DEFAULT_FALSE_PRESENCE,
    classical: Classical = DEFAULT_CLASSICAL,
    range_windows: Annotated[
        int, typer.Option(min=0, help="Windows per point of the detection range; 0: not measured.")
    ] = 12,
) -> None:
    """Calibrate the trained model and write evaluation.json and the model card.

    Thresholds come from simulated windows and the training recordings; the validation recordings are
    only reported on. What other commands measured is taken from their files, if they are there and are
    this model's.
    """
    space = Workspace(audio, work, preset)
    for plan in (space.calibration_plan, space.quiet_plan, space.validation_plan):
        _make(plan, workers)
    job = Evaluation(
        model=seeing_steps(load_model(space.checkpoint)),
        model_id=space.model_id,
        catalogue=read_catalogue(audio),
        calibration_plan=space.calibration_plan,
        quiet_plan=space.quiet_plan,
        validation_plan=space.validation_plan,
        provenance=space.provenance(),
        benchmark=work if preset in WITH_BENCHMARK else None,
        streams=StreamRecipe() if preset in WITH_BENCHMARK else None,
        ranges=RangeRecipe(windows=range_windows) if range_windows else None,
        files=HeadlineFiles(cells=cells, false_presence=false_presence, classical=classical),
    )
    with console.status("evaluating") as status:
        done = evaluate_model(job, stage=status.update)
    folder = _model_folder(artifacts, work, preset)
    write_json(done.report, folder / "evaluation.json")
    if html is not None:
        console.print(f"report: {write_report(done.measured, html)}")
    _write_card(folder, _elsewhere(card, preset))
    console.print(_summary(done.report))


@app.command("card")
def card_command(
    *,
    artifacts: Annotated[Path, typer.Option(help="Folder of the model.")] = SHIPPED,
    card: Annotated[Path, typer.Option(help="Where else the model card goes.")] = SHIPPED_CARD,
    cells: Cells = DEFAULT_CELLS,
    false_presence: FalsePresence = DEFAULT_FALSE_PRESENCE,
    classical: Classical = DEFAULT_CLASSICAL,
) -> None:
    """Bring evaluation.json and the card up to date with what other commands have measured of the same model."""
    files = HeadlineFiles(cells=cells, false_presence=false_presence, classical=classical)
    write_json(refreshed(read_json(artifacts / "evaluation.json"), files), artifacts / "evaluation.json")
    _write_card(artifacts, card)
    _write_checksums(artifacts)


@app.command("export")
def export_command(
    *,
    audio: Audio = DEFAULT_AUDIO,
    work: Work = DEFAULT_WORK,
    preset: PresetName = "cpu",
    artifacts: Artifacts = None,
    card: Card = None,
    variant: Annotated[str, typer.Option(help="fp32 (always written), int8, fp16, or all.")] = "all",
) -> None:
    """Write transform.onnx and model.onnx with their contract, check them against torch, and sum them up.

    Needs the calibration of `evaluate` in the artifacts folder. The smaller variants go to folders of
    their own; what each loses in accuracy is measured and goes to variants.json and the card.
    """
    folder = _model_folder(artifacts, work, preset)
    report = read_json(folder / "evaluation.json")
    calibration = Calibration.model_validate(report["calibration"])
    space = Workspace(audio, work, preset)
    model = load_model(space.checkpoint)
    model.set_temperatures(calibration.temperature)
    pairs = dict(zip(report["call_types"], zip(calibration.enter, calibration.leave, strict=True), strict=True))
    contract = default_contract(
        report["model_id"], report["provenance"], pairs, abstain=calibration.abstain, model=model
    )
    job = ExportJob(
        model,
        contract,
        folder,
        wanted_variants(_variant(variant)),
        calibration=load_windows(space.calibration_plan),
        validation=load_windows(space.validation_plan),
        validation_is="simulated windows and calls laid over real recordings, validation part",
    )
    with console.status("exporting") as status:
        parity, _ = export_all(job, stage=status.update)
    _write_card(folder, _elsewhere(card, preset))
    _write_checksums(folder)
    console.print(f"exported {report['model_id']}: {parity}", highlight=False)


def _variant(name: str) -> Literal["fp32", "int8", "fp16", "all"]:
    known: tuple[Literal["fp32", "int8", "fp16", "all"], ...] = ("fp32", "int8", "fp16", "all")
    for variant in known:
        if variant == name:
            return variant
    raise ValueError(f"variant '{name}' is not known; choose one of {', '.join(known)}")


def _make(plan: ShardPlan, workers: int) -> None:
    with progress_bar() as progress:
        task = progress.add_task(f"windows for {plan.part}, seed {plan.recipe.seed}", total=plan.shards)
        for _ in make_shards(plan, workers=workers):
            progress.advance(task)


def _make_benchmark_windows(work: Path, workers: int) -> None:
    parts: tuple[BenchmarkPart, ...] = ("train", "validation")
    for part in parts:
        with progress_bar() as progress:
            task = progress.add_task(f"the benchmark's part {part}", total=-(-SIZES[part] // SHARD_WINDOWS))
            for _ in make_part(part, cache=work, audio=None, workers=workers):
                progress.advance(task)


def _model_folder(asked: Path | None, work: Path, preset: str) -> Path:
    """Where the model goes: what is shipped is not overwritten by a trial."""
    return asked or (SHIPPED if preset in WITH_BENCHMARK else work / f"artifacts-{preset}")


def _write_checksums(folder: Path) -> None:
    names = ("evaluation.json", REPORT_FILE, "MODEL_CARD.md")
    (folder / "checksums.txt").write_text(checksums(folder, names), encoding="utf-8")


def _elsewhere(card: Path | None, preset: str) -> Path | None:
    return card or (SHIPPED_CARD if preset in WITH_BENCHMARK else None)


def _write_card(folder: Path, elsewhere: Path | None) -> None:
    text = model_card(read_json(folder / "evaluation.json"))
    variants = folder / REPORT_FILE
    if variants.exists():
        text += "\n" + variants_section(VariantReport.model_validate_json(variants.read_text(encoding="utf-8")))
    for path in (folder / "MODEL_CARD.md", *([elsewhere] if elsewhere else [])):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _summary(report: dict[str, object]) -> Table:
    table = Table("call type", "average precision", "recall at enter", "precision at enter", "enter")
    validation = report["validation"]
    for name, figures in validation["call_types"].items():  # type: ignore[index]  # a JSON document
        at_enter = figures["at_enter"]
        shown = (figures["average_precision"], at_enter["recall"], at_enter["precision"], at_enter["threshold"])
        table.add_row(name, *(f"{value:.3f}" for value in shown))
    return table
