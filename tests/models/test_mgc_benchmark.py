"""The benchmark's windows: what they promise, and that a stated hash is kept."""

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from seacanary_models.mgc_benchmark import (
    HELD_OUT,
    MIXES,
    SIZES,
    BenchmarkPart,
    BenchmarkWindows,
    WindowMaker,
    benchmark_window,
    combination_of,
    digest,
    load_part,
    names_of,
    specification,
)

pytestmark = pytest.mark.torch
STATED = json.loads((Path(__file__).parents[2] / "benchmarks/mgc/benchmark.json").read_text())


def test_what_is_stated_is_what_is_made() -> None:
    assert json.loads(json.dumps(specification())).items() <= STATED.items()
    assert STATED["sizes"]["test"] >= 4000


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_window_comes_out_as_stated(part: BenchmarkPart) -> None:
    samples = benchmark_window(part, 1).samples
    assert sha256(samples.tobytes()).hexdigest() == STATED["first_window_samples_sha256"][part]


def test_the_eight_combinations_come_equally_often() -> None:
    for size in SIZES.values():
        counts = np.bincount([combination_of(index) for index in range(size)], minlength=8)
        assert counts.max() == counts.min()
    assert names_of(0b101) == ("whistle", "porpoise_click")


def test_a_window_holds_exactly_its_combination_within_the_stated_levels() -> None:
    for index in range(8):
        window = benchmark_window("validation", index)
        assert set(window.stems) == set(names_of(combination_of(index)))
        for call in window.calls:
            low, high = (3.0, 25.0) if call.call_type == "whistle" else (10.0, 35.0)
            assert low <= call.snr_db <= high


def test_parts_share_no_hard_negative_that_is_held_out() -> None:
    for part in ("train", "validation", "test", "unseen_recorder"):
        assert MIXES[part].without >= HELD_OUT
    assert not MIXES["unseen_noise"].without & HELD_OUT
    heard = {kind for index in range(12) for kind in benchmark_window("unseen_noise", index).negatives}
    assert heard & HELD_OUT


def test_a_row_marks_the_calls_it_holds_and_no_others() -> None:
    maker = WindowMaker()
    row = maker.make("train", 7)
    marks = np.asarray(row["marks"])
    assert row["combination"] == 7
    assert np.isfinite(row["snr_db"]).all()
    assert [bool((marks >> k & 1).any()) for k in range(3)] == [True, True, True]
    assert not np.asarray(maker.make("train", 8)["marks"]).any()
    assert not np.array_equal(row["image"], row["other_image"])


def test_part_real_needs_recordings() -> None:
    with pytest.raises(ValueError, match="real recordings"):
        WindowMaker().make("real", 1)
    with pytest.raises(ValueError, match="made from recordings"):
        benchmark_window("real", 1)


def test_a_part_is_read_back_as_it_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIZES, "validation", 6)
    rng = np.random.default_rng(0)
    columns = {
        "image": rng.integers(0, 255, (8, 4, 4), dtype=np.uint8),
        "other_image": rng.integers(0, 255, (8, 4, 4), dtype=np.uint8),
        "marks": np.zeros((8, 4, 4), np.uint8),
        "combination": np.arange(8),
        "snr_db": np.zeros((8, 3), np.float32),
        "negatives": np.array(["", "bat", "", "", "chain,bat", "", "", ""]),
    }
    folder = tmp_path / "mgc-validation"
    folder.mkdir()
    np.savez(folder / "shard-00000.npz", **columns)
    windows = load_part("validation", cache=tmp_path)
    assert len(windows) == 6
    assert windows.targets[5].tolist() == [1, 0, 1]
    whole = BenchmarkWindows(**columns)
    assert digest(windows) != digest(whole)
    assert digest(whole) == digest(BenchmarkWindows(**columns))
