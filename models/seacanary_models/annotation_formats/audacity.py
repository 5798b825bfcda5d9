r"""Audacity label tracks: `start TAB end TAB label`, then perhaps `\ TAB low TAB high`.

Source: "Importing and Exporting Labels" in Audacity's manual. The second line is the label's spectral
selection; Audacity writes a negative number for an edge that was not set.
"""

import io
from pathlib import Path

from seacanary.errors import SeaCanaryError
from seacanary_models.annotation_formats.tables import Row, annotation, read_text, with_decimal_mark
from seacanary_models.annotations import Annotation, Origin

_NUMERIC = ("start", "end", "low", "high")


def read_audacity(path: Path, origin: Origin) -> list[Annotation]:
    """Annotations of an exported label track; a point label has start_s = end_s.

    Args:
        path: the label file, which names no recording.
        origin: must name the recording.

    Raises:
        SeaCanaryError: not such a file, with line; or the origin names no recording.
    """
    if origin.file is None:
        raise SeaCanaryError(f"{path.name}: a label track names no recording; say which one it is about")
    rows: list[Row] = []
    for number, line in enumerate(io.StringIO(read_text(path, origin.encoding), newline=""), start=1):
        _take(rows, line.rstrip("\r\n"), where=f"{path.name}, line {number}")
    return [_annotation(row, origin) for row in with_decimal_mark(rows, _NUMERIC)]


def _take(rows: list[Row], line: str, *, where: str) -> None:
    if not line.strip():
        return
    if not line.startswith("\\"):
        rows.append(Row(where, _cells(line, ("start", "end", "label"))))
        return
    if not rows:
        raise SeaCanaryError(f"{where}: a spectral selection follows its label, but there is none before it")
    before = rows.pop()
    rows.append(Row(before.where, {**before.cells, **_cells(line, ("", "low", "high"))}))


def _cells(line: str, names: tuple[str, str, str]) -> dict[str, str]:
    cells = line.split("\t", 2)
    return {name: cell.strip() for name, cell in zip(names, cells, strict=False) if name and cell.strip()}


def _annotation(row: Row, origin: Origin) -> Annotation:
    return annotation(
        row,
        {
            "file": origin.file,
            "start_s": row.needed("start"),
            "end_s": row.needed("end"),
            "low_hz": _edge_hz(row, "low"),
            "high_hz": _edge_hz(row, "high"),
            "label": row.text("label"),
            "annotator": origin.annotator,
            "licence": origin.licence,
        },
    )


def _edge_hz(row: Row, column: str) -> float | None:
    edge_hz = row.number(column)
    return None if edge_hz is None or edge_hz < 0 else edge_hz
