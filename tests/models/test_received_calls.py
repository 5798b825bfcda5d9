"""Calls at a range: the sonar equation by hand."""

import numpy as np
import pytest

from seacanary.simulation import absorption_db_per_km
from seacanary_models.received_calls import EMISSIONS, RECORDER, received, windows_at_ranges

pytestmark = pytest.mark.torch


def level_db(name: str, range_m: float) -> float:
    return 20 * np.log10(received(name, 3, range_m=range_m).level()) + RECORDER.full_scale_db


def test_ten_times_the_range_costs_spreading_and_absorption() -> None:
    lost = level_db("porpoise_click", 20) - level_db("porpoise_click", 200)
    absorbed = float(absorption_db_per_km(np.array([132e3]))[0]) * 0.18
    assert lost == pytest.approx(20 + absorbed, abs=1.0)
    assert level_db("whistle", 100) - level_db("whistle", 1000) == pytest.approx(15, abs=0.8)


@pytest.mark.parametrize("name", EMISSIONS)
def test_at_one_metre_it_is_as_loud_as_the_animal(name: str) -> None:
    low, high = EMISSIONS[name].source_db
    of_peak = 0 if name == "whistle" else 6.02
    # echoes and the recorder's response may add or take some
    assert low - 4 <= level_db(name, 1.0) + of_peak <= high + 5


def test_the_same_animal_before_the_same_sea_grows_fainter() -> None:
    (near, near_db), (far, far_db) = windows_at_ranges("beluga_click", "high", (100.0, 1000.0), seed=5)
    assert near_db - far_db > 20
    again = next(windows_at_ranges("beluga_click", "high", (100.0,), seed=5))
    assert np.array_equal(near, again[0])
    quiet = np.abs(near - far) < 1e-7  # no click there: both are the sea alone
    assert quiet.mean() > 0.5
