"""Label maps: both file formats, words without a meaning, and mistakes."""

from pathlib import Path

import pytest

from seacanary.errors import SeaCanaryError
from seacanary_models.annotations import Annotation
from seacanary_models.label_map import OWN_NAMES, map_labels, read_label_map

pytestmark = pytest.mark.torch
FOLDER = Path(__file__).parent / "data/annotations"


def labelled(label: str | None, **fields: object) -> Annotation:
    least = {"file": "a.wav", "start_s": 0, "end_s": 1, "annotator": "A", "licence": "B", "label": label}
    return Annotation.model_validate({**least, **fields})


@pytest.mark.parametrize("name", ["label_map.yaml", "label_map.csv"])
def test_words_become_call_types_in_whatever_case(name: str) -> None:
    words = [labelled("bw"), labelled("Click  Train"), labelled("ship", species="Homo sapiens"), labelled("quiet")]
    mapped = map_labels(words, read_label_map(FOLDER / name))
    found = [(a.call_type, a.species, a.meaning) for a in mapped.require_all()]
    assert found == [
        ("whistle", "Delphinapterus leucas", "present"),
        ("porpoise_click", "Phocoena phocoena", "present"),
        (None, "Homo sapiens", "present"),
        (None, None, "absent"),
    ]


def test_words_without_a_meaning_are_counted_kept_and_listed() -> None:
    words = [labelled("S02"), labelled("S02"), labelled(None), labelled("x", call_type="whistle")]
    mapped = map_labels(words, OWN_NAMES)
    assert mapped.unmapped == {"S02": 2, None: 1}
    assert mapped.annotations == tuple(words)
    with pytest.raises(SeaCanaryError, match=r"'S02' x 2, \(no label\) x 1; add them"):
        mapped.require_all()


def test_absence_needs_no_label() -> None:
    assert map_labels([labelled(None, meaning="absent")], OWN_NAMES).require_all()


def test_the_call_types_own_names_explain_themselves() -> None:
    assert map_labels([labelled("Whistle")], OWN_NAMES).require_all()[0].call_type == "whistle"


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("m.yaml", "a: [", "is not YAML"),
        ("m.yaml", "- a\n", "one entry per label"),
        ("m.yaml", "a: {call_type: song}", "label 'a', call_type: .*'whistle'"),
        ("m.yaml", "a: {colour: red}", "label 'a', colour"),
        ("m.yaml", "a: whistle", "label 'a': .*got 'whistle'"),
        ("m.yaml", "a: {}\nA: {}", "'A' is there twice"),
        ("m.csv", "word,call_type\n", "no column 'label'"),
        ("m.csv", "label,call_type\n,whistle\n", "line 2, column 'label': is blank"),
        ("m.csv", "label,meaning\na,never\n", "label 'a', meaning"),
    ],
)
def test_mistakes_name_the_label(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SeaCanaryError, match=complaint):
        read_label_map(tmp_path / name)
