"""Reliability curves, their errors and their figure."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import image

from seacanary_models.calibration_curves import (
    calibration_error,
    draw_reliability,
    equal_count,
    equal_width,
    reliability_curve,
    worst_gap,
)
from seacanary_models.metrics import expected_calibration_error

pytestmark = pytest.mark.torch


def test_a_curve_worked_out_by_hand() -> None:
    probability = np.array([0.1, 0.3, 0.6, 0.8, 1.0])
    truth = np.array([False, True, True, True, False])
    low, high = reliability_curve(probability, truth, equal_width(2))
    assert (low.low, low.high, low.windows) == (0.0, 0.5, 2)
    assert (low.probability, low.frequency) == pytest.approx((0.2, 0.5))
    assert high.windows == 3
    assert high.frequency == pytest.approx(2 / 3)
    assert calibration_error([low, high]) == pytest.approx((2 * 0.3 + 3 * (0.8 - 2 / 3)) / 5)
    assert worst_gap([low, high]) == pytest.approx(0.3)


def test_the_interval_is_wilsons() -> None:
    (only,) = reliability_curve(np.full(10, 0.5), np.arange(10) < 2, equal_width(1))
    # 2 of 10: the textbook's 0.057 to 0.510.
    assert only.frequency_interval == pytest.approx((0.0567, 0.5098), abs=1e-4)


@given(pairs=st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=200))
def test_every_window_is_in_one_bin_of_either_kind(pairs: list[tuple[float, bool]]) -> None:
    probability, truth = np.array([p for p, _ in pairs]), np.array([t for _, t in pairs])
    for edges in (equal_width(10), equal_count(probability, 10)):
        curve = reliability_curve(probability, truth, edges)
        assert sum(each.windows for each in curve) == len(pairs)
        for each in curve:
            assert each.low - 1e-9 <= each.probability <= each.high + 1e-9
            assert each.frequency_interval[0] - 1e-9 <= each.frequency <= each.frequency_interval[1] + 1e-9


def test_with_bins_of_one_width_it_is_the_expected_calibration_error() -> None:
    rng = np.random.default_rng(0)
    probability, truth = rng.uniform(size=500), rng.uniform(size=500) < 0.4
    curve = reliability_curve(probability, truth, equal_width(15))
    assert calibration_error(curve) == pytest.approx(expected_calibration_error(probability, truth))


def test_bins_of_equal_count_share_the_windows_evenly_and_ties_stay_together() -> None:
    rng = np.random.default_rng(1)
    probability = rng.beta(0.2, 0.2, size=1000)
    curve = reliability_curve(probability, probability > 0.5, equal_count(probability, 10))
    assert [each.windows for each in curve] == pytest.approx([100] * 10, abs=1)
    tied = np.repeat([0.2, 0.7], [900, 100])
    assert [b.windows for b in reliability_curve(tied, tied > 0.5, equal_count(tied, 10))] == [900, 100]


def test_what_is_calibrated_has_a_small_error_and_what_is_sharpened_a_large_one() -> None:
    rng = np.random.default_rng(2)
    probability = rng.uniform(size=20_000)
    truth = rng.uniform(size=20_000) < probability
    sharpened = probability**3 / (probability**3 + (1 - probability) ** 3)
    for edges in (equal_width(15), equal_count(probability, 15)):
        assert calibration_error(reliability_curve(probability, truth, edges)) < 0.02
        assert calibration_error(reliability_curve(sharpened, truth, edges)) > 0.1


def test_the_figure_is_a_png_that_a_new_drawing_repeats(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    curves = {
        name: reliability_curve(p := rng.uniform(size=300), rng.uniform(size=300) < p, equal_width())
        for name in ("whistle", "beluga_click", "porpoise_click")
    }
    draw_reliability(curves, tmp_path / "first.png")
    draw_reliability(curves, tmp_path / "second.png")
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
    pixels = image.imread(tmp_path / "first.png")
    assert pixels.shape[1] > pixels.shape[0] > 400
    assert pixels[..., :3].std() > 0.05


def test_without_a_curve_there_is_nothing_to_draw(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no reliability curve"):
        draw_reliability({}, tmp_path / "none.png")
