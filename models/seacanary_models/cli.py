"""The `seacanary-models` command: make windows, train, evaluate, export; and the workshop around them."""

import hashlib
import logging
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.logging import RichHandler
from rich.table import Table

from seacanary.errors import SeaCanaryError
from seacanary.simulation import training_window
from seacanary_models import annotations_command, benchmark_command, classical_command, masks_command
from seacanary_models.card import model_card
from seacanary_models.checkpoints import load_model
from seacanary_models.console import console, errors, progress_bar, refuse
from seacanary_models.datasets import ShardPlan, make_shards
from seacanary_models.evaluation import Calibration
from seacanary_models.export import check_parity, default_contract, export
from seacanary_models.mgc_benchmark import SHARD_WINDOWS, SIZES, BenchmarkPart, make_part
from seacanary_models.recordings import read_catalogue
from seacanary_models.reporting import Evaluation, read_json, report_of, write_json
from seacanary_models.scenes import CALL_TYPES
from seacanary_models.training import Step, train
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
Artifacts = Annotated[Path, typer.Option(help="Folder of the shipped model.")]
DEFAULT_AUDIO, DEFAULT_WORK, DEFAULT_ARTIFACTS = Path("../shared/data/audio"), Path("work"), Path("models/artifacts")


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
    for plan in (space.train_plan, space.negatives_plan):
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
    artifacts: Artifacts = DEFAULT_ARTIFACTS,
    card: Annotated[Path, typer.Option(help="Where else the model card goes.")] = Path("docs/model-card.md"),
) -> None:
    """Calibrate the trained model and write evaluation.json and the model card.

    Thresholds come from simulated windows and the training recordings; the validation recordings are
    only reported on.
    """
    space = Workspace(audio, work, preset)
    for plan in (space.calibration_plan, space.validation_plan):
        _make(plan, workers)
    job = Evaluation(
        model=load_model(space.checkpoint),
        model_id=space.model_id,
        catalogue=read_catalogue(audio),
        calibration_plan=space.calibration_plan,
        validation_plan=space.validation_plan,
        provenance=space.provenance(),
    )
    with console.status("evaluating") as status:
        report = report_of(job, stage=status.update)
    write_json(report, artifacts / "evaluation.json")
    _write_card(artifacts, card)
    console.print(_summary(report))


@app.command("export")
def export_command(
    work: Work = DEFAULT_WORK, preset: PresetName = "cpu", artifacts: Artifacts = DEFAULT_ARTIFACTS
) -> None:
    """Write transform.onnx and model.onnx with their contract, check them against torch, and sum them up.

    Needs the calibration of `evaluate` in the artifacts folder.
    """
    report = read_json(artifacts / "evaluation.json")
    calibration = Calibration.model_validate(report["calibration"])
    model = load_model(Workspace(DEFAULT_AUDIO, work, preset).checkpoint)
    model.set_temperatures(calibration.temperature)
    pairs = zip(calibration.enter, calibration.leave, strict=True)
    contract = default_contract(
        report["model_id"],
        report["provenance"],
        dict(zip(report["call_types"], pairs, strict=True)),
        model=model,
    )
    paths = export(model, contract, artifacts)
    parity = check_parity(model, paths, _parity_windows())
    console.print(f"exported {report['model_id']}: {parity}\n{_checksums(artifacts)}", highlight=False)


def _parity_windows() -> NDArray[np.float32]:
    """Simulated windows [2, 393216]: one with every call type, one with none."""
    return np.stack([training_window(0, call_types=names, part="test").samples for names in (CALL_TYPES, ())])


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


def _write_card(artifacts: Path, card: Path) -> None:
    text = model_card(read_json(artifacts / "evaluation.json"))
    for path in (artifacts / "MODEL_CARD.md", card):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _checksums(artifacts: Path) -> str:
    names = ("transform.onnx", "model.onnx", "evaluation.json", "MODEL_CARD.md")
    lines = [f"{hashlib.sha256((artifacts / name).read_bytes()).hexdigest()}  {name}" for name in names]
    text = "\n".join(lines) + "\n"
    (artifacts / "checksums.txt").write_text(text, encoding="utf-8")
    return text


def _summary(report: dict[str, object]) -> Table:
    table = Table("call type", "average precision", "recall at enter", "precision at enter", "enter")
    validation = report["validation"]
    for name, figures in validation["call_types"].items():  # type: ignore[index]  # a JSON document
        at_enter = figures["at_enter"]
        shown = (figures["average_precision"], at_enter["recall"], at_enter["precision"], at_enter["threshold"])
        table.add_row(name, *(f"{value:.3f}" for value in shown))
    return table
