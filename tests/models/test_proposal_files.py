"""Proposals on disk say the same as those in memory, and name the window and not the day."""

import json
from pathlib import Path

import numpy as np
import pytest

from seacanary.errors import SeaCanaryError
from seacanary_models.mask_canvas import image_of_png
from seacanary_models.mask_proposals import Region, marks_of
from seacanary_models.mask_windows import Source, SourceWindow
from seacanary_models.proposal_files import proposal_of, read_picture, read_proposals, window_id, write_proposal

pytestmark = pytest.mark.torch


def region(label: str, rows: slice, columns: slice, score: float = 0.5) -> Region:
    mask = np.zeros((256, 256), np.bool_)
    mask[rows, columns] = True
    return Region(mask, score, (1_000.0, 2_000.0), 0.1, 0.2, label)


def window(first_sample: int = 0, file: str = "Böje 7 (Süd).wav") -> SourceWindow:
    image = np.random.default_rng(first_sample).integers(0, 256, (256, 256), np.uint8)
    source = Source(
        file=file, sha256="ab" * 32, sample_rate_hz=48_000, channel=None, first_sample=first_sample, end_sample=10**6
    )
    return SourceWindow(source, image)


REGIONS = [region("whistle", slice(10, 14), slice(20, 90)), region("unknown", slice(130, 131), slice(0, 9), 0.25)]


@pytest.mark.parametrize("scale", [1, 4])
def test_what_is_written_is_read_back_exactly(tmp_path: Path, scale: int) -> None:
    given = window()
    written = write_proposal(tmp_path, given, REGIONS, scale=scale)
    (read,) = read_proposals(tmp_path).values()
    assert read == written
    assert read.digest == written.digest
    for proposed, original in zip(read.regions, REGIONS, strict=True):
        np.testing.assert_array_equal(proposed.mask, original.mask)
    np.testing.assert_array_equal(image_of_png(read_picture(tmp_path, read.id)), given.image)
    marks = image_of_png((tmp_path / f"{read.id}.marks.png").read_bytes())
    np.testing.assert_array_equal(marks, marks_of(REGIONS))


def test_the_document_states_the_canvas(tmp_path: Path) -> None:
    written = write_proposal(tmp_path, window(), REGIONS, scale=3)
    document = json.loads((tmp_path / f"{written.id}.json").read_text())
    assert document["canvas_scale"] == 3
    assert document["regions"][0]["segmentation"]["size"] == [768, 768]
    assert document["column_s"] == pytest.approx(0.004)
    assert document["row_step_hz"] == [187.5, 1000.0]


def test_an_id_names_the_window_and_not_what_is_proposed() -> None:
    assert proposal_of(window(), REGIONS, scale=1).id == proposal_of(window(), [], scale=4).id
    assert proposal_of(window(), REGIONS, scale=1).digest != proposal_of(window(), [], scale=1).digest
    assert window_id(window(0).source) != window_id(window(1).source)
    assert window_id(window(5, file="../../a b.wav").source).startswith("a_b-0000000005-")


def test_folders_without_sound_proposals_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SeaCanaryError, match="masks propose"):
        read_proposals(tmp_path)
    with pytest.raises(SeaCanaryError, match=r"a\.png"):
        read_picture(tmp_path, "a")
    (tmp_path / "a.json").write_text('{"version": 1}')
    with pytest.raises(SeaCanaryError, match=r"a\.json is no proposal"):
        read_proposals(tmp_path)
