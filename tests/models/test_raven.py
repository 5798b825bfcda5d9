"""Raven selection tables: the committed example, and what goes wrong in them."""

from pathlib import Path

import pytest

from seacanary.errors import SeaCanaryError
from seacanary_models.annotation_formats import read_raven, write_raven
from seacanary_models.annotations import Annotation, Origin

pytestmark = pytest.mark.torch
EXAMPLE = Path(__file__).parent / "data/annotations/two_files.Table.1.selections.txt"
ORIGIN = Origin(annotator="Ann", licence="CC0-1.0")
HEAD = "Selection\tView\tBegin Time (s)\tEnd Time (s)"


def read(tmp_path: Path, text: str, origin: Origin = ORIGIN, *, label_column: str | None = None) -> list[Annotation]:
    path = tmp_path / "t.txt"
    path.write_text(text)
    return read_raven(path, origin, label_column=label_column)


def test_views_are_one_annotation_and_times_count_within_their_file() -> None:
    whistle, train, point = read_raven(EXAMPLE, ORIGIN)
    assert (whistle.file, whistle.start_s, whistle.end_s) == ("day1.wav", 1.5, 2.25)
    assert (whistle.low_hz, whistle.high_hz, whistle.notes) == (2100.5, 8400.0, 'loud "one"')
    assert (train.file, train.start_s, train.end_s) == ("day2.wav", 1.0, pytest.approx(1.4))
    assert (train.low_hz, train.label) == (None, "click train")
    assert (point.start_s, point.end_s, point.label) == (2.0, 2.0, None)
    assert {one.annotator for one in (whistle, train, point)} == {"Ann"}


def test_the_spectrogram_is_preferred_whichever_row_comes_first(tmp_path: Path) -> None:
    rows = ("1\tSpectrogram 1\t1\t2\t500\tx.wav", "1\tWaveform 1\t1\t2\t\tx.wav")
    for order in (rows, rows[::-1]):
        (one,) = read(tmp_path, "\n".join((HEAD + "\tLow Freq (Hz)\tBegin File", *order)))
        assert one.low_hz == 500


def test_tables_put_together_keep_selections_of_the_same_number(tmp_path: Path) -> None:
    both = read(tmp_path, f"{HEAD}\n1\tSpectrogram 1\t1\t2\n1\tSpectrogram 1\t5\t6\n", Origin("A", "B", "x.wav"))
    assert [one.start_s for one in both] == [1, 5]


@pytest.mark.parametrize("path", ["D:\\pod\\x.wav", "/pod/x.wav"])
def test_a_path_names_the_file_where_begin_file_does_not(tmp_path: Path, path: str) -> None:
    (one,) = read(tmp_path, f"{HEAD}\tBegin Path\n1\tSpectrogram 1\t1\t2\t{path}\n")
    assert one.file == "x.wav"


def test_the_label_column_can_be_chosen(tmp_path: Path) -> None:
    text = f"{HEAD}\tSpecies\tMy words\n1\tSpectrogram 1\t1\t2\torca\tS02\n"
    origin = Origin("A", "B", "x.wav")
    assert read(tmp_path, text, origin)[0].label == "orca"
    assert read(tmp_path, text, origin, label_column="My words")[0].label == "S02"
    with pytest.raises(SeaCanaryError, match="no column 'Words'"):
        read(tmp_path, text, origin, label_column="Words")


def test_several_files_without_offsets_are_refused_with_the_remedy(tmp_path: Path) -> None:
    text = f"{HEAD}\tBegin File\n1\tSpectrogram 1\t1\t2\ta.wav\n2\tSpectrogram 1\t61\t62\tb.wav\n"
    with pytest.raises(SeaCanaryError, match=r"several files \(a\.wav, b\.wav\).*'File Offset \(s\)'"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("1\tSpectrogram 1\tx\t2", r"line 2, column 'Begin Time \(s\)': 'x' is not a number"),
        ("1\tSpectrogram 1\t\t2", r"line 2, column 'Begin Time \(s\)': is blank"),
        ("1\tSpectrogram 1\t3\t2", r"line 2: end_s \(2.0\) must not be before start_s"),
        ("1\tSpectrogram 1\t-1\t2", r"line 2, start_s: .*greater than or equal to 0, got -1.0"),
        ("1\tSpectrogram 1\t1\t2", r"line 2, column 'Begin File': is blank"),
    ],
)
def test_a_bad_row_is_reported_with_line_and_column(tmp_path: Path, row: str, complaint: str) -> None:
    origin = ORIGIN if "is blank" in complaint else Origin("A", "B", "x.wav")
    with pytest.raises(SeaCanaryError, match=complaint):
        read(tmp_path, f"{HEAD}\n{row}\n", origin)


def test_another_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SeaCanaryError, match=r"no column 'Begin Time \(s\)'; there are start, end"):
        read(tmp_path, "start\tend\n1\t2\n")


def test_a_table_is_written_for_one_recording_only(tmp_path: Path) -> None:
    ones = [Annotation(file=name, start_s=0, end_s=1, annotator="A", licence="B") for name in ("a.wav", "b.wav")]
    with pytest.raises(SeaCanaryError, match=r"a\.wav, b\.wav"):
        write_raven(tmp_path / "t.txt", ones)
