"""Masks survive COCO's and Label Studio's run-length encodings bit for bit; their own libraries agree."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from seacanary.errors import SeaCanaryError
from seacanary_models.mask_rle import brush_rle, coco_rle, mask_of_brush_rle, mask_of_coco_rle

pytestmark = pytest.mark.torch
masks = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40))

RECTANGLE = np.zeros((8, 8), np.bool_)
RECTANGLE[2:5, 3:7] = True
# Written by @thi.ng/rle-pack 3.2.12 and, byte for byte the same, by label-studio-sdk 2.1.2 (mask2rle).
WHITE_BRUSH = [0, 0, 1, 0, 57, 27, 254, 75, 0, 191, 255, 124, 2, 255, 253, 240, 11, 255, 249, 140, 0]
# Written by @thi.ng/rle-pack 3.2.12 for a brush of colour (255, 0, 77): runs of unlike values.
COLOURED_BRUSH = (
    "0 0 1 0 57 27 254 75 0 11 252 1 54 31 240 64 19 97 255 4 1 54 31 240 128 19 127 239 128 5 254 0 155 15 248 "
    "32 9 176 255 130 0 155 15 248 64 9 191 247 192 2 255 0 77 135 252 16 4 216 127 193 0 77 135 252 32 4 223 252 "
    "198 0"
)
# Written by label-studio-sdk 2.1.2 (mask2rle) for the 2 x 3 mask below.
SMALL, SMALL_BRUSH = [[0, 1, 0], [0, 1, 1]], [0, 0, 0, 24, 57, 27, 252, 96, 17, 255, 206, 1, 63, 248]
PACKED_FOR_ANOTHER_SIZE = {"size": [2, 2], "counts": coco_rle(RECTANGLE, compressed=True)["counts"]}


def test_a_brush_mask_is_byte_for_byte_what_label_studio_writes() -> None:
    written = brush_rle(RECTANGLE)
    assert written == WHITE_BRUSH[: len(written)]
    assert not any(WHITE_BRUSH[len(written) :])  # its writer pads with a whole byte


@pytest.mark.parametrize("rle", [WHITE_BRUSH, [int(byte) for byte in COLOURED_BRUSH.split()]])
def test_brush_masks_of_label_studio_are_read(rle: list[int]) -> None:
    np.testing.assert_array_equal(mask_of_brush_rle(rle, height=8, width=8), RECTANGLE)


def test_a_brush_mask_of_unequal_sides_is_read() -> None:
    assert mask_of_brush_rle(SMALL_BRUSH, height=2, width=3).astype(int).tolist() == SMALL


@settings(max_examples=60, deadline=None)
@given(mask=masks)
def test_any_mask_survives_the_brush(mask: NDArray[np.bool_]) -> None:
    height, width = mask.shape
    np.testing.assert_array_equal(mask_of_brush_rle(brush_rle(mask), height=height, width=width), mask)


@pytest.mark.parametrize("fill", [True, False])
def test_a_run_longer_than_its_longest_size_is_split(fill: bool) -> None:
    mask = np.full((256, 256), fill)
    np.testing.assert_array_equal(mask_of_brush_rle(brush_rle(mask), height=256, width=256), mask)


@settings(max_examples=60, deadline=None)
@given(mask=masks, compressed=st.booleans())
def test_any_mask_survives_coco(mask: NDArray[np.bool_], compressed: bool) -> None:
    np.testing.assert_array_equal(mask_of_coco_rle(coco_rle(mask, compressed=compressed)), mask)


@settings(max_examples=40, deadline=None)
@given(mask=masks)
def test_uncompressed_counts_are_what_pycocotools_expects(mask: NDArray[np.bool_]) -> None:
    packed = coco_mask.frPyObjects(coco_rle(mask, compressed=False), *mask.shape)
    assert packed["counts"].decode() == coco_rle(mask, compressed=True)["counts"]


def test_counts_run_down_the_columns_and_begin_with_background() -> None:
    assert coco_rle(np.array(SMALL, np.bool_), compressed=False) == {"size": [2, 3], "counts": [2, 2, 1, 1]}
    assert coco_rle(np.ones((1, 2), np.bool_), compressed=False)["counts"] == [0, 2]


@pytest.mark.parametrize(
    "segmentation",
    [
        [[0, 0, 1, 1]],
        {"size": [2, 2], "counts": [1, 2]},
        {"size": [2, 2], "counts": [5, -1]},
        {"counts": "x"},
        None,
        PACKED_FOR_ANOTHER_SIZE,
    ],
)
def test_what_is_no_coco_mask_is_refused(segmentation: object) -> None:
    with pytest.raises(SeaCanaryError, match="COCO"):
        mask_of_coco_rle(segmentation)


@pytest.mark.parametrize("rle", [WHITE_BRUSH[:12], [300], [0, 0, 1, 0, 255, 27], [255] * 20, ["a"]])
def test_a_damaged_brush_mask_is_refused(rle: list[int]) -> None:
    with pytest.raises(SeaCanaryError, match="brush mask"):
        mask_of_brush_rle(rle, height=8, width=8)


def test_a_brush_mask_of_another_size_is_refused() -> None:
    with pytest.raises(SeaCanaryError, match="9 x 8"):
        mask_of_brush_rle(WHITE_BRUSH, height=8, width=9)
