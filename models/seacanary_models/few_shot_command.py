"""The `masks few-shot` command: what a number of masks is worth to the segmenter."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from matplotlib.figure import Figure
from rich.table import Table
from torch import nn

from seacanary.errors import SeaCanaryError
from seacanary_models.classifier import PRESETS
from seacanary_models.console import console, progress_bar
from seacanary_models.few_shot import (
    FewShotConfig,
    FewShotReport,
    FewShotStep,
    SegmenterFactory,
    run_few_shot,
)
from seacanary_models.masked_windows import MaskedWindows, read_masked_windows, split_windows, teachers
from seacanary_models.segmenter import build_segmenter


class SegmenterName(StrEnum):
    """Which network learns."""

    COMPACT = "compact"
    DEEPLAB_RESNET50 = "deeplabv3_resnet50"
    DEEPLAB_MOBILENET = "deeplabv3_mobilenet_v3"


def few_shot(
    windows: Annotated[
        Path, typer.Argument(metavar="WINDOWS", help="NPZ with image and marks, a folder of such, or a mask store.")
    ],
    *,
    out: Annotated[Path, typer.Option(help="The report, JSON; a plot goes beside it as PNG.")],
    held_out: Annotated[
        Path | None, typer.Option(help="Windows to measure on, likewise; otherwise some of WINDOWS are kept back.")
    ] = None,
    segmenter: Annotated[
        SegmenterName, typer.Option(help="The network; only the first is small enough for minutes on a CPU.")
    ] = SegmenterName.COMPACT,
    sizes: Annotated[str, typer.Option(help="Numbers of masks, with commas.")] = "25,50,100,200,400",
    steps: Annotated[int, typer.Option(min=2, help="Training steps per size.")] = FewShotConfig().steps,
    held_out_windows: Annotated[int, typer.Option(min=1, help="How many windows to measure on.")] = 256,
    call_pixel_weight: Annotated[float, typer.Option(help="Weight of call pixels in the cross-entropy.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
) -> None:
    """Train the segmenter alone on few masks, doubled by flipping, and report mask IoU. Resumes after each size."""
    config = FewShotConfig(
        sizes=_sizes(sizes),
        steps=steps,
        held_out=held_out_windows,
        call_pixel_weight=call_pixel_weight,
        seed=seed,
        threads=threads,
    )
    learn, measure = _few_shot_windows(windows, held_out, config)
    with progress_bar() as progress:
        task = progress.add_task("few-shot", total=len(config.sizes) * config.steps)

        def show(step: FewShotStep) -> None:
            done = config.sizes.index(step.masks) * config.steps + step.step
            progress.update(task, completed=done, description=f"{step.masks} masks: loss {step.loss:.3f}")

        run = run_few_shot(
            learn, measure, config, factory=_factory(segmenter), segmenter=segmenter.value, out=out, report=show
        )
    few_shot_figure(run).savefig(out.with_suffix(".png"), dpi=120)
    console.print(_few_shot_table(run))


def _sizes(text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(sorted({int(size) for size in text.split(",")}))
    except ValueError as exc:
        raise SeaCanaryError(f"--sizes: '{text}' must be whole numbers with commas, as in 25,50") from exc
    if sizes[0] < 1:
        raise SeaCanaryError(f"--sizes: {sizes[0]} must be at least 1")
    return sizes


def _few_shot_windows(
    windows: Path, held_out: Path | None, config: FewShotConfig
) -> tuple[MaskedWindows, MaskedWindows]:
    given = read_masked_windows(windows)
    if held_out is None:
        return split_windows(given, masks=max(config.sizes), held_out=config.held_out, seed=config.seed)
    measure = read_masked_windows(held_out).chosen(slice(config.held_out))
    return teachers(given, masks=max(config.sizes), seed=config.seed), measure


def _factory(name: SegmenterName) -> SegmenterFactory:
    def make() -> nn.Module:
        segmenter = build_segmenter(name.value, widths=PRESETS["compact"].segmenter)
        if segmenter is None:
            raise SeaCanaryError(f"segmenter '{name.value}' makes no masks")
        return segmenter

    return make


def _few_shot_table(run: FewShotReport) -> Table:
    table = Table("masks", "IoU, pooled", "IoU, mean", "precision", "recall", "minutes")
    for result in run.results:
        figures = (result.iou_pooled, result.iou_mean, result.precision, result.recall)
        shown = ("-" if figure is None else f"{figure:.3f}" for figure in figures)
        table.add_row(str(result.masks), *shown, f"{result.minutes:.1f}")
    return table


def few_shot_figure(run: FewShotReport) -> Figure:
    """IoU against the number of masks."""
    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axes = figure.subplots()
    results = sorted(run.results, key=lambda result: result.masks)
    masks = [result.masks for result in results]
    nan = float("nan")
    pooled = [nan if result.iou_pooled is None else result.iou_pooled for result in results]
    mean = [nan if result.iou_mean is None else result.iou_mean for result in results]
    axes.plot(masks, pooled, "o-", color="#0072B2", label="pooled over pixels")
    axes.plot(masks, mean, "s--", color="#D55E00", label="mean of windows with a call")
    axes.set_xscale("log", base=2)
    axes.set_xticks(masks, [str(count) for count in masks])
    axes.set(xlabel="masks learned from (doubled by flipping)", ylabel="mask IoU, held out", ylim=(0, 1))
    axes.set_title(f"{run.segmenter} segmenter, {run.config.steps} steps each", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
