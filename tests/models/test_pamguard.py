"""PAMGuard's tables, from SQLite and CSV, placed in recordings by UTC or by sample."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from seacanary.errors import SeaCanaryError
from seacanary_models.annotation_formats import TimedRecording, read_pamguard_csv, read_pamguard_sqlite
from seacanary_models.annotations import Origin

pytestmark = pytest.mark.torch
EXAMPLE = Path(__file__).parent / "data/annotations/Whistle_and_Moan_Detector.csv"
ORIGIN = Origin(annotator="PAMGuard 2.02", licence="CC0-1.0")
BEGIN = datetime(2020, 8, 17, 1, 13, 52, tzinfo=UTC)
NIGHT = [
    TimedRecording("a.wav", BEGIN, 48_000, 8.0),
    TimedRecording("b.wav", BEGIN + timedelta(seconds=10), 48_000, 8.0),
]
UNDATED = [TimedRecording("a.wav", None, 48_000, 18.0)]


def database(path: Path, **tables: tuple[str, list[tuple[object, ...]]]) -> Path:
    with closing(sqlite3.connect(path)) as made:
        for name, (columns, rows) in tables.items():
            made.execute(f'CREATE TABLE "{name}" ({columns})')
            made.executemany(f'INSERT INTO "{name}" VALUES ({",".join("?" * len(rows[0]))})', rows)
        made.commit()
    return path


CLICKS = (
    "Id INTEGER, UTC TIMESTAMP, UTCMilliseconds SMALLINT, startSample INTEGER, duration INTEGER,"
    " lowFreq DOUBLE, highFreq DOUBLE, SpeciesCode INTEGER",
    [
        (1, "2020-08-17 01:13:53.125   ", 125, 54_000, 48, 110e3, 150e3, 5),
        (2, "2020-08-17 01:14:02.000", 0, 480_000, None, 0.0, 0.0, 0),
    ],
)
EVENTS = (
    "Id INTEGER, UTC TIMESTAMP, UTCMilliseconds SMALLINT, EventEnd TIMESTAMP, eventType CHAR(20), comment CHAR(80)",
    [(7, "2020-08-17 01:13:54.500", 500, "2020-08-17 01:13:55.750", "PP    ", "clear train ")],
)


def test_detections_of_an_export_go_where_their_time_lies() -> None:
    found = read_pamguard_csv(EXAMPLE, ORIGIN, NIGHT)
    assert [(a.file, a.start_s, a.end_s) for a in found] == [("a.wav", 0.25, 0.75), ("b.wav", 1.5, 1.6)]
    assert [(a.low_hz, a.high_hz) for a in found] == [(3000.0, 9000.0), (None, None)]
    assert {a.label for a in found} == {"Whistle_and_Moan_Detector"}


def test_one_undated_recording_takes_its_detections_by_sample() -> None:
    assert [a.start_s for a in read_pamguard_csv(EXAMPLE, ORIGIN, UNDATED)] == [0.25, 11.5]


def test_milliseconds_are_counted_once_whether_utc_has_them_or_not(tmp_path: Path) -> None:
    for text in ("2020-08-17 01:13:52.250", "2020-08-17 01:13:52", "2020-08-17T01:13:52Z", "2020-08-17 03:13:52+02:00"):
        path = tmp_path / "w.csv"
        path.write_text(f"UTC,UTCMilliseconds,duration\n{text},250,480\n")
        (one,) = read_pamguard_csv(path, ORIGIN, NIGHT)
        assert (one.file, one.start_s) == ("a.wav", 0.25)


def test_the_only_table_of_detections_is_found_and_its_codes_label(tmp_path: Path) -> None:
    settings = ("Id INTEGER, UTC TIMESTAMP, Name TEXT", [(1, "2020-08-17 01:13:52.000", "x")])
    path = database(tmp_path / "night.sqlite3", Click_Detector_Clicks=CLICKS, PamguardModules=settings)
    first, second = read_pamguard_sqlite(path, ORIGIN, NIGHT)
    assert (first.label, first.start_s, first.end_s) == ("Click_Detector_Clicks:5", 1.125, 1.126)
    assert (second.file, second.label, second.start_s, second.end_s) == ("b.wav", "Click_Detector_Clicks", 0.0, 0.0)
    assert first.high_hz == 150e3


def test_click_trains_end_where_their_event_does(tmp_path: Path) -> None:
    path = database(tmp_path / "night.sqlite3", Clicks=CLICKS, Events=EVENTS)
    (one,) = read_pamguard_sqlite(path, ORIGIN, NIGHT, table="Events")
    assert (one.start_s, one.end_s, one.label, one.notes) == (2.5, 3.75, "PP", "clear train")


def test_several_tables_need_a_choice(tmp_path: Path) -> None:
    path = database(tmp_path / "night.sqlite3", Clicks=CLICKS, Events=EVENTS)
    with pytest.raises(SeaCanaryError, match=r"not exactly one table of detections; there are: Clicks, Events"):
        read_pamguard_sqlite(path, ORIGIN, NIGHT)
    with pytest.raises(SeaCanaryError, match=r"no table 'Whistles' of detections; there are: Clicks, Events"):
        read_pamguard_sqlite(path, ORIGIN, NIGHT, table="Whistles")


def test_what_is_no_database_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "text.sqlite3").write_text("not a database, but long enough to be looked at" * 30)
    with pytest.raises(SeaCanaryError, match=r"text\.sqlite3 cannot be read as an SQLite database"):
        read_pamguard_sqlite(tmp_path / "text.sqlite3", ORIGIN, NIGHT)
    with pytest.raises(SeaCanaryError, match="no such file"):
        read_pamguard_sqlite(tmp_path / "absent.sqlite3", ORIGIN, NIGHT)
    assert not (tmp_path / "absent.sqlite3").exists()


def test_a_detection_outside_or_in_two_recordings_is_refused(tmp_path: Path) -> None:
    path = database(tmp_path / "night.sqlite3", Clicks=CLICKS)
    with pytest.raises(SeaCanaryError, match=r"table 'Clicks', Id 2, column 'UTC': .* in none of 1 recordings"):
        read_pamguard_sqlite(path, ORIGIN, [NIGHT[0], TimedRecording("c.wav", None, 48_000, 8.0)])
    twice = [*NIGHT, TimedRecording("other.wav", BEGIN, 48_000, 8.0)]
    with pytest.raises(SeaCanaryError, match=r"lies in a\.wav and in other\.wav"):
        read_pamguard_sqlite(path, ORIGIN, twice)
    with pytest.raises(SeaCanaryError, match="no recordings"):
        read_pamguard_sqlite(path, ORIGIN, [])


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("17/08/2020 01:13,0,48,0", "column 'UTC': '17/08/2020 01:13' is not a time like"),
        ("2020-08-17 01:13:52,1500,48,0", "column 'UTCMilliseconds': 1500 is not the milliseconds"),
        (",0,48,0", "column 'UTC': '' is not a time like"),
    ],
)
def test_a_bad_time_is_reported(tmp_path: Path, row: str, complaint: str) -> None:
    path = tmp_path / "w.csv"
    path.write_text(f"UTC,UTCMilliseconds,duration,startSample\n{row}\n")
    with pytest.raises(SeaCanaryError, match=rf"w\.csv, line 2, {complaint}"):
        read_pamguard_csv(path, ORIGIN, NIGHT)


def test_a_sample_count_that_wrapped_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "w.csv"
    path.write_text("UTC,startSample\n2020-08-17 01:13:52,-2147483000\n")
    with pytest.raises(SeaCanaryError, match="wrapped around 32 bits"):
        read_pamguard_csv(path, ORIGIN, UNDATED)
