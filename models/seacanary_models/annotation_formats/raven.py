"""Raven selection tables: tab-separated, one line per selection and view.

Source: column names of Raven Pro's user's manual. `Begin Time (s)` counts from the start of the sound
as it was opened, which may be many files in a row; `File Offset (s)` counts within `Begin File`.
"""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path, PureWindowsPath

from seacanary.errors import SeaCanaryError
from seacanary.simulation.sounds import CALL_TYPES
from seacanary_models.annotation_formats.tables import Row, Table, annotation, read_table
from seacanary_models.annotations import Annotation, Origin

BEGIN, END, OFFSET = "Begin Time (s)", "End Time (s)", "File Offset (s)"
LOW, HIGH = "Low Freq (Hz)", "High Freq (Hz)"
_NUMERIC = (BEGIN, END, OFFSET, LOW, HIGH, "Confidence")
_LABELS = ("Annotation", "Annotations", "Label", "Call Type", "Call_Type", "Species", "Code", "Type", "Tag")
_PLACE = ("Selection", "View", "Channel", BEGIN, END, LOW, HIGH, "Begin File", OFFSET)
_WORDS = ("Annotation", "Call Type", "Species", "Meaning", "Annotator", "Licence", "Confidence", "Notes")


def read_raven(path: Path, origin: Origin, *, label_column: str | None = None) -> list[Annotation]:
    """Annotations of a selection table; a selection's rows for several views are one annotation.

    Args:
        path: the table.
        origin: annotator and licence where the table has no such columns; the file where it names none.
        label_column: annotation column with the label; None: the first usual one that is there.

    Raises:
        SeaCanaryError: not such a table; with file, line and column.
    """
    table = read_table(path, delimiter="\t", numeric=_NUMERIC, encoding=origin.encoding)
    table.require(BEGIN, END, *([label_column] if label_column else []))
    rows = _one_row_per_selection(table)
    _check_offsets(table, rows)
    usual = next((name for name in _LABELS if name.lower() in table.columns), _LABELS[0])
    return [_annotation(row, origin, label_column or usual) for row in rows]


def write_raven(path: Path, annotations: Sequence[Annotation]) -> None:
    """Write the annotations of one recording; what Raven has no column for stands in annotation columns.

    Raises:
        SeaCanaryError: they are of several recordings, whose times a single table could not tell apart.
    """
    files = sorted({a.file for a in annotations})
    if len(files) > 1:
        raise SeaCanaryError(f"a Raven table holds one recording, got {', '.join(files)}; write one table each")
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None)
        writer.writerow(_PLACE + _WORDS)
        writer.writerows(_cells(number, one) for number, one in enumerate(annotations, start=1))


def _cells(number: int, one: Annotation) -> list[object]:
    times = [one.start_s, one.end_s, one.low_hz, one.high_hz, one.file, one.start_s]
    words = [one.label, one.call_type, one.species, one.meaning, one.annotator, one.licence]
    cells = [number, "Spectrogram 1", 1, *times, *words, one.confidence, one.notes]
    return ["" if cell is None else cell for cell in cells]


def _one_row_per_selection(table: Table) -> list[Row]:
    """The spectrogram's row of each selection, which has the band, or else its first row."""
    chosen: dict[tuple[str | None, ...], Row] = {}
    for row in table.rows:
        # Tables of several files put one after the other count their selections anew.
        number = row.text("Selection") or row.where
        key = (number, row.text("Begin File", "Begin Path"), row.text(BEGIN), row.text(END))
        if key not in chosen or (_is_spectrogram(row) and not _is_spectrogram(chosen[key])):
            chosen[key] = row
    return list(chosen.values())


def _is_spectrogram(row: Row) -> bool:
    return (row.text("View") or "").lower().startswith("spectrogram")


def _check_offsets(table: Table, rows: Iterable[Row]) -> None:
    if OFFSET.lower() in table.columns:
        return
    files = sorted({row.text("Begin File", "Begin Path") or "" for row in rows})
    if len(files) > 1:
        raise SeaCanaryError(
            f"{table.name} is about several files ({', '.join(files[:3])}), so it needs the measurement '{OFFSET}'; "
            "choose it in Raven under View, Configure Measurements, and save the table again"
        )


def _annotation(row: Row, origin: Origin, label_column: str) -> Annotation:
    begin_s, end_s = row.needed(BEGIN), row.needed(END)
    offset_s = row.number(OFFSET)
    shift_s = 0.0 if offset_s is None else offset_s - begin_s
    call_type = row.text("Call Type")  # may also be a column of the annotator's own, with other words
    fields = {
        "file": _file(row, origin),
        "start_s": begin_s if offset_s is None else offset_s,
        "end_s": end_s + shift_s,
        "low_hz": row.number(LOW),
        "high_hz": row.number(HIGH),
        "label": row.text(label_column),
        "call_type": call_type if call_type in CALL_TYPES else None,
        "species": row.text("Species"),
        "meaning": row.text("Meaning") or "present",
        "annotator": row.text("Annotator") or origin.annotator,
        "licence": row.text("Licence", "License") or origin.licence,
        "confidence": row.number("Confidence"),
        "notes": row.text("Notes", "Comments"),
    }
    return annotation(row, fields)


def _file(row: Row, origin: Origin) -> str:
    named = row.text("Begin File")
    path = row.text("Begin Path")
    if named or path:
        return named or PureWindowsPath(path or "").name  # takes / and \ apart, whatever this machine's own
    if origin.file is None:
        raise row.error("Begin File", "is blank; say which recording the table is about")
    return origin.file
