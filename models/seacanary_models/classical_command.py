"""`seacanary-models classical`: the model beside the classical click and whistle detectors, on the same windows."""

from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from seacanary_models.byte_images import seeing_steps
from seacanary_models.checkpoints import load_model
from seacanary_models.classical_report import ClassicalReport, classical_report
from seacanary_models.classical_windows import ClassicalWindows, benchmark_windows, together
from seacanary_models.click_features import StandardClick, reference_click, simulated_click
from seacanary_models.console import console, progress_bar
from seacanary_models.mgc_benchmark import BenchmarkPart

STANDARD_CLICK = "porpoise-click_pyporcc_standard_click.wav"
FIT_PART: BenchmarkPart = "validation"  # as varied as what M was trained on, and not trained on
TEST_PART: BenchmarkPart = "test"


def classical(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of the trained model.")],
    *,
    out: Annotated[Path, typer.Option(help="Where the figures go, as JSON.")] = Path("benchmarks/mgc/classical.json"),
    audio: Annotated[
        Path | None,
        typer.Option(envvar="SEACANARY_AUDIO", help="Folder with the reference porpoise click; none: a simulated one."),
    ] = None,
    fit_windows: Annotated[int, typer.Option(min=16, help="Windows that thresholds are chosen on.")] = 512,
    test_windows: Annotated[int, typer.Option(min=16, help="Windows of the benchmark's test part.")] = 4096,
    workers: Annotated[int, typer.Option(min=1, help="Processes that make windows.")] = 2,
) -> None:
    """Compare M with the classical references: d' on the same clicks, recall of whistles on the same windows.

    Every window is simulated. Thresholds and coefficients, ours included, come from the benchmark's
    validation part; its test part is only reported on.
    """
    model, digest = seeing_steps(load_model(checkpoint)), sha256(checkpoint.read_bytes()).hexdigest()[:8]
    standard = standard_click(audio)
    fit = _windows(FIT_PART, fit_windows, workers)
    test = _windows(TEST_PART, test_windows, workers)
    with console.status("judging clicks and whistles"):
        report = classical_report(model, fit, test, standard=standard, checkpoint=digest)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    console.print(_summary(report))


def standard_click(audio: Path | None) -> StandardClick:
    """The recorded reference click if its folder is named, else a simulated one.

    Raises:
        FileNotFoundError: the folder lacks it.
    """
    if audio is None:
        return simulated_click()
    path = audio / STANDARD_CLICK
    if not path.is_file():
        raise FileNotFoundError(f"{audio} holds no {STANDARD_CLICK}; leave out --audio to use a simulated click")
    return reference_click(path)


def _windows(part: BenchmarkPart, count: int, workers: int) -> ClassicalWindows:
    with progress_bar() as progress:
        made = benchmark_windows(part, count, workers=workers)
        return together(progress.track(made, total=count, description=f"windows of part {part}"))


def _summary(report: ClassicalReport) -> Table:
    table = Table("", "d'", "90 % interval", "d_a", "hits", "false alarms")
    judged = {f"clicks: {name}": figures.test for name, figures in report.clicks.classifiers.items()}
    judged |= {"whistles: model": report.whistles.model, "whistles: contours": report.whistles.contours}
    for name, figures in judged.items():
        interval = f"{figures.dprime_low:.2f} to {figures.dprime_high:.2f}"
        rates = (f"{figures.hit_rate:.3f}", f"{figures.false_alarm_rate:.3f}")
        table.add_row(name, f"{figures.dprime:.2f}", interval, f"{figures.d_a:.2f}", *rates)
    return table
