"""The picture of an event: what the model saw and said of the clip, for a person to judge."""

import io
import itertools
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import ndimage

from seacanary.contract import ImageRows, ModelContract
from seacanary.detection import Detector
from seacanary.evidence.look import Composite, Excerpt, Floats, Judged, look_at
from seacanary.presence_event import PresenceEvent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

LONGEST_S = 64.0  # a clip of the usual length with its rolls
# Of a clip longer than that, so much is shown before the onset, or after the offset where it has only the end.
LEAD_S = 10.0

WIDTH_IN, HEIGHT_IN, DPI = 11.0, 6.6, 100
# Columns of the image are joined down to this many: the panels are about 960 pixels wide.
MOST_COLUMNS = 960
# dB over each row's noise floor from the darkest shade to the brightest.
SHOWN_DB = (0.0, 30.0)
# Noise is most of a spectrogram; every shade of it costs bytes and tells nothing.
SHADES, PALETTE = 16, 128
# magma keeps its order in every kind of colour blindness; the other colours are of Okabe and Ito (2008).
COLOUR_MAP, MASK_COLOUR, EVENT_COLOUR = "magma", "#f0f0f0", "#56b4e9"
# The outline keeps off the call by so many columns: a click is thinner than a line.
OUTLINE_COLUMNS = 2
CALL_TYPE_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000")


def picture(excerpt: Excerpt, event: PresenceEvent, detector: Detector) -> bytes:
    """Draw an event.

    The spectrogram is T's image itself, with T's rows: kHz rise evenly within each panel. Blocks for
    as long as the model takes over the clip; callable from any thread.

    Args:
        excerpt: the clip; of a long one the part around the onset is shown, LONGEST_S at most.
        event: marked with its onset and offset.
        detector: the model that heard it.

    Returns:
        A PNG file.
    """
    part = _shown(excerpt, event)
    composite = look_at(part, detector)
    return _png(_draw(part, composite, event, contract=detector.contract, whole=excerpt))


def _shown(excerpt: Excerpt, event: PresenceEvent) -> Excerpt:
    rate, longest = excerpt.sample_rate_hz, round(LONGEST_S * excerpt.sample_rate_hz)
    lead_s = (event.onset - excerpt.start).total_seconds() - LEAD_S
    if event.onset < excerpt.start and event.offset is not None:
        lead_s = (event.offset - excerpt.start).total_seconds() + LEAD_S - LONGEST_S
    lead = round(lead_s * rate)
    first = max(0, min(lead, excerpt.samples.size - longest))
    return excerpt.between(first, min(excerpt.samples.size, first + longest))


def _draw(
    excerpt: Excerpt, composite: Composite, event: PresenceEvent, *, contract: ModelContract, whole: Excerpt
) -> "Figure":
    from matplotlib.figure import Figure

    rate_hz = excerpt.sample_rate_hz
    bands = [rows for rows in reversed(contract.transform.rows) if rows.low_hz < rate_hz / 2]
    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), dpi=DPI, layout="constrained")
    axes = figure.subplots(len(bands) + 1, 1, sharex=True, height_ratios=[3.0] * len(bands) + [1.7])
    for axis, rows in zip(axes, bands, strict=False):
        image = _draw_band(axis, composite, rows, contract=contract, highest_hz=rate_hz / 2)
    figure.colorbar(image, ax=axes[:-1], label="dB over noise floor", pad=0.01, aspect=40)
    _draw_probability(axes[-1], composite, contract, heard=event.call_types, rate_hz=rate_hz)
    for axis in axes:
        _mark_missing(axis, excerpt)
        _mark_event(axis, excerpt, event)
        axis.set_xlim(0, excerpt.length_s)
    _label_time(axes[0], axes[-1], excerpt, event)
    figure.legend(*axes[-1].get_legend_handles_labels(), loc="outside lower right", ncols=5, fontsize=8, frameon=False)
    figure.suptitle(_title(excerpt, event, whole), fontsize=11, x=0.01, ha="left")
    return figure


def _draw_band(
    axis: "Axes", composite: Composite, rows: ImageRows, *, contract: ModelContract, highest_hz: float
) -> "AxesImage":
    """One STFT's rows: a linear axis of its own."""
    from matplotlib import colormaps

    here, (low_db, high_db) = slice(rows.first, rows.first + rows.count), contract.transform.range_db
    image, joined = _join_columns(composite.image[here], rows.pooling)
    end_s = image.shape[1] * joined * composite.column_s
    low_khz, high_khz = rows.low_hz / 1000, (rows.low_hz + rows.step_hz * rows.count) / 1000
    drawn = axis.imshow(
        low_db + image * (high_db - low_db), origin="lower", aspect="auto", interpolation="nearest",
        cmap=colormaps[COLOUR_MAP].resampled(SHADES), extent=(0, end_s, low_khz, high_khz),
        vmin=SHOWN_DB[0], vmax=SHOWN_DB[1],
    )  # fmt: skip
    mask, _ = _join_columns(composite.mask_probability[here], "max")
    mask = ndimage.maximum_filter1d(mask, 2 * OUTLINE_COLUMNS + 1, axis=1)
    if mask.max() >= contract.mask_threshold:
        times = (np.arange(mask.shape[1]) + 0.5) * joined * composite.column_s
        khz = (rows.low_hz + (np.arange(rows.count) + 0.5) * rows.step_hz) / 1000
        axis.contour(times, khz, mask, levels=[contract.mask_threshold], colors=MASK_COLOUR, linewidths=0.6)
    axis.set_ylim(low_khz, min(high_khz, highest_hz / 1000))
    axis.set_ylabel("frequency, kHz")
    return drawn


