"""The catalogue: what it refuses, finding files, describing audio, and its two CSV files."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile

from seacanary.errors import SeaCanaryError
from seacanary_models.annotations import Annotation
from seacanary_models.catalogue import (
    Catalogue,
    CatalogueEntry,
    annotations_path,
    describe,
    find_file,
    load_catalogue,
    make_catalogue,
    start_in_name,
    write_catalogue,
)

pytestmark = pytest.mark.torch


def entry(file: str, **fields: object) -> CatalogueEntry:
    least: dict[str, object] = {
        "id": file,
        "file": file,
        "sha256": hashlib.sha256(file.encode()).hexdigest(),
        "sample_rate_hz": 48_000,
        "duration_s": 10.0,
        "site": "bay",
        "licence": "CC0-1.0",
        "simulated": False,
    }
    return CatalogueEntry.model_validate({**least, **fields})


def said(file: str, start_s: float = 1.0, end_s: float = 2.0, **fields: object) -> Annotation:
    least = {"file": file, "start_s": start_s, "end_s": end_s, "annotator": "Ann", "licence": "CC0-1.0"}
    return Annotation.model_validate({**least, **fields})


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ([entry("a"), entry("b", id="a")], "2 recordings have the id 'a'"),
        ([entry("a"), entry("a", id="b")], "2 recordings have the file 'a'"),
        ([entry("a", group="loop"), entry("b", group="loop", site="cove")], "share their group; give them one site"),
        ([entry("a", sha256="0" * 64), entry("b", sha256="0" * 64, site="cove")], "share their content"),
    ],
)
def test_recordings_that_contradict_each_other_are_refused(entries: list[CatalogueEntry], complaint: str) -> None:
    with pytest.raises(SeaCanaryError, match=complaint):
        make_catalogue(entries)


def test_an_annotation_after_the_recordings_end_is_refused() -> None:
    with pytest.raises(SeaCanaryError, match="begins at 12 s, but the recording ends at 10 s"):
        make_catalogue([entry("a.wav")], [said("a.wav", 12.0, 13.0)])


def test_a_simulated_recording_says_what_made_it() -> None:
    assert entry("a", simulated=True, recipe="quiet", seed=3).seed == 3
    for fields in ({"simulated": True}, {"recipe": "quiet"}, {"seed": 3}, {"simulated": True, "seed": 3}):
        with pytest.raises(ValueError, match="recipe and seed"):
            entry("a", **fields)


def test_annotations_find_their_file_by_bare_name() -> None:
    catalogue = make_catalogue([entry("bay/A.WAV"), entry("bay/b.wav")], [said("C:\\rec\\a.wav"), said("bay/b.wav")])
    assert [one.file for one in catalogue.annotations] == ["bay/A.WAV", "bay/b.wav"]


def test_a_name_that_is_unknown_or_ambiguous_is_refused() -> None:
    files = ["bay/a.wav", "cove/a.wav"]
    assert find_file(files, "cove/a.wav") == "cove/a.wav"
    with pytest.raises(SeaCanaryError, match=r"'a\.wav' may be any of bay/a\.wav, cove/a\.wav"):
        find_file(files, "a.wav")
    with pytest.raises(SeaCanaryError, match=r"no recording 'x\.wav' among the 2"):
        find_file(files, "x.wav")


def full_catalogue() -> Catalogue:
    begin = datetime(2020, 8, 17, 1, 13, 52, 250_000, tzinfo=UTC)
    entries = [
        entry("bay/ü, 1.wav", start=begin, use_s=1 / 3, group="loop", credit='"Ann"', complete=("whistle",)),
        entry("s.wav", simulated=True, recipe="quiet", seed=0, complete=("whistle", "porpoise_click"), site="sea 0"),
    ]
    return make_catalogue(entries, [said("ü, 1.wav", 0.1, 0.2, notes="a; b", low_hz=0.1), said("s.wav")])


def test_a_catalogue_reads_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "catalogue.csv"
    write_catalogue(full_catalogue(), path)
    assert load_catalogue(path) == full_catalogue()
    assert {p.name for p in path.parent.iterdir()} == {"catalogue.csv", "catalogue.annotations.csv"}


def test_a_damaged_catalogue_is_reported_with_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    write_catalogue(full_catalogue(), path)
    whole = path.read_text()
    path.write_text(whole.replace("48000", "fast", 1))
    with pytest.raises(SeaCanaryError, match=r"c\.csv, line 2, column 'sample_rate_hz'"):
        load_catalogue(path)
    path.write_text(whole.replace("whistle porpoise_click", "song"))
    with pytest.raises(SeaCanaryError, match=r"line 3, column 'complete'.*call types are whistle"):
        load_catalogue(path)
    path.write_text(whole)
    annotations_path(path).write_text("file,start_s,end_s\ns.wav,1,2\n")
    with pytest.raises(SeaCanaryError, match=r"c\.annotations\.csv, line 2, annotator"):
        load_catalogue(path)


def test_the_digest_knows_every_word_but_no_order() -> None:
    one = full_catalogue()
    turned = Catalogue(entries=one.entries[::-1], annotations=one.annotations[::-1])
    changed = make_catalogue(one.entries, [*one.annotations[:1], said("s.wav", confidence=0.9)])
    assert one.digest == turned.digest != changed.digest


def test_annotations_of_a_recording_come_by_start() -> None:
    catalogue = make_catalogue([entry("a"), entry("b")], [said("a", 5.0, 6.0), said("b"), said("a", 1.0, 9.0)])
    assert [one.start_s for one in catalogue.annotations_of(catalogue.entries[0])] == [1.0, 5.0]


def test_a_file_describes_itself(tmp_path: Path) -> None:
    path = tmp_path / "bay" / "pod_20200817_011352.250.wav"
    path.parent.mkdir()
    soundfile.write(path, np.zeros(9600), 96_000)
    found = describe(path, folder=tmp_path, licence="MIT")
    assert (found.file, found.site) == ("bay/pod_20200817_011352.250.wav", "bay")
    assert (found.sample_rate_hz, found.duration_s) == (96_000, 0.1)
    assert found.start == datetime(2020, 8, 17, 1, 13, 52, 250_000, tzinfo=UTC)
    assert found.id.startswith("pod_20200817_011352.250-")
    assert describe(path, folder=path.parent, licence="MIT", site="cove").site == "cove"


def test_a_file_that_cannot_be_described_is_refused(tmp_path: Path) -> None:
    for name, samples in (("text.wav", None), ("empty.wav", np.zeros(0))):
        path = tmp_path / name
        path.write_text("no audio") if samples is None else soundfile.write(path, samples, 8000)
        with pytest.raises(SeaCanaryError, match=rf"{name}: which site"):
            describe(path, folder=tmp_path, licence="MIT")
    with pytest.raises(SeaCanaryError, match=r"text\.wav cannot be read as audio"):
        describe(tmp_path / "text.wav", folder=tmp_path, licence="MIT", site="bay")
    with pytest.raises(SeaCanaryError, match=r"empty\.wav holds no samples"):
        describe(tmp_path / "empty.wav", folder=tmp_path, licence="MIT", site="bay")


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("20200817_011352", datetime(2020, 8, 17, 1, 13, 52, tzinfo=UTC)),
        ("PAM_20200817T011352", datetime(2020, 8, 17, 1, 13, 52, tzinfo=UTC)),
        ("20201399_011352", None),
        ("120200817_0113525", None),
        ("calls", None),
    ],
)
def test_a_start_is_read_from_the_name_or_not_at_all(stem: str, expected: datetime | None) -> None:
    assert start_in_name(stem) == expected
