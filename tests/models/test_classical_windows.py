"""Windows made ready for model and references alike."""

import numpy as np
import pytest

from seacanary.simulation import training_window
from seacanary_models.classical_windows import examined, together
from seacanary_models.click_trials import ORIGINS

pytestmark = pytest.mark.torch


def test_windows_keep_their_order_their_clicks_and_their_truth() -> None:
    porpoise = examined(training_window(0, call_types=["porpoise_click"], part="validation"))
    whistle = examined(training_window(1, call_types=["whistle"], part="validation"))
    both = together([porpoise, whistle])
    assert len(both) == 2
    assert both.whistle.tolist() == [False, True]
    np.testing.assert_array_equal(both.images[0], porpoise.images[0])
    assert both.images[0].std() > 5
    of_porpoise = both.trials.origin == ORIGINS.index("porpoise_click")
    assert of_porpoise.sum() > 3
    assert set(both.trials.window[of_porpoise]) == {0}
