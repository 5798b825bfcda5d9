"""Audacity label tracks: the committed example, and what goes wrong in them."""

from pathlib import Path

import pytest

from seacanary.errors import SeaCanaryError
from seacanary_models.annotation_formats import read_audacity
from seacanary_models.annotations import Origin

pytestmark = pytest.mark.torch
EXAMPLE = Path(__file__).parent / "data/annotations/labels_audacity.txt"
ORIGIN = Origin(annotator="Ann", licence="CC0-1.0", file="a.wav")


def test_labels_points_and_spectral_selections_are_read() -> None:
    found = [(a.start_s, a.end_s, a.low_hz, a.high_hz, a.label) for a in read_audacity(EXAMPLE, ORIGIN)]
    assert found == [
        (0.25, 0.75, 1200.0, 9000.5, "bw"),
        (1.0, 1.0, None, 130_000.0, "click"),
        (2.5, 3.25, None, None, None),
    ]


def test_a_label_track_needs_its_recording() -> None:
    with pytest.raises(SeaCanaryError, match="names no recording"):
        read_audacity(EXAMPLE, Origin("Ann", "CC0-1.0"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("\\\t100\t200\n", "line 1: a spectral selection follows its label"),
        ("0\t1\tok\nhello\n", "line 2, column 'start': 'hello' is not a number"),
        ("0\n", "line 1, column 'end': is blank"),
        ("0\t1\tx\n\\\tlow\t200\n", "line 1, column 'low': 'low' is not a number"),
        ("2\t1\tx\n", "line 1: end_s"),
    ],
)
def test_a_bad_line_is_reported(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text)
    with pytest.raises(SeaCanaryError, match=complaint):
        read_audacity(path, ORIGIN)


def test_decimal_commas_and_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"0,5\t1,25\tsmall, far\r\n\r\n")
    (one,) = read_audacity(path, ORIGIN)
    assert (one.start_s, one.end_s, one.label) == (0.5, 1.25, "small, far")
