"""The shared recordings in the one schema (skipped where they are not)."""

import os
from pathlib import Path

import pytest

from seacanary_models.annotated_windows import annotated_windows
from seacanary_models.catalogue_split import split
from seacanary_models.real_catalogue import read_labels, real_catalogue, real_split_rule
from seacanary_models.recordings import read_catalogue

AUDIO = Path(os.environ.get("SEACANARY_AUDIO", Path(__file__).parents[2] / "../shared/data/audio"))
pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(
        not (AUDIO / "labels.csv").exists(), reason="no real recordings: set SEACANARY_AUDIO to their folder"
    ),
]


def test_every_label_has_a_meaning_and_only_the_template_a_call() -> None:
    labels = read_labels(AUDIO)
    assert len(labels) == len((AUDIO / "labels.csv").read_text().splitlines()) - 1
    (click,) = [one for one in labels if one.call_type]
    assert (click.call_type, click.species, click.low_hz) == ("porpoise_click", "Phocoena phocoena", 120_000)
    assert {one.label for one in labels if one.meaning == "absent"} == {"ambient", "ambient_ice", "digital_silence"}


def test_the_parts_are_those_that_were_fixed() -> None:
    parts = split(real_catalogue(AUDIO), real_split_rule(AUDIO))
    by_file = {entry.file: parts[entry.id] for entry in real_catalogue(AUDIO).entries}
    fixed = {r.path.name: r.part for r in read_catalogue(AUDIO).recordings if r.use in ("audio", "template")}
    assert by_file == fixed


def test_orcas_are_no_sure_negatives_for_whistles_but_for_porpoises() -> None:
    catalogue = real_catalogue(AUDIO)
    (orca,) = [entry for entry in catalogue.entries if entry.site == "orca"]
    first = next(annotated_windows(catalogue, orca, folder=AUDIO))
    assert first.weights.tolist() == [0, 0, 1]
    assert not first.targets.any()
    assert orca.usable_s == 19.6
