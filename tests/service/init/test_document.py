"""The document that is written is what was answered, whatever was answered."""

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seacanary.config import parse_config, read_config
from seacanary.init.document import Answers, document_of, tree_of
from seacanary.init.offers import SCENE

PLAIN = Answers({"name": "pier-7"}, [{"kind": "simulated", "scene": SCENE}], Path("state/journal.db"))
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
SECTIONS = st.lists(st.dictionaries(WORDS, WORDS | st.integers() | st.lists(WORDS, max_size=3), max_size=4), max_size=3)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])  # a machine that is busy
@given(sources=SECTIONS, publishers=SECTIONS, rules=SECTIONS, name=WORDS, path=WORDS)
def test_as_yaml_it_is_what_was_answered(
    sources: list[dict[str, object]],
    publishers: list[dict[str, object]],
    rules: list[dict[str, object]],
    name: str,
    path: str,
) -> None:
    answers = Answers({"name": name}, sources, Path(path), publishers, rules, Path(path))
    assert yaml.safe_load(document_of(answers)) == tree_of(answers)


def test_it_is_read_as_the_configuration_that_was_tried(tmp_path: Path) -> None:
    file = tmp_path / "station.yaml"
    file.write_text(document_of(PLAIN), encoding="utf-8")
    assert read_config(file) == parse_config(tree_of(PLAIN), where="answers")


def test_every_section_says_what_it_is_for() -> None:
    lines = document_of(PLAIN).splitlines()
    for section in tree_of(PLAIN):
        place = next(number for number, line in enumerate(lines) if line.startswith(f"{section}:"))
        assert lines[place - 1].startswith("# ")


def test_further_parts_are_good_once_they_are_taken_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, _, further = document_of(PLAIN).partition("# Further parts")
    parts = [line.removeprefix("# ") for line in further.splitlines() if line.startswith("# ") and "{" in line]
    file = tmp_path / "station.yaml"
    file.write_text(text + "\n".join(parts), encoding="utf-8")
    assert len(parts) == 5
    assert read_config(file).evidence is not None
