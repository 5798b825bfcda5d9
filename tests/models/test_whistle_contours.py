"""The contour tracker on drawn images."""

import numpy as np
import pytest
from numpy.typing import NDArray

from seacanary_models.whistle_contours import COLUMN_S, contours, longest_contour_s

pytestmark = pytest.mark.torch


def sea() -> NDArray[np.float64]:
    """Level in dB over T's row floor, [256, 256]: noise as of averaged power."""
    return np.random.default_rng(5).normal(2, 2, (256, 256))


def as_image(level_db: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.round(np.clip((level_db + 5) / 50, 0, 1) * 255).astype(np.uint8)


def whistled(level_db: float, *, slope_rows: float, columns: range) -> NDArray[np.float64]:
    image = sea()
    for column in columns:
        row = round(30 + slope_rows * (column - columns.start))
        image[row - 1 : row + 2, column] = level_db - 6
        image[row, column] = level_db
    return image


@pytest.mark.parametrize("slope_rows", [0.0, 0.5, -0.2, 1.0])
def test_a_whistle_is_one_contour_of_its_length_and_band(slope_rows: float) -> None:
    columns = range(60, 130)
    longest = max(contours(as_image(whistled(22, slope_rows=slope_rows, columns=columns))), key=lambda c: c.duration_s)
    assert longest.duration_s == pytest.approx(70 * COLUMN_S, abs=5 * COLUMN_S)
    assert longest.first_column == pytest.approx(60, abs=4)
    ends_hz = sorted((30 * 187.5, (30 + slope_rows * 69) * 187.5))
    assert (longest.low_hz, longest.high_hz) == pytest.approx(ends_hz, abs=4 * 187.5)


def test_two_missing_columns_are_bridged_and_ten_are_not() -> None:
    lengths = []
    for gap in (2, 10):
        image = whistled(22, slope_rows=0, columns=range(60, 130))
        image[25:36, 90 : 90 + gap] = 0
        lengths.append(longest_contour_s(as_image(image)[None])[0])
    assert lengths[0] == pytest.approx(70 * COLUMN_S, abs=5 * COLUMN_S)
    assert lengths[1] < 45 * COLUMN_S


def test_noise_alone_gives_no_long_contour() -> None:
    assert longest_contour_s(as_image(sea())[None])[0] < 20 * COLUMN_S


def test_a_click_s_upright_line_is_no_contour() -> None:
    image = sea()
    image[:128, 100] += 25
    assert longest_contour_s(as_image(image)[None])[0] < 20 * COLUMN_S


def test_what_sounds_above_24_khz_is_not_a_whistle() -> None:
    image = np.zeros((256, 256))
    image[160, 40:200] = 30
    assert contours(as_image(image)) == []
