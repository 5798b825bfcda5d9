"""CSV with any column names; written with the schema's own names, which read back unchanged."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from seacanary.errors import SeaCanaryError
from seacanary_models.annotation_formats.tables import Row, annotation, read_table
from seacanary_models.annotations import Annotation, Origin

_HZ_PER_UNIT = {"Hz": 1.0, "kHz": 1000.0}


class CsvColumns(BaseModel):
    """Which column holds which field; a column that is not there leaves its field out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str = "file"
    start_s: str = "start_s"
    end_s: str = "end_s"
    duration_s: str = Field("duration_s", description="read where there is no end")
    low_hz: str = "low_hz"
    high_hz: str = "high_hz"
    label: str = "label"
    call_type: str = "call_type"
    species: str = "species"
    meaning: str = "meaning"
    annotator: str = "annotator"
    licence: str = "licence"
    confidence: str = "confidence"
    notes: str = "notes"
    frequency_unit: Literal["Hz", "kHz"] = "Hz"

    @property
    def numeric(self) -> tuple[str, ...]:
        """Columns that hold numbers."""
        return self.start_s, self.end_s, self.duration_s, self.low_hz, self.high_hz, self.confidence


def read_csv(path: Path, origin: Origin, columns: CsvColumns | None = None) -> list[Annotation]:
    """Annotations of a table separated by commas, semicolons or tabs.

    Raises:
        SeaCanaryError: not such a table; with file, line and column.
    """
    names = columns or CsvColumns()
    table = read_table(path, delimiter=None, numeric=names.numeric, encoding=origin.encoding)
    table.require(names.start_s)
    if names.end_s.lower() not in table.columns and names.duration_s.lower() not in table.columns:
        table.require(names.end_s)
    return [_annotation(row, origin, names) for row in table.rows]


def write_csv(path: Path, annotations: Iterable[Annotation]) -> None:
    """Write annotations so that read_csv gives back the same ones."""
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, list(Annotation.model_fields))
        writer.writeheader()
        writer.writerows(one.model_dump() for one in annotations)


def _annotation(row: Row, origin: Origin, names: CsvColumns) -> Annotation:
    file = row.text(names.file) or origin.file
    if file is None:
        raise row.error(names.file, "is blank; name the recording in each row, or once for the whole table")
    hz = _HZ_PER_UNIT[names.frequency_unit]
    start_s = row.needed(names.start_s)
    low, high = row.number(names.low_hz), row.number(names.high_hz)
    fields = {
        "file": file,
        "start_s": start_s,
        "end_s": _end_s(row, names, start_s),
        "low_hz": None if low is None else low * hz,
        "high_hz": None if high is None else high * hz,
        "label": row.text(names.label),
        "call_type": row.text(names.call_type),
        "species": row.text(names.species),
        "meaning": row.text(names.meaning) or "present",
        "annotator": row.text(names.annotator) or origin.annotator,
        "licence": row.text(names.licence) or origin.licence,
        "confidence": row.number(names.confidence),
        "notes": row.text(names.notes),
    }
    return annotation(row, fields)


def _end_s(row: Row, names: CsvColumns, start_s: float) -> float:
    end_s = row.number(names.end_s)
    if end_s is not None:
        return end_s
    duration_s = row.number(names.duration_s)
    if duration_s is None:
        raise row.error(names.end_s, "is blank; give an end, or the start once more for a point in time")
    if duration_s < 0:
        raise SeaCanaryError(f"{row.where}, column '{names.duration_s}': a duration cannot be negative")
    return start_s + duration_s