def _join_columns(rows: Floats, pooling: Literal["mean", "max"]) -> tuple[Floats, int]:
    """At most MOST_COLUMNS columns, and how many were pooled into each; NaN if one of them was."""
    joined = max(1, -(-rows.shape[1] // MOST_COLUMNS))
    count = -(-rows.shape[1] // joined)
    padded = np.pad(rows, ((0, 0), (0, count * joined - rows.shape[1])), mode="edge")
    grouped = padded.reshape(rows.shape[0], count, joined)
    pooled: Floats = grouped.max(axis=2) if pooling == "max" else grouped.mean(axis=2)
    return pooled, joined


def _draw_probability(
    axis: "Axes", composite: Composite, contract: ModelContract, *, heard: Sequence[str], rate_hz: int
) -> None:
    """One line per call type through the middles of the windows, with the threshold that opens a presence."""
    runs = _runs(composite.judged)
    unobserved = contract.unobservable(rate_hz)
    for call_type, colour in zip(contract.call_types, itertools.cycle(CALL_TYPE_COLOURS), strict=False):
        if call_type.name in unobserved:
            axis.plot([], [], color="none", label=f"{call_type.name}: not observed at {rate_hz / 1000:g} kHz")
            continue
        width = 2.2 if call_type.name in heard else 1.0
        for number, run in enumerate(runs):
            middles = [(judged.first_s + judged.end_s) / 2 for judged in run]
            values = [judged.probability[call_type.name] for judged in run]
            label = None if number else call_type.name
            axis.plot(middles, values, ".-", color=colour, linewidth=width, label=label)
        axis.axhline(call_type.enter, color=colour, linewidth=0.8, linestyle=(0, (4, 3)))
    axis.plot([], [], color="grey", linewidth=0.8, linestyle=(0, (4, 3)), label="opens a presence")
    axis.set_ylim(0, 1.03)
    axis.set_ylabel("probability")
    axis.grid(axis="y", color="0.9", linewidth=0.6)


def _runs(judged: Sequence[Judged]) -> list[list[Judged]]:
    """Windows without a gap between them."""
    runs: list[list[Judged]] = []
    for window in judged:
        if not runs or window.first_s > runs[-1][-1].end_s:
            runs.append([])
        runs[-1].append(window)
    return runs


def _mark_missing(axis: "Axes", excerpt: Excerpt) -> None:
    for first, end in excerpt.missing:
        edges_s = (first / excerpt.sample_rate_hz, end / excerpt.sample_rate_hz)
        axis.axvspan(*edges_s, facecolor="0.85", edgecolor="0.5", hatch="///", linewidth=0, zorder=3)


def _mark_event(axis: "Axes", excerpt: Excerpt, event: PresenceEvent) -> None:
    """Lines at onset and offset; without an offset it goes on to the right."""
    for moment in (event.onset, event.offset):
        if moment is not None:
            at_s = (moment - excerpt.start).total_seconds()
            axis.axvline(at_s, color=EVENT_COLOUR, linewidth=1.3, zorder=4)


def _label_time(top: "Axes", bottom: "Axes", excerpt: Excerpt, event: PresenceEvent) -> None:
    """Seconds below, UTC above, and the event's extent between them."""
    bottom.set_xlabel(f"seconds after {_utc(excerpt.start)}")
    clock = top.secondary_xaxis("top")
    clock.set_xticks(*round_times(excerpt, step_s=bottom.get_xticks()[1] - bottom.get_xticks()[0]), fontsize=8)
    clock.set_xlabel("UTC", fontsize=8, loc="right")
    onset_s = (event.onset - excerpt.start).total_seconds()
    end_s = excerpt.length_s if event.offset is None else (event.offset - excerpt.start).total_seconds()
    top.plot(
        [max(0.0, onset_s), min(excerpt.length_s, end_s)], [1, 1], color=EVENT_COLOUR, linewidth=5,
        solid_capstyle="butt", transform=top.get_xaxis_transform(), clip_on=False, zorder=5,
    )  # fmt: skip


def round_times(excerpt: Excerpt, *, step_s: float) -> tuple[list[float], list[str]]:
    """Where UTC is a multiple of step_s: seconds after the excerpt's start, and the times of day."""
    start = excerpt.start.astimezone(UTC)
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    begins_s = (start - midnight).total_seconds()
    numbers = range(math.ceil(begins_s / step_s), math.floor((begins_s + excerpt.length_s) / step_s) + 1)
    times = [midnight + timedelta(milliseconds=round(number * step_s * 1000)) for number in numbers]
    labels = [f"{time:%H:%M:%S.%f}".rstrip("0").removesuffix(".") for time in times]
    return [number * step_s - begins_s for number in numbers], labels


def _title(excerpt: Excerpt, event: PresenceEvent, whole: Excerpt) -> str:
    call_types = ", ".join(event.call_types)
    until = f"to {_utc(event.offset)}" if event.offset else "still present"
    lines = [
        f"{event.species} ({call_types}) · {event.hydrophone}, {event.station}"
        f" · peak probability {event.peak_probability:.2f}",
        f"{_utc(event.onset)} {until} · {event.kind} · {event.model_id} · id {event.id.hex[:8]}",
    ]
    if excerpt.samples.size < whole.samples.size:
        lines[1] += f" · {excerpt.length_s:.0f} s of {whole.length_s:.0f} s shown"
    return "\n".join(lines)


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"


def _png(figure: "Figure") -> bytes:
    """Rendered with a palette: a third of the bytes, and no difference to the eye."""
    from PIL import Image

    raw, file = io.BytesIO(), io.BytesIO()
    figure.savefig(raw, format="rgba")
    size = (round(WIDTH_IN * DPI), round(HEIGHT_IN * DPI))
    rendered = Image.frombytes("RGBA", size, raw.getvalue()).convert("RGB")
    rendered.quantize(PALETTE, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()
