"""The annotation schema: what it refuses, and how it tidies texts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from seacanary_models.annotations import Annotation, one_line

pytestmark = pytest.mark.torch
LEAST = {"file": "a.wav", "start_s": 1.0, "end_s": 2.0, "annotator": "Ann", "licence": "CC0-1.0"}


def test_the_least_an_annotation_says_is_an_unnamed_sound() -> None:
    one = Annotation.model_validate(LEAST)
    assert (one.call_type, one.meaning, one.low_hz, one.confidence) == (None, "present", None, None)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"end_s": 0.5}, "must not be before"),
        ({"start_s": -0.1}, "greater than or equal to 0"),
        ({"end_s": float("inf")}, "finite"),
        ({"low_hz": 9e3, "high_hz": 2e3}, "must not be below"),
        ({"call_type": "orca"}, "whistle"),
        ({"confidence": 1.5}, "less than or equal to 1"),
        ({"annotator": " "}, "at least 1 character"),
        ({"licence": ""}, "at least 1 character"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_what_breaks_the_schema_is_refused(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Annotation.model_validate({**LEAST, **change})


def test_a_point_in_time_is_an_annotation() -> None:
    assert Annotation.model_validate({**LEAST, "end_s": 1.0}).end_s == 1.0


@settings(deadline=None, max_examples=50)
@given(st.text())
def test_texts_become_one_line_once_and_for_all(text: str) -> None:
    tidy = one_line(text)
    assert isinstance(tidy, str)
    assert one_line(tidy) == tidy
    assert not set(tidy) & set("\t\n\r\0\x85\x1c")
    assert tidy.isspace() is False
