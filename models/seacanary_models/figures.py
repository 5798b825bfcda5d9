"""Pictures of an evaluation. Every function returns a matplotlib Figure; nothing is drawn on a screen.

Colours are those of Okabe and Ito (2008), told apart by every form of colour vision, and never alone: markers and
line styles differ too. Pictures of counts use cividis (Nuñez et al. 2018).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn import metrics as sk  # type: ignore[import-untyped]  # ships no types

from seacanary_models.datasets import IMAGE_COLUMNS, row_low_hz
from seacanary_models.detection_range import DetectionRange
from seacanary_models.event_streams import COLUMN_S
from seacanary_models.joint_metrics import JointFigures
from seacanary_models.scenes import CALL_TYPES

COLOURS: Final = {"whistle": "#0072B2", "beluga_click": "#D55E00", "porpoise_click": "#009E73"}
MARKERS: Final = {"whistle": "o", "beluga_click": "s", "porpoise_click": "^"}
NOISE_STYLES: Final = {"low": "-", "medium": "--", "high": ":"}
TITLES: Final = {"whistle": "whistle", "beluga_click": "beluga click", "porpoise_click": "porpoise click"}
_SHORT: Final = {"whistle": "W", "beluga_click": "B", "porpoise_click": "P", "none": "none"}
_TICK_M: Final = (20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
_TICK_KHZ: Final = (0, 6, 12, 18, 24, 50, 75, 100, 125, 150)


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One window with what is there and what the model sees.

    Attributes:
        image: uint8 [256, 256], T's.
        truth: bool [256, 256], the exact mask.
        seen: bool [256, 256], the segmenter's.
        title: what it shows.
    """

    image: NDArray[np.uint8]
    truth: NDArray[np.bool_]
    seen: NDArray[np.bool_]
    title: str


def confusion(joint: JointFigures) -> Figure:
    """True against said combination, per cent of each true combination."""
    counts = np.array(joint.confusion, np.float64)
    share = 100 * counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    names = ["".join(_SHORT[part] for part in name.split("+")) for name in joint.combinations]
    figure, axes = _canvas((6.4, 5.4))
    drawn = axes.imshow(share, cmap="cividis", vmin=0, vmax=100)
    for (row, column), value in np.ndenumerate(share):
        colour = "black" if value > 55 else "white"
        axes.text(column, row, f"{value:.0f}", ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("said (W whistle, B beluga click, P porpoise click)")
    axes.set_ylabel("true")
    figure.colorbar(drawn, ax=axes, label="% of windows of the true combination")
    axes.set_title(f"Combinations of call types, {joint.windows} simulated windows")
    return figure


def precision_recall(
    probability: NDArray[np.floating], truth: NDArray[np.bool_], thresholds: Sequence[float]
) -> Figure:
    """Precision against recall by call type; a filled marker at the presence threshold."""
    figure, axes = _canvas((5.6, 4.4))
    for k, name in enumerate(CALL_TYPES):
        if not truth[:, k].any():
            continue
        precision, recall, _ = sk.precision_recall_curve(truth[:, k], probability[:, k])
        area = sk.average_precision_score(truth[:, k], probability[:, k])
        label = f"{TITLES[name]}, average precision {area:.3f}"
        axes.step(recall, precision, where="post", color=COLOURS[name], label=label)
        fired = probability[:, k] >= thresholds[k]
        if fired.any():
            right = (fired & truth[:, k]).sum()
            at = (right / truth[:, k].sum(), right / fired.sum())
            axes.plot(*at, MARKERS[name], color=COLOURS[name], markersize=8, markeredgecolor="black")
    axes.set(xlim=(0, 1.01), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    axes.set_title("Precision and recall (marker: at the presence threshold)")
    axes.legend(loc="lower left")
    return figure


def recall_against_snr(rows: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """Recall by bin of SNR with 95 % intervals (Wilson 1927); `rows` are those of `recall_by_snr`."""
    figure, axes = _canvas((6.0, 4.2))
    for offset, (name, bins) in zip((-0.25, 0.0, 0.25), rows.items(), strict=False):
        middle = np.array([(row["low"] + row["high"]) / 2 for row in bins]) + offset
        recall = np.array([row["recall"] for row in bins])
        low, high = _wilson(recall, np.array([row["windows"] for row in bins]))
        axes.errorbar(
            middle, recall, yerr=(recall - low, high - recall), color=COLOURS[name],
            marker=MARKERS[name], capsize=2, label=TITLES[name],
        )  # fmt: skip
    axes.set(ylim=(0, 1.02), xlabel="SNR, dB (whistles: RMS; clicks: peak over RMS)", ylabel="recall")
    axes.set_title("Recall against SNR (95 % intervals)")
    axes.legend(loc="lower right")
    return figure


def f1_against_frequency(joint: JointFigures) -> Figure:
    """F1 of every combination and call type against how many windows hold it."""
    figure, axes = _canvas((6.0, 4.2))
    for place, (name, each) in enumerate(joint.combinations.items()):
        if each.f1 is not None:
            axes.plot(each.windows, each.f1, "D", color="#555555", markersize=5)
            short = "".join(_SHORT[part] for part in name.split("+"))
            aside = (5, (3, -9)[place % 2])
            axes.annotate(short, (each.windows, each.f1), xytext=aside, textcoords="offset points", fontsize=8)
    for name, call_type in joint.call_types.items():
        if call_type.f1 is not None:
            axes.plot(
                call_type.windows, call_type.f1, marker=MARKERS[name], color=COLOURS[name], markersize=8,
                linestyle="none", label=TITLES[name],
            )  # fmt: skip
    axes.plot([], [], "D", color="#555555", markersize=5, label="one combination")
    axes.set(ylim=(0, 1.02), xlabel="windows that hold the class", ylabel="F1")
    axes.set_title(f"F1 against class frequency, {joint.windows} simulated windows")
    axes.legend(loc="lower right")
    return figure


def recall_against_range(measured: DetectionRange) -> Figure:
    """Recall against range, one panel per call type, one line per sea."""
    names = [name for name in CALL_TYPES if any(curve.call_type == name for curve in measured.curves)]
    figure = Figure(figsize=(4.0 * len(names), 4.4), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(names), sharey=True))
    for name, axes in zip(names, panels, strict=True):
        for curve in (curve for curve in measured.curves if curve.call_type == name):
            half = {
                "within": f"half at {_rounded(curve.half_recall_m)} m",
                "beyond": "half beyond the last range",
                "never": "half nowhere",
            }
            axes.plot(
                [point.range_m for point in curve.points], [point.recall for point in curve.points],
                NOISE_STYLES[curve.noise], marker=MARKERS[name], markersize=4, color=COLOURS[name],
                label=f"{curve.noise} noise: {half[curve.half_recall]}",
            )  # fmt: skip
        axes.axhline(0.5, color="0.7", linewidth=0.8, zorder=0)
        axes.set(xscale="log", ylim=(-0.02, 1.02), xlabel="range, m", title=TITLES[name])
        reach_m = [point.range_m for curve in measured.curves if curve.call_type == name for point in curve.points]
        ticks_m = [tick for tick in _TICK_M if min(reach_m) <= tick <= max(reach_m)]
        axes.set_xticks(ticks_m, [f"{tick // 1000} k" if tick >= 1000 else str(tick) for tick in ticks_m])
        axes.minorticks_off()
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.18))
    panels[0].set_ylabel("recall of one window")
    return figure


