"""The report's one HTML page, which needs nothing else."""

import base64
import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from seacanary_models.calibration_curves import calibration_error
from seacanary_models.report_content import Measured, snr_rows

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}
table{border-collapse:collapse;margin:1rem 0}th,td{border:1px solid #ccc;padding:.25rem .6rem;text-align:right}
th:first-child,td:first-child{text-align:left}img{max-width:100%;height:auto}
.note{border-left:4px solid #0072b2;padding:.2rem 1rem;background:#f2f7fb}
"""


def page(measured: Measured, pictures: Mapping[str, bytes]) -> str:
    """The whole page; `pictures` are PNG by name and stand where their section is."""
    sections: tuple[tuple[str, str, Callable[[Measured], str]], ...] = (
        ("Combinations of call types", "confusion", _joint_tables),
        ("Precision and recall", "precision-recall", _call_type_table),
        ("Recall against SNR", "recall-against-snr", _snr_table),
        ("Reliability", "reliability", _reliability_table),
        ("F1 against class frequency", "f1-against-frequency", _nothing),
        ("Detection range", "recall-against-range", _range_table),
        ("Events in streams", "", _event_table),
        ("False presence events", "false-alarms", _nothing),
        ("Examples", "examples", _nothing),
    )
    body = [_section(title, pictures.get(name), table(measured)) for title, name, table in sections]
    title = f"Evaluation of {html.escape(measured.model_id)}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body>\n<h1>{title}</h1>\n"
        f'<p class="note">{html.escape(measured.data)} Every call is simulated; none is a field recording.</p>\n'
        + _headline_table(measured)
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _section(title: str, picture: bytes | None, table: str) -> str:
    parts = [f"<h2>{html.escape(title)}</h2>"]
    if picture is not None:
        source = base64.b64encode(picture).decode("ascii")
        parts.append(f'<p><img alt="{html.escape(title)}" src="data:image/png;base64,{source}"></p>')
    parts.append(table)
    return "\n".join(parts if picture is not None or table else [*parts, "<p>Not measured in this run.</p>"])


def _nothing(_: Measured) -> str:
    return ""


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    def line(cells: Sequence[object], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(_cell(cell))}</{tag}>" for cell in cells) + "</tr>"

    return "<table>" + line(head, "th") + "".join(line(row, "td") for row in rows) + "</table>"


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _headline_table(measured: Measured) -> str:
    rows = [
        (name.replace("_", " "), value, measured.missing.get(name, "") if value is None else "")
        for name, value in measured.headline.items()
    ]
    return _table(("figure", "value", "why missing"), rows) if rows else ""


def _joint_tables(measured: Measured) -> str:
    joint = measured.joint
    if joint is None:
        return ""
    low, high = joint.joint_accuracy_interval
    rows = [(name, f.windows, f.recall, f.precision, f.f1) for name, f in joint.combinations.items()]
    return (
        f"<p>Joint accuracy {joint.joint_accuracy:.3f} (95 % interval {low:.3f} to {high:.3f}), macro-F1 "
        f"{joint.macro_f1_combinations:.3f} over combinations and {joint.macro_f1_call_types:.3f} over call types, "
        f"Hamming loss {joint.hamming_loss:.3f}; thresholds for joint accuracy.</p>"
        + _table(("combination", "windows", "perfect accuracy", "precision", "F1"), rows)
    )


def _call_type_table(measured: Measured) -> str:
    if measured.joint is None:
        return ""
    head = ("call type", "windows", "precision", "recall", "F1", "average precision", "threshold")
    rows = (
        (name, f.windows, f.precision, f.recall, f.f1, f.average_precision, f.threshold)
        for name, f in measured.joint.call_types.items()
    )
    return "<p>At the thresholds for joint accuracy:</p>" + _table(head, rows)


def _snr_table(measured: Measured) -> str:
    rows = [
        (name, f"{row['low']:g} to {row['high']:g}", row["windows"], row["recall"])
        for name, bins in (snr_rows(measured.windows) or {}).items()
        for row in bins
    ]
    return _table(("call type", "SNR, dB", "windows", "recall at the presence threshold"), rows) if rows else ""


def _reliability_table(measured: Measured) -> str:
    rows = [(name, calibration_error(curve)) for name, curve in measured.reliability.items()]
    return _table(("call type", "expected calibration error"), rows) if rows else ""


def _range_table(measured: Measured) -> str:
    if measured.ranges is None:
        return ""
    how = {"beyond": "beyond the last range", "never": "nowhere"}
    rows = (
        (
            curve.call_type,
            curve.noise,
            f"{curve.half_recall_m:.0f}" if curve.half_recall_m is not None else how[curve.half_recall],
            curve.points[0].windows,
        )
        for curve in measured.ranges.curves
    )
    return f"<p>{html.escape(measured.ranges.what)}.</p>" + _table(
        ("call type", "noise", "range of half recall, m", "windows per point"), rows
    )


def _event_table(measured: Measured) -> str:
    streams = measured.streams
    if streams is None:
        return ""
    rule = streams.recipe.rule
    rows = (
        (name, f.true_events, f.heard_events, f.collar.f1, f.intersection.f1, f.intersection.recall)
        for name, f in streams.call_types.items()
    )
    return (
        f"<p>{html.escape(streams.what)}, {streams.seconds:.0f} s. Collar {rule.collar_s:g} s or "
        f"{rule.offset_share:.0%} of the length; intersection {rule.detection_share:.0%} "
        f"and {rule.truth_share:.0%}.</p>"
        + _table(("call type", "true", "heard", "F1 collar", "F1 intersection", "recall intersection"), rows)
    )
