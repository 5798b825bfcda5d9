"""Tables: decimal marks, delimiters, encodings, and errors that name the cell."""

from pathlib import Path

import pytest

from seacanary.errors import SeaCanaryError
from seacanary_models.annotation_formats.tables import Table, read_table

pytestmark = pytest.mark.torch


def table(tmp_path: Path, text: str, *, encoding: str = "utf-8", delimiter: str | None = None) -> Table:
    path = tmp_path / "t.txt"
    path.write_bytes(text.encode(encoding))
    return read_table(path, delimiter=delimiter, numeric=("time", "level"), encoding=None)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_marks_and_line_ends_do_not_matter(tmp_path: Path, encoding: str, end: str) -> None:
    found = table(tmp_path, end.join(("Time,Name", "1.5,Blåhval", "", "2,x")) + end, encoding=encoding)
    assert [(row.needed("time"), row.text("NAME")) for row in found.rows] == [(1.5, "Blåhval"), (2.0, "x")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_the_headers_most_frequent(tmp_path: Path, delimiter: str) -> None:
    found = table(tmp_path, delimiter.join(("time", "level", "what")) + "\n" + delimiter.join(("1", "2", "x")))
    assert (found.rows[0].number("level"), found.rows[0].text("what")) == (2.0, "x")


def test_decimal_commas_hold_for_the_whole_file(tmp_path: Path) -> None:
    found = table(tmp_path, "time;level\n1,5;12,000\n2;7\n")
    assert [(row.number("time"), row.number("level")) for row in found.rows] == [(1.5, 12.0), (2.0, 7.0)]


def test_commas_beside_points_are_refused_because_they_may_be_thousands(tmp_path: Path) -> None:
    with pytest.raises(SeaCanaryError, match=r"t\.txt, line 2, column 'level': '12,000' has a comma"):
        table(tmp_path, "time;level\n1.5;12,000\n")


@pytest.mark.parametrize("bad", ["x", "nan", "inf", "1_0", "1e999", "0x1", "--1", "1:30"])
def test_what_is_no_number_is_reported_with_line_and_column(tmp_path: Path, bad: str) -> None:
    found = table(tmp_path, f"time,level\n1,1\n2,{bad}\n")
    with pytest.raises(SeaCanaryError, match=r"t\.txt, line 3, column 'level': '.+' is not a number like 12\.5"):
        found.rows[1].number("level")


def test_a_blank_that_must_not_be_is_reported(tmp_path: Path) -> None:
    row = table(tmp_path, "time,level\n1,\n").rows[0]
    assert row.number("level") is None
    with pytest.raises(SeaCanaryError, match="column 'level': is blank"):
        row.needed("level")


def test_a_quoted_line_break_does_not_shift_the_count(tmp_path: Path) -> None:
    found = table(tmp_path, 'time,note\n1,"two\nlines"\n?,x\n')
    with pytest.raises(SeaCanaryError, match="line 4"):
        found.rows[1].number("time")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("time,Time\n", "column 'time' is there twice"),
        ("time,level\n1,2,3\n", "line 2: 3 cells, but the header names 2"),
        ('time,note\n1,"open\n', "line 2: unexpected end"),
    ],
)
def test_a_broken_table_is_refused_with_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(SeaCanaryError, match=complaint):
        table(tmp_path, text)


def test_rows_may_be_shorter_than_the_header_and_end_in_blanks(tmp_path: Path) -> None:
    found = table(tmp_path, "time\tlevel\n1\n2\t3\t\t\n", delimiter="\t")
    assert [row.number("level") for row in found.rows] == [None, 3.0]


def test_a_missing_column_is_reported_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(SeaCanaryError, match="no column 'Begin'; there are time, level"):
        table(tmp_path, "time,level\n").require("time", "Begin")