def false_alarms(per_day: Mapping[str, float]) -> Figure:
    """False presence events per day, one bar per kind of noise, most first."""
    rows = sorted(per_day.items(), key=lambda item: item[1])
    figure, axes = _canvas((6.0, 0.8 + 0.27 * max(3, len(rows))))
    axes.barh([name.replace("_", " ") for name, _ in rows], [rate for _, rate in rows], color="#56B4E9")
    for place, (_, rate) in enumerate(rows):
        axes.annotate(f"{rate:g}", (rate, place), xytext=(3, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_xlim(0, max(1.0, 1.12 * max(per_day.values(), default=0.0)))
    axes.set(xlabel="false presence events per day of simulated sea")
    axes.set_title("False presence events by kind of noise")
    return figure


def examples(chosen: Sequence[Example]) -> Figure:
    """Images with the exact mask outlined in white and the segmenter's in orange, dashed."""
    columns = min(3, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.7 * rows), layout="constrained")
    panels = np.array(figure.subplots(rows, columns, squeeze=False)).ravel()
    for axes, example in zip(panels, chosen, strict=False):
        _draw_example(axes, example)
    for axes in panels[len(chosen) :]:
        axes.set_axis_off()
    figure.suptitle("White: the exact mask; orange, dashed: what the segmenter sees", fontsize=10)
    return figure


def _draw_example(axes: Axes, example: Example) -> None:
    axes.imshow(example.image, origin="lower", aspect="auto", cmap="gray", vmin=0, vmax=255)
    for mask, colour, style in ((example.truth, "white", "solid"), (example.seen, "#E69F00", "dashed")):
        if mask.any():
            axes.contour(mask.astype(float), levels=[0.5], colors=[colour], linewidths=0.9, linestyles=style)
    low_khz = row_low_hz() / 1e3
    axes.set_yticks(np.searchsorted(low_khz, _TICK_KHZ).tolist(), [str(tick) for tick in _TICK_KHZ])
    seconds = np.arange(0, 1.01, 0.25)
    axes.set_xticks((seconds / COLUMN_S).clip(max=IMAGE_COLUMNS - 1).tolist(), [f"{second:g}" for second in seconds])
    axes.set(xlabel="time, s", ylabel="frequency, kHz")
    axes.set_title(example.title, fontsize=9)


def _canvas(size: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots()


def _wilson(share: NDArray[np.floating], count: NDArray[np.floating]) -> tuple[NDArray[np.float64], ...]:
    z = 1.96
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return np.minimum(share, middle - half), np.maximum(share, middle + half)


def _rounded(metres: float | None) -> str:
    return "-" if metres is None else f"{float(f'{metres:.2g}'):,.0f}"
