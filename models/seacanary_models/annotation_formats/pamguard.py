"""PAMGuard detections: tables of its SQLite database, or the same tables exported as CSV.

Source: the table definitions in PAMGuard's own logging classes. Every table has UTC (text with
milliseconds in SQLite, whole seconds in other databases) and UTCMilliseconds (those of the second).
Detectors add startSample (counted from the start of the run, over all its files, and cut to 32 bits),
duration in samples, lowFreq and highFreq (0 and 0 where not measured); click trains and marked events
have an end instead (EndTime, EventEnd).
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from seacanary.errors import SeaCanaryError
from seacanary_models.annotation_formats.tables import Row, Table, annotation, read_table
from seacanary_models.annotations import Annotation, Origin

_ENDS = ("EventEnd", "EndTime")
_NUMERIC = ("UTCMilliseconds", "startSample", "duration", "lowFreq", "highFreq")
_TYPES = ("eventType", "detectionType")  # words
_CODES = ("SpeciesCode", "ClickType", "speciesFlag")  # numbers the user gave a meaning in PAMGuard


@dataclass(frozen=True, slots=True)
class TimedRecording:
    """A recording that detections may lie in.

    Attributes:
        start: time of its first sample; None: unknown.
    """

    file: str
    start: datetime | None
    sample_rate_hz: int
    duration_s: float


def read_pamguard_csv(path: Path, origin: Origin, recordings: Sequence[TimedRecording]) -> list[Annotation]:
    """Detections of one table, exported as CSV; the file's name is their label where PAMGuard gave none.

    Args:
        path: the table.
        origin: annotator (the detector and its settings) and licence.
        recordings: what was analysed. One recording without a start takes its detections by startSample;
            otherwise each detection goes where its UTC lies.

    Raises:
        SeaCanaryError: not such a table, or a detection lies in none or several of the recordings.
    """
    table = read_table(path, delimiter=None, numeric=_NUMERIC, encoding=origin.encoding)
    return _annotations(table, origin, recordings, path.stem)


def read_pamguard_sqlite(
    path: Path, origin: Origin, recordings: Sequence[TimedRecording], *, table: str | None = None
) -> list[Annotation]:
    """Detections of one table of a database; see read_pamguard_csv.

    Args:
        path: the database, which is only read.
        origin: annotator (the detector and its settings) and licence.
        recordings: what was analysed.
        table: None: the only one that holds detections.

    Raises:
        SeaCanaryError: not such a database, no such table or several; or as read_pamguard_csv.
    """
    if not path.is_file():
        raise SeaCanaryError(f"{path} cannot be read: there is no such file")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            chosen = _choose(path, _detection_tables(database), table)
            content = _read(database, path, chosen)
    except sqlite3.Error as exc:
        raise SeaCanaryError(f"{path.name} cannot be read as an SQLite database: {exc}") from exc
    return _annotations(content, origin, recordings, chosen)


def _detection_tables(database: sqlite3.Connection) -> list[str]:
    names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    return [name for name in names if _holds_detections(database, name)]


def _holds_detections(database: sqlite3.Connection, table: str) -> bool:
    columns = {row[1].lower() for row in database.execute(f"PRAGMA table_info({_quoted(table)})")}
    return "utc" in columns and ("startsample" in columns or bool(columns & {end.lower() for end in _ENDS}))


def _choose(path: Path, tables: list[str], wanted: str | None) -> str:
    if wanted in tables:
        return str(wanted)
    if wanted is None and len(tables) == 1:
        return tables[0]
    there = ", ".join(tables) or "none"
    asked = f"has no table '{wanted}' of detections" if wanted else "has not exactly one table of detections"
    raise SeaCanaryError(f"{path.name} {asked}; there are: {there}")


def _read(database: sqlite3.Connection, path: Path, table: str) -> Table:
    cursor = database.execute(f"SELECT * FROM {_quoted(table)}")
    columns = tuple(column[0].lower() for column in cursor.description)
    rows = []
    for number, values in enumerate(cursor, start=1):
        # PAMGuard pads its texts with blanks.
        texts = (
            (name, "" if value is None else str(value).strip()) for name, value in zip(columns, values, strict=True)
        )
        cells = {name: text for name, text in texts if text}
        rows.append(Row(f"{path.name}, table '{table}', Id {cells.get('id', f'of row {number}')}", cells))
    return Table(path.name, columns, tuple(rows))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _annotations(table: Table, origin: Origin, recordings: Sequence[TimedRecording], name: str) -> list[Annotation]:
    if not recordings:
        raise SeaCanaryError(f"{table.name}: no recordings to place the detections in")
    table.require("UTC")
    return [_annotation(row, origin, recordings, name) for row in table.rows]


def _annotation(row: Row, origin: Origin, recordings: Sequence[TimedRecording], name: str) -> Annotation:
    recording, start_s = _place(row, recordings)
    low_hz, high_hz = row.number("lowFreq"), row.number("highFreq")
    measured = bool(high_hz)
    fields = {
        "file": recording.file,
        "start_s": start_s,
        "end_s": start_s + _duration_s(row, recording),
        "low_hz": low_hz if measured else None,
        "high_hz": high_hz if measured else None,
        "label": _label(row, name),
        "annotator": origin.annotator,
        "licence": origin.licence,
        "notes": row.text("comment"),
    }
    return annotation(row, fields)


def _label(row: Row, name: str) -> str:
    code = row.text(*_CODES)
    return row.text(*_TYPES) or (f"{name}:{code}" if code and code != "0" else name)


def _place(row: Row, recordings: Sequence[TimedRecording]) -> tuple[TimedRecording, float]:
    if len(recordings) == 1 and recordings[0].start is None:
        return recordings[0], _start_by_sample(row, recordings[0])
    at = _utc(row)
    found = [(r, (at - r.start).total_seconds()) for r in recordings if r.start is not None]
    inside = [(r, start_s) for r, start_s in found if 0 <= start_s < r.duration_s]
    if len(inside) == 1:
        return inside[0]
    if inside:
        raise row.error(
            "UTC", f"{at:%Y-%m-%d %H:%M:%S} lies in {inside[0][0].file} and in {inside[1][0].file}; import them apart"
        )
    raise row.error(
        "UTC", f"{at:%Y-%m-%d %H:%M:%S} lies in none of {len(found)} recordings of known start{_span(recordings)}"
    )


def _start_by_sample(row: Row, recording: TimedRecording) -> float:
    sample = row.needed("startSample")
    if sample < 0:
        raise row.error("startSample", f"{sample:.0f} has wrapped around 32 bits; give the recording its start time")
    return sample / recording.sample_rate_hz


def _span(recordings: Sequence[TimedRecording]) -> str:
    starts = [r.start for r in recordings if r.start is not None]
    return f" (from {min(starts):%Y-%m-%d %H:%M:%S} to {max(starts):%Y-%m-%d %H:%M:%S})" if starts else ""


def _duration_s(row: Row, recording: TimedRecording) -> float:
    for column in _ENDS:
        if row.text(column):
            return max(0.0, (_instant(row, column) - _utc(row)) / timedelta(seconds=1))
    return (row.number("duration") or 0.0) / recording.sample_rate_hz


def _utc(row: Row) -> datetime:
    """The instant of a row: UTC's own fraction, if it has one, says the same as UTCMilliseconds."""
    at, milliseconds = _instant(row, "UTC"), row.number("UTCMilliseconds")
    if milliseconds is None:
        return at
    if not 0 <= milliseconds < 1000:
        raise row.error("UTCMilliseconds", f"{milliseconds:.0f} is not the milliseconds of a second, 0 to 999")
    return at.replace(microsecond=int(milliseconds) * 1000)


def _instant(row: Row, column: str) -> datetime:
    text = row.text(column)
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError as exc:
        raise row.error(column, f"'{text or ''}' is not a time like 2020-08-17 01:13:52.250") from exc
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
