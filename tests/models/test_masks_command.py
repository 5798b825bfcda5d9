"""The masks commands end to end: propose, export, import, keep; and a few-shot run."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from seacanary.errors import SeaCanaryError
from seacanary_models.mask_store import MaskStore
from seacanary_models.masks_command import app
from seacanary_models.proposal_files import read_proposals

pytestmark = pytest.mark.torch


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def proposals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("masks")
    rate_hz = 96_000
    time_s = np.arange(round(3.2 * rate_hz)) / rate_hz
    audio = np.random.default_rng(0).normal(0, 0.01, time_s.size)
    sweep = np.sin(2 * np.pi * (5_000 * time_s + 1_500 * time_s**2))
    audio += 0.05 * sweep * ((time_s > 1.3) & (time_s < 1.9))
    soundfile.write(folder / "whistle.wav", audio, rate_hz)
    run("propose", folder / "whistle.wav", "--out", folder / "p", "--scale", 2)
    return folder / "p"


def test_a_whistle_is_proposed_where_it_sounds(proposals: Path) -> None:
    found = [(p.source.first_sample, r) for p in read_proposals(proposals).values() for r in p.regions]
    first_sample, best = max(found, key=lambda pair: pair[1].score)
    assert best.label == "whistle"
    assert first_sample == round(1.024 * 96_000)
    assert best.onset_s == pytest.approx(1.3 - 1.024, abs=0.03)
    assert best.offset_s == pytest.approx(1.9 - 1.024, abs=0.03)
    assert best.band_hz == pytest.approx((8_900, 10_700), abs=750)


@pytest.mark.parametrize("format_", ["label-studio", "coco"])
def test_decisions_go_out_and_come_back(proposals: Path, tmp_path: Path, format_: str) -> None:
    store, again = tmp_path / "store.sqlite", tmp_path / "again.sqlite"
    out = tmp_path / "out.json"
    run("export", "--proposals", proposals, "--format", format_, "--out", out)
    document = json.loads(out.read_text())
    if format_ == "label-studio":  # what a person does by pressing Submit
        document = [{"data": t["data"], "annotations": t["predictions"]} for t in document]
        assert out.with_suffix(".xml").is_file()
    out.write_text(json.dumps(document))
    known = ("--proposals", proposals, "--format", format_)
    run("import", out, *known, "--annotator", "Ada", "--store", store)
    assert "0 of them new" in run("import", out, *known, "--annotator", "Ada", "--store", store).output

    back = tmp_path / "back.json"
    run("export", "--store", store, "--format", format_, "--out", back)
    run("import", back, *known, "--annotator", "Ada", "--store", again)
    with MaskStore(store) as first, MaskStore(again) as second:
        accepted, returned = first.newest("accepted"), second.newest("accepted")
        assert len(accepted) == len(returned) > 0
        for one, other in zip(accepted, returned, strict=True):
            assert first.mask_pngs(one) == second.mask_pngs(other)
            shown = read_proposals(proposals)[one.decision.proposal_id]
            assert one.decision.annotator == "Ada"
            assert one.decision.proposal_digest == shown.digest
            proposed = np.any([region.mask for region in shown.regions], axis=0)
            np.testing.assert_array_equal(np.any(list(first.masks(one).values()), axis=0), proposed)


def test_quiet_windows_are_written_on_demand(proposals: Path, tmp_path: Path) -> None:
    audio = proposals.parent / "whistle.wav"
    run("propose", audio, "--out", tmp_path, "--all", "--min-score", 0.99)
    assert len(read_proposals(tmp_path)) == 4
    assert not any(proposal.regions for proposal in read_proposals(tmp_path).values())


def test_mistakes_are_said(proposals: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    for arguments, words in (
        (("export", "--format", "coco", "--out", out), "either --proposals or --store"),
        (("export", "--format", "coco", "--out", out, "--store", tmp_path / "none"), "no store of masks"),
        (("propose", tmp_path / "none.wav", "--out", tmp_path), "none.wav cannot be read"),
        (("few-shot", tmp_path / "none.npz", "--out", out, "--sizes", "many"), "whole numbers"),
    ):
        with pytest.raises(SeaCanaryError, match=words):
            run(*arguments)
    out.write_text(json.dumps({"images": [{"id": 1, "file_name": "x.png"}], "annotations": [], "categories": []}))
    with pytest.raises(SeaCanaryError, match="no proposal 'x'"):
        run("import", out, "--format", "coco", "--annotator", "A", "--proposals", proposals, "--accept-empty",
            "--store", tmp_path / "s.sqlite")  # fmt: skip


def test_a_few_shot_run_writes_its_report_and_its_plot(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 100, (10, 256, 256), np.uint8)
    marks = np.zeros_like(image)
    marks[:, 50:60, 20:200] = 1
    image[marks > 0] += 100
    np.savez(tmp_path / "windows.npz", image=image, marks=marks)
    out = tmp_path / "few.json"
    shown = run("few-shot", tmp_path / "windows.npz", "--out", out, "--sizes", "4,2", "--steps", 2,
                "--held-out-windows", 3).output  # fmt: skip
    report = json.loads(out.read_text())
    assert [result["masks"] for result in report["results"]] == [2, 4]
    assert report["segmenter"] == "compact"
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert "IoU" in shown
