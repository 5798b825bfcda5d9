"""Round trips: what a writer wrote, its reader reads; and damage that every reader reports alike."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seacanary.errors import SeaCanaryError
from seacanary.simulation.sounds import CALL_TYPES
from seacanary_models.annotation_formats import read_audacity, read_csv, read_raven, write_csv, write_raven
from seacanary_models.annotations import Annotation, Origin, one_line

pytestmark = pytest.mark.torch
ORIGIN = Origin(annotator="Ann", licence="CC0-1.0", file="a.wav")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(one_line)
SECONDS = st.floats(0, 1e6)
HERTZ = st.none() | st.floats(0, 5e5)


@st.composite
def annotations(draw: st.DrawFn, *, files: st.SearchStrategy[str]) -> Annotation:
    start_s, end_s = sorted((draw(SECONDS), draw(SECONDS)))
    low_hz, high_hz = draw(HERTZ), draw(HERTZ)
    if low_hz is not None and high_hz is not None:
        low_hz, high_hz = min(low_hz, high_hz), max(low_hz, high_hz)
    return Annotation(
        file=draw(files),
        start_s=start_s,
        end_s=end_s,
        low_hz=low_hz,
        high_hz=high_hz,
        label=draw(st.none() | TEXTS),
        call_type=draw(st.none() | st.sampled_from(CALL_TYPES)),
        species=draw(st.none() | TEXTS),
        meaning=draw(st.sampled_from(("present", "absent", "uncertain"))),
        annotator=draw(TEXTS),
        licence=draw(TEXTS),
        confidence=draw(st.none() | st.floats(0, 1)),
        notes=draw(st.none() | TEXTS),
    )


@settings(deadline=None, max_examples=30)
@given(st.lists(annotations(files=TEXTS), max_size=5))
def test_csv_gives_back_what_was_written(written: list[Annotation]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "all.csv"
        write_csv(path, written)
        assert read_csv(path, Origin(annotator="nobody", licence="none")) == written


@settings(deadline=None, max_examples=30)
@given(st.lists(annotations(files=st.just("a.wav")), max_size=5))
def test_a_raven_table_gives_back_what_was_written(written: list[Annotation]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.Table.1.selections.txt"
        write_raven(path, written)
        assert read_raven(path, Origin(annotator="nobody", licence="none")) == written


READERS = [read_raven, read_audacity, read_csv]


@pytest.mark.parametrize("reader", READERS)
def test_a_missing_file_is_named(reader, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SeaCanaryError, match=r"absent\.txt cannot be read: No such file"):
        reader(tmp_path / "absent.txt", ORIGIN)


@pytest.mark.parametrize("reader", READERS)
def test_another_encoding_is_reported_with_its_line(reader, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "latin.txt"
    path.write_bytes("one\tline\nBl\xe5hval\t1\t2\n".encode("latin-1"))
    with pytest.raises(SeaCanaryError, match=r"latin\.txt, line 2: byte 0xe5 is not utf-8; .*cp1252"):
        reader(path, ORIGIN)


@pytest.mark.parametrize("reader", READERS)
def test_an_unknown_encoding_is_refused_with_known_ones(reader, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "a.txt"
    path.write_text("0\t1\tx\n")
    with pytest.raises(SeaCanaryError, match="encoding 'utf-9' is not known; try utf-8"):
        reader(path, Origin("Ann", "CC0-1.0", "a.wav", encoding="utf-9"))


@pytest.mark.parametrize("reader", READERS)
def test_a_binary_file_is_refused(reader, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF\0\0\0\0WAVE")
    with pytest.raises(SeaCanaryError, match="not a text file"):
        reader(path, ORIGIN)
