"""The annotations commands: imports of every format into one catalogue, its summary, and refusals."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from seacanary.errors import SeaCanaryError
from seacanary_models.annotations_command import app
from seacanary_models.catalogue import load_catalogue

pytestmark = pytest.mark.torch
FOLDER = Path(__file__).parent / "data/annotations"
MAP = ("--labels", str(FOLDER / "label_map.yaml"))


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    folder = tmp_path / "audio"
    rng = np.random.default_rng(0)
    for name in ("bay/day1.wav", "bay/day2.wav", "cove/pod_20200817_011352.wav", "cove/pod_20200817_011402.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, rng.normal(0, 0.1, 32_000), 4000)
    return folder


def run(audio: Path, file: Path | str, format_: str, *more: str) -> Result:
    given = ["--format", format_, "--audio", str(audio), "--out", str(audio.parent / "c.csv")]
    terms = ["--annotator", "Ann", "--licence", "CC0-1.0", "--audio-licence", "MIT"]
    return CliRunner().invoke(app, ["import", str(FOLDER / file), *given, *terms, *more])


def refused(result: Result) -> str:
    assert isinstance(result.exception, SeaCanaryError), result.output
    return str(result.exception)


def test_every_format_ends_in_one_catalogue(audio: Path) -> None:
    runs = [
        run(audio, "two_files.Table.1.selections.txt", "raven", *MAP, "--keep-unmapped"),
        run(audio, "labels_audacity.txt", "audacity", *MAP, "--keep-unmapped", "--recording", "day1.wav"),
        run(audio, "Whistle_and_Moan_Detector.csv", "pamguard-csv", "--keep-unmapped"),
    ]
    assert [result.exit_code for result in runs] == [0, 0, 0]
    catalogue = load_catalogue(audio.parent / "c.csv")
    assert {entry.site for entry in catalogue.entries} == {"bay", "cove"}
    found = sorted((one.file, one.start_s, one.call_type or one.label or "") for one in catalogue.annotations)
    assert found == [
        ("bay/day1.wav", 0.25, "whistle"),
        ("bay/day1.wav", 1.0, "click"),
        ("bay/day1.wav", 1.5, "whistle"),
        ("bay/day1.wav", 2.5, ""),
        ("bay/day2.wav", 1.0, "porpoise_click"),
        ("bay/day2.wav", 2.0, ""),
        ("cove/pod_20200817_011352.wav", 0.25, "Whistle_and_Moan_Detector"),
        ("cove/pod_20200817_011402.wav", 1.5, "Whistle_and_Moan_Detector"),
    ]


def test_the_same_import_twice_changes_nothing(audio: Path) -> None:
    catalogue = audio.parent / "c.csv"
    run(audio, "two_files.Table.1.selections.txt", "raven", *MAP, "--keep-unmapped")
    digest = load_catalogue(catalogue).digest
    result = run(audio, "two_files.Table.1.selections.txt", "raven", *MAP, "--keep-unmapped")
    assert "3 annotations, 0 of them new" in " ".join(result.output.split())
    assert digest == load_catalogue(catalogue).digest
    assert len(load_catalogue(catalogue).annotations) == 3


def test_columns_units_and_completeness_are_taken_from_the_options(audio: Path) -> None:
    table = audio.parent / "t.csv"
    table.write_text("Sound,Begin,End,kHz,What\nday1.wav,1,2,2.5,whistle\n")
    pairs = ("file=Sound", "start_s=Begin", "end_s=End", "low_hz=kHz", "label=What", "frequency_unit=kHz")
    options = [word for pair in pairs for word in ("--column", pair)]
    assert run(audio, table, "csv", *options, "--complete", "whistle").exit_code == 0
    catalogue = load_catalogue(audio.parent / "c.csv")
    assert (catalogue.annotations[0].low_hz, catalogue.annotations[0].call_type) == (2500.0, "whistle")
    assert {entry.complete for entry in catalogue.entries} == {("whistle",)}


def test_a_table_named_after_its_recording_needs_no_option(audio: Path) -> None:
    table = audio.parent / "day2.Table.1.selections.txt"
    table.write_text("Selection\tBegin Time (s)\tEnd Time (s)\tAnnotation\n1\t1\t2\twhistle\n")
    assert run(audio, table, "raven").exit_code == 0
    assert load_catalogue(audio.parent / "c.csv").annotations[0].file == "bay/day2.wav"


def test_what_cannot_be_imported_is_refused_and_nothing_is_written(audio: Path) -> None:
    raven = "two_files.Table.1.selections.txt"
    assert "labels without a meaning: (no label) x 1" in refused(run(audio, raven, "raven", *MAP))
    assert "absent.csv cannot be read" in refused(run(audio, "absent.csv", "csv"))
    assert "names no recording" in refused(run(audio, "labels_audacity.txt", "audacity"))
    assert "no recording 'x.wav'" in refused(run(audio, "labels_audacity.txt", "audacity", "--recording", "x.wav"))
    assert "no column 'start_s'" in refused(run(audio, "kilohertz.csv", "csv"))
    assert "'length' cannot be" in refused(run(audio, "kilohertz.csv", "csv", "--column", "length=Length"))
    assert "form field=Header" in refused(run(audio, "kilohertz.csv", "csv", "--column", "Length"))
    assert "'song' is not a call type" in refused(
        run(audio, raven, "raven", *MAP, "--keep-unmapped", "--complete", "song")
    )
    assert "is not a folder" in refused(run(audio / "x", raven, "raven"))
    assert "which site" in refused(run(audio / "bay", raven, "raven"))
    assert not (audio.parent / "c.csv").exists()


def test_an_unknown_format_is_a_usage_error(audio: Path) -> None:
    assert run(audio, "kilohertz.csv", "word").exit_code == 2


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    assert "holds no recordings" in refused(run(tmp_path / "audio", "kilohertz.csv", "csv"))


def test_the_summary_counts_by_part(audio: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(audio, "two_files.Table.1.selections.txt", "raven", *MAP, "--keep-unmapped")
    monkeypatch.setattr("seacanary_models.annotations_command.console.width", 200)
    command = ["summary", str(audio.parent / "c.csv")]
    result = CliRunner().invoke(app, [*command, "--pin", "bay=test", "--pin", "cove=train"])
    rows = [line.replace("│", " ").split() for line in result.output.splitlines()]
    assert ["train", "real", "1", "2", "0.00", "0", "0", "0", "0", "0", "0"] in rows
    assert ["test", "real", "1", "2", "0.00", "1", "0", "1", "1", "0", "0"] in rows
    assert "MIT (4)" in result.output
    assert "form site=part" in refused(CliRunner().invoke(app, [*command, "--pin", "bay"]))
    assert "'tset' is not a part" in refused(CliRunner().invoke(app, [*command, "--pin", "bay=tset"]))
    absent = CliRunner().invoke(app, ["summary", str(audio / "no.csv")])
    assert "no.csv cannot be read" in refused(absent)
