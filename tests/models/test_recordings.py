"""The catalogue and its split, and stretches cut from recordings."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from seacanary.errors import SeaCanaryError
from seacanary_models.recordings import SPLIT_FILE, plain_stretch, read_catalogue, read_mono, varied_stretch

pytestmark = pytest.mark.torch
AUDIO = Path(os.environ.get("SEACANARY_AUDIO", Path(__file__).parents[2] / "../shared/data/audio"))


def folder_with(tmp_path: Path, rows: list[dict[str, str]]) -> tuple[Path, Path]:
    """A recordings folder and a split, one second of ramp per row."""
    for row in rows:
        soundfile.write(tmp_path / row["file"], np.linspace(-1, 1, 8000), 8000, subtype="FLOAT")
    files, split = tmp_path / "files.csv", tmp_path / "split.csv"
    with files.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("file", "sha256", "sample_rate_hz", "licence", "credit"))
        writer.writerows((row["file"], "00", "8000", "MIT", "somebody") for row in rows)
    with split.open("w", newline="") as out:
        head = "file part use use_s whistle_weight beluga_click_weight porpoise_click_weight group reason"
        table = csv.DictWriter(out, head.split())
        table.writeheader()
        table.writerows(
            {"use": "audio", "use_s": "", "reason": "a test"}
            | dict.fromkeys(("whistle_weight", "beluga_click_weight", "porpoise_click_weight"), "1")
            | row
            for row in rows
        )
    return tmp_path, split


def test_recordings_are_chosen_by_use_and_part(tmp_path: Path) -> None:
    folder, split = folder_with(
        tmp_path,
        [
            {"file": "a.wav", "part": "train", "group": "a", "whistle_weight": "0"},
            {"file": "b.wav", "part": "validation", "group": "b"},
        ],
    )
    catalogue = read_catalogue(folder, split=split)
    (only,) = catalogue.select(use="audio", part="train")
    assert (only.path.name, only.weights, only.credit) == ("a.wav", (0, 1, 1), "somebody")
    with pytest.raises(SeaCanaryError, match="'template', found 0"):
        catalogue.one("template")


def test_a_group_cannot_be_in_both_parts(tmp_path: Path) -> None:
    rows = [
        {"file": "a.wav", "part": "train", "group": "one stream"},
        {"file": "b.wav", "part": "validation", "group": "one stream"},
    ]
    folder, split = folder_with(tmp_path, rows)
    with pytest.raises(SeaCanaryError, match="one stream"):
        read_catalogue(folder, split=split)


def test_the_digest_tells_another_split_apart(tmp_path: Path) -> None:
    row = {"file": "a.wav", "part": "train", "group": "a"}
    folder, split = folder_with(tmp_path, [row])
    before = read_catalogue(folder, split=split).digest
    folder_with(tmp_path, [row | {"part": "validation"}])
    assert read_catalogue(folder, split=split).digest != before


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    folder, split = folder_with(tmp_path, [{"file": "a.wav", "part": "train", "group": "a"}])
    (folder / "a.wav").unlink()
    with pytest.raises(SeaCanaryError, match=r"a\.wav"):
        read_catalogue(folder, split=split)
    with pytest.raises(SeaCanaryError, match=r"files\.csv"):
        read_catalogue(tmp_path / "nowhere", split=split)


def test_a_looping_clip_is_read_once_around(tmp_path: Path) -> None:
    rows = [{"file": "a.wav", "part": "train", "group": "a", "use_s": "0.25"}]
    folder, split = folder_with(tmp_path, rows)
    samples, rate_hz = read_mono(read_catalogue(folder, split=split).recordings[0])
    assert (samples.size, rate_hz) == (2000, 8000)


def test_a_stretch_is_in_step_with_its_recording() -> None:
    rate_hz, to_rate_hz, start = 48_000, 384_000, 12_345
    time_s = np.arange(rate_hz) / rate_hz
    audio = np.sin(2 * np.pi * 1000 * time_s).astype(np.float32)
    stretch = plain_stretch(audio, rate_hz, start=start, to_rate_hz=to_rate_hz, samples=40_000)
    expected = np.sin(2 * np.pi * 1000 * (start / rate_hz + np.arange(40_000) / to_rate_hz))
    np.testing.assert_allclose(stretch[:39_000], expected[:39_000], atol=1e-3)


def test_what_a_short_recording_does_not_fill_is_zero() -> None:
    stretch = plain_stretch(np.ones(480, np.float32), 48_000, start=0, to_rate_hz=384_000, samples=10_000)
    assert stretch.size == 10_000
    assert not stretch[4_000:].any()


def test_varied_stretches_are_seeded_and_differ() -> None:
    audio = np.random.default_rng(0).normal(size=96_000).astype(np.float32)
    cut = [
        varied_stretch(np.random.default_rng(seed), audio, 48_000, to_rate_hz=96_000, samples=50_000)
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(cut[0], cut[1])
    assert not np.allclose(cut[0], cut[2])


def test_the_committed_split_keeps_streams_together_and_serves_both_parts() -> None:
    if not (AUDIO / "files.csv").exists():
        pytest.skip("no real recordings: set SEACANARY_AUDIO to their folder")
    catalogue = read_catalogue(AUDIO)
    with (AUDIO / "files.csv").open(newline="") as lines:
        listed = {row["file"] for row in csv.DictReader(lines)}
    assert {recording.path.name for recording in catalogue.recordings} == listed
    for part in ("train", "validation"):
        groups = {r.group for r in catalogue.select(use="audio", part=part)}
        assert len(groups) >= 6, part
    assert SPLIT_FILE.exists()
