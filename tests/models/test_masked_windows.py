"""Windows with masks are read from wherever they lie, split by a seed, and doubled by flipping."""

from pathlib import Path

import numpy as np
import pytest

from seacanary.errors import SeaCanaryError
from seacanary_models.masked_windows import (
    MaskedWindows,
    digest_of,
    doubled,
    masked_windows,
    read_masked_windows,
    split_windows,
    teachers,
)

pytestmark = pytest.mark.torch


def windows(count: int, *, with_call: int) -> MaskedWindows:
    """Windows that name themselves by their level."""
    image = np.zeros((count, 256, 256), np.uint8) + np.arange(count, dtype=np.uint8)[:, None, None]
    call = np.zeros(image.shape, np.bool_)
    call[:with_call, 5, 10:20] = True
    return MaskedWindows(image, call)


def names(chosen: MaskedWindows) -> list[int]:
    return [int(level) for level in chosen.image[:, 0, 0]]


def test_a_file_and_a_folder_of_shards_hold_the_same(tmp_path: Path) -> None:
    marks = np.zeros((4, 256, 256), np.uint8)
    marks[1, 0, 0], marks[2, 0, 0] = 0b100, 0b1000  # a porpoise click; what nobody could name
    image = windows(4, with_call=0).image
    np.savez(tmp_path / "all.npz", image=image, marks=marks)
    (tmp_path / "shards").mkdir()
    for number in range(2):
        part = slice(2 * number, 2 * number + 2)
        np.savez(tmp_path / "shards" / f"shard-{number}.npz", image=image[part], marks=marks[part], kind=np.zeros(2))
    whole, joined = read_masked_windows(tmp_path / "all.npz"), read_masked_windows(tmp_path / "shards")
    assert digest_of(whole) == digest_of(joined)
    assert whole.call.any(axis=(1, 2)).tolist() == [False, True, False, False]


def test_what_holds_no_windows_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", picture=np.zeros(3))
    for path in (tmp_path / "other.npz", tmp_path / "none.npz", tmp_path / "empty"):
        with pytest.raises(SeaCanaryError, match=path.name):
            read_masked_windows(path)


def test_learning_and_measuring_share_no_window() -> None:
    learn, held_out = split_windows(windows(40, with_call=30), masks=10, held_out=12, seed=3)
    assert learn.call.any(axis=(1, 2)).all()
    assert (len(learn.image), len(held_out.image)) == (10, 12)
    assert not set(names(learn)) & set(names(held_out))
    again, _ = split_windows(windows(40, with_call=30), masks=10, held_out=12, seed=3)
    other, _ = split_windows(windows(40, with_call=30), masks=10, held_out=12, seed=4)
    assert names(learn) == names(again) != names(other)


def test_fewer_masks_are_among_the_more() -> None:
    few, more = (teachers(windows(40, with_call=30), masks=masks, seed=1) for masks in (5, 20))
    assert names(few) == names(more)[:5]


def test_too_few_masks_are_said() -> None:
    with pytest.raises(SeaCanaryError, match="31 masks are asked for, but 30"):
        teachers(windows(40, with_call=30), masks=31, seed=1)


def test_flipping_doubles_images_and_masks_alike() -> None:
    rng = np.random.default_rng(0)
    given = masked_windows(rng.integers(0, 256, (3, 256, 256), np.uint8), rng.integers(0, 8, (3, 256, 256), np.uint8))
    both = doubled(given)
    np.testing.assert_array_equal(both.image[:3], given.image)
    np.testing.assert_array_equal(both.image[3:, :, ::-1], given.image)
    np.testing.assert_array_equal(both.call[3:, :, ::-1], given.call)
