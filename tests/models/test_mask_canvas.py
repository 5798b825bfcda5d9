"""The canvas shows low frequencies at the bottom, and gives back exactly what was put on it."""

import io

import numpy as np
import pytest
from PIL import Image

from seacanary.errors import SeaCanaryError
from seacanary_models.mask_canvas import from_canvas, image_of_png, label_colour, marks_png, picture_png, to_canvas

pytestmark = pytest.mark.torch
rng = np.random.default_rng(0)


def test_the_lowest_frequency_is_at_the_bottom_and_time_runs_to_the_right() -> None:
    image = np.zeros((256, 256), np.uint8)
    image[0, 10] = 200  # lowest row, early
    shown = np.asarray(Image.open(io.BytesIO(picture_png(image, scale=3))))
    rows, columns = np.nonzero(shown)
    assert shown.shape == (768, 768)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (765, 767, 30, 32)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_pictures_and_marks_come_back_exactly(scale: int) -> None:
    image = rng.integers(0, 256, (256, 256), np.uint8)
    marks = rng.integers(0, 16, (256, 256), np.uint8)
    np.testing.assert_array_equal(image_of_png(picture_png(image, scale=scale)), image)
    np.testing.assert_array_equal(image_of_png(marks_png(marks, scale=scale)), marks)
    np.testing.assert_array_equal(from_canvas(to_canvas(marks > 7, scale=scale)), marks > 7)


def test_a_pixel_is_marked_when_half_of_it_is_painted() -> None:
    painted = np.zeros((512, 512), np.bool_)
    painted[510, :2] = True  # two of the four canvas pixels of the bottom left pixel
    painted[0, -1] = True  # one of four at the top right
    mask = from_canvas(painted)
    assert mask[0, 0]
    assert mask.sum() == 1


def test_labels_are_told_apart_by_colour() -> None:
    shown = Image.open(io.BytesIO(marks_png(np.full((256, 256), 2, np.uint8), scale=1))).convert("RGB")
    assert "#{:02x}{:02x}{:02x}".format(*shown.getpixel((0, 0))) == label_colour(1)
    assert len({label_colour(bit) for bit in range(4)}) == 4


def test_what_is_no_canvas_is_refused() -> None:
    with pytest.raises(ValueError, match="256 x 256"):
        to_canvas(np.zeros((10, 256), np.bool_), scale=1)
    with pytest.raises(SeaCanaryError, match="300 x 256"):
        from_canvas(np.zeros((256, 300), np.bool_))
    with pytest.raises(SeaCanaryError, match="not a PNG"):
        image_of_png(b"GIF89a")
    colour = io.BytesIO()
    Image.new("RGB", (256, 256)).save(colour, "PNG")
    with pytest.raises(SeaCanaryError, match="one byte a pixel"):
        image_of_png(colour.getvalue())
