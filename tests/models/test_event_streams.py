"""Streams read as events: columns of masks to seconds, and calls of the simulator to the same form."""

import numpy as np
import pytest

from seacanary.simulation import Rendered, SimulatedCall
from seacanary_models.classifier import ClassifierConfig, MaskGuidedClassifier
from seacanary_models.evaluation import Calibration
from seacanary_models.event_streams import StreamRecipe, call_events, evaluate_streams, heard_events

pytestmark = pytest.mark.torch
ENTER, LEAVE = np.full(3, 0.8), np.full(3, 0.5)
WHISTLE_ROW, PORPOISE_ROW = 40, 235


def masks(windows: int) -> np.ndarray:
    return np.zeros((windows, 256, 256), bool)


def test_a_call_over_three_windows_is_one_event() -> None:
    seen = masks(3)
    seen[0, WHISTLE_ROW, 200:] = seen[1, WHISTLE_ROW, 72:] = seen[2, WHISTLE_ROW, :160] = True
    heard = heard_events(np.full((3, 3), 0.9), seen, ENTER, LEAVE)
    assert heard["whistle"] == pytest.approx(np.array([[0.8, (256 + 160) * 0.004]]))
    assert heard["porpoise_click"].shape == (0, 2)


def test_a_mask_counts_only_where_the_call_type_is_said() -> None:
    seen = masks(2)
    seen[0, WHISTLE_ROW, 10:60] = seen[1, WHISTLE_ROW, 200:250] = True
    heard = heard_events(np.array([[0.9, 0, 0], [0.1, 0, 0]]), seen, ENTER, LEAVE)
    assert heard["whistle"] == pytest.approx(np.array([[0.04, 0.24]]))


def test_clicks_of_a_train_are_joined_and_speckle_is_dropped() -> None:
    seen = masks(1)
    seen[0, PORPOISE_ROW, [20, 80, 140]] = seen[0, PORPOISE_ROW, 250] = True
    assert heard_events(np.full((1, 3), 0.9), seen, ENTER, LEAVE)["porpoise_click"] == pytest.approx(
        np.array([[0.08, 0.564]])
    )
    seen[0, PORPOISE_ROW, [20, 80]] = False
    seen[0, WHISTLE_ROW] = False
    assert heard_events(np.full((1, 3), 0.9), seen, ENTER, LEAVE)["porpoise_click"].size == 0


def test_an_event_needs_one_window_over_enter_and_only_overlap_counts() -> None:
    seen = masks(4)
    seen[0, WHISTLE_ROW, 100:] = seen[1, WHISTLE_ROW, :100] = True  # columns 100 to 256 of the stream
    seen[3, WHISTLE_ROW, 200:250] = True  # columns 584 to 634
    said = np.full((4, 3), 0.6)
    assert heard_events(said, seen, ENTER, LEAVE)["whistle"].size == 0
    said[1] = 0.8
    assert heard_events(said, seen, ENTER, LEAVE)["whistle"] == pytest.approx(np.array([[0.4, 1.024]]))
    said[1], said[2] = 0.6, 0.8  # window 2 begins at column 256, where the first event ends
    assert heard_events(said, seen, ENTER, LEAVE)["whistle"].size == 0


def call(name: str, onset: int, offset: int) -> SimulatedCall:
    return SimulatedCall(name, "beluga", onset, offset, (1e3, 2e3), 10.0)


def test_true_calls_are_clipped_and_joined_like_heard_ones() -> None:
    rendered = Rendered(
        np.zeros(384_000, np.float32),
        {},
        (call("whistle", -1000, 38_400), call("whistle", 192_000, 576_000), call("beluga_click", 0, 100)),
        (),
    )
    events = call_events(rendered)
    assert events["whistle"] == pytest.approx(np.array([[0, 0.1], [0.5, 1.0]]))
    assert len(events["beluga_click"]) == 1


def test_a_model_that_says_nothing_hears_no_event() -> None:
    """An untrained model against thresholds nobody reaches, over a real simulated stream."""
    never = Calibration(temperature=(1.0,) * 3, enter=(1.0,) * 3, leave=(1.0,) * 3)
    recipe = StreamRecipe(streams=1, windows=6, bouts_per_min=60)
    told: list[str] = []
    figures = evaluate_streams(MaskGuidedClassifier(ClassifierConfig()).eval(), never, recipe, stage=told.append)
    assert sum(each.true_events for each in figures.call_types.values()) > 0
    assert all(each.heard_events == 0 and not each.collar.f1 for each in figures.call_types.values())
    assert figures.seconds == pytest.approx(3.584)
    assert told == ["listening to simulated stream 1 of 1"]
