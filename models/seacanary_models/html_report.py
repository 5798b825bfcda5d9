"""The evaluation as one HTML file that needs nothing else, its figures also as PNG, its numbers also as JSON."""

import io
import json
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from seacanary_models import figures
from seacanary_models.calibration_curves import draw_reliability
from seacanary_models.report_content import Measured, report_json, snr_rows
from seacanary_models.report_page import page

DPI: Final = 110


def write_report(measured: Measured, folder: Path) -> Path:
    """Write report.html, report.json and one PNG per figure; returns the HTML's path."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = _write_pictures(measured, folder)
    written = folder / "report.html"
    written.write_text(page(measured, pictures), encoding="utf-8")
    (folder / "report.json").write_text(json.dumps(report_json(measured), indent=1) + "\n", encoding="utf-8")
    return written


def _write_pictures(measured: Measured, folder: Path) -> dict[str, bytes]:
    """Draw what there is: name -> PNG."""
    joint, windows, ranges = measured.joint, measured.windows, measured.ranges
    pictures: dict[str, bytes] = {}
    if joint is not None:
        pictures["confusion"] = png(figures.confusion(joint))
    if measured.by_frequency is not None:
        pictures["f1-against-frequency"] = png(figures.f1_against_frequency(measured.by_frequency))
    if windows is not None:
        drawn = figures.precision_recall(windows.probability, windows.truth, windows.enter)
        pictures["precision-recall"] = png(drawn)
        pictures["recall-against-snr"] = png(figures.recall_against_snr(snr_rows(windows) or {}))
    if ranges is not None:
        pictures["recall-against-range"] = png(figures.recall_against_range(ranges))
    if measured.false_events_per_day:
        pictures["false-alarms"] = png(figures.false_alarms(measured.false_events_per_day))
    if measured.examples:
        pictures["examples"] = png(figures.examples(measured.examples))
    for name, content in pictures.items():
        (folder / f"{name}.png").write_bytes(content)
    if measured.reliability:
        draw_reliability(measured.reliability, folder / "reliability.png")
        pictures["reliability"] = (folder / "reliability.png").read_bytes()
    return pictures


def png(figure: Figure) -> bytes:
    """A figure as PNG, the same bytes for the same figure."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=DPI, metadata={"Software": None})
    return out.getvalue()
