"""CSV with columns of any name."""

from pathlib import Path

import pytest

from seacanary.errors import SeaCanaryError
from seacanary_models.annotation_formats import CsvColumns, read_csv
from seacanary_models.annotations import Origin

pytestmark = pytest.mark.torch
EXAMPLE = Path(__file__).parent / "data/annotations/kilohertz.csv"
COLUMNS = CsvColumns(
    file="Sound",
    start_s="Begin",
    duration_s="Length",
    low_hz="Bottom",
    high_hz="Top",
    label="What",
    annotator="By",
    frequency_unit="kHz",
)
ORIGIN = Origin(annotator="nobody", licence="CC0-1.0")


def test_columns_and_units_are_mapped() -> None:
    first, second = read_csv(EXAMPLE, ORIGIN, COLUMNS)
    assert (first.file, first.start_s, first.end_s) == ("pod/a.wav", 1.5, 2.0)
    assert (first.low_hz, first.high_hz, first.annotator) == (2500.0, 9000.0, "Ann")
    assert (second.start_s, second.end_s, second.low_hz, second.label) == (4.0, 4.0, None, "ship, far")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("file,begin\n", "no column 'start_s'; there are file, begin"),
        ("file,start_s\n", "no column 'end_s'"),
        ("start_s,end_s\n1,2\n", "line 2, column 'file': is blank"),
        ("file,start_s,end_s\na.wav,1,\n", "line 2, column 'end_s': is blank"),
        ("file,start_s,duration_s\na.wav,1,-1\n", "column 'duration_s': a duration cannot be negative"),
        ("file,start_s,end_s,call_type\na.wav,1,2,Whistle\n", "line 2, call_type: .*'whistle'.*got 'Whistle'"),
        ("file,start_s,end_s,meaning\na.wav,1,2,abset\n", "line 2, meaning: .*'absent'"),
    ],
)
def test_a_bad_table_is_reported(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(SeaCanaryError, match=complaint):
        read_csv(path, ORIGIN)
