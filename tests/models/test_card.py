"""Sections of the card: each tells its figures, and is left out or says so where nothing was measured."""

import math

import numpy as np
import pytest

from seacanary_models.card_sections import (
    alarm_section,
    benchmark_sections,
    classical_section,
    event_section,
    headline_section,
    number,
    range_section,
)
from seacanary_models.joint_metrics import joint_figures

pytestmark = pytest.mark.torch
TRUTH = (np.arange(8)[:, None] >> np.arange(3) & 1) > 0


def text(sections: list[str]) -> str:
    return "\n".join(sections)


def test_what_was_not_measured_has_no_section_and_a_reason_in_the_headline() -> None:
    report = {"model_id": "m", "missing": {"mask_iou": "no window"}, "benchmark": math.nan}
    assert not [*benchmark_sections(report), *alarm_section(report), *classical_section(report)]
    assert not [*range_section(report), *event_section(report)]
    assert "| `mask_iou` | - | no window |" in text(headline_section(report))
    assert "| `joint_accuracy` | - | not measured |" in text(headline_section(report))


def test_the_headline_says_what_a_figure_was_measured_on() -> None:
    report = {"joint_accuracy": 0.91, "measured_on": {"joint_accuracy": "64 simulated windows"}}
    assert "| `joint_accuracy` | 0.91 | 64 simulated windows |" in text(headline_section(report))


def test_the_benchmark_gives_every_combination() -> None:
    joint = joint_figures(np.where(TRUTH, 0.9, 0.1), TRUTH, np.full(3, 0.5)).model_dump(mode="json")
    rows = {"whistle": [{"low": 3.0, "high": 6.0, "windows": 9, "recall": 0.5}]}
    benchmark = {"windows": 8, "joint": joint, "joint_transform_shift": joint, "recall_by_snr_db": rows}
    card = text(benchmark_sections({"benchmark": benchmark}))
    assert "simulated" in card
    assert "| whistle+porpoise_click | 1 | 1 | 1 | 1 |" in card
    assert "| whistle | 3 to 6 | 9 | 0.5 |" in card


def alarms(model_id: str) -> dict:
    kinds = {
        "rain": {"events_per_day": 0.0, "times_heard": 9, "heard_hours": 1.0},
        "sonar_ping": {"events_per_day": 2.0, "times_heard": 300, "heard_hours": 3.0},
    }
    return {
        "model_id": model_id, "hours": 24.0, "false_events": 2, "false_events_per_day": 2.0,
        "per_day_95": [0.24, 7.2], "by_kind": kinds,
    }  # fmt: skip


def test_the_worst_kind_of_noise_comes_first_and_another_models_day_is_named() -> None:
    own = text(alarm_section({"model_id": "m", "false_presence": alarms("m")}))
    assert own.index("sonar ping") < own.index("rain")
    assert "2 per day (95 % interval 0.24 to 7.2)" in own
    assert "another model" not in own
    assert "**another model**, n" in text(alarm_section({"model_id": "m", "false_presence": alarms("n")}))


def test_detectors_stand_side_by_side() -> None:
    judged = {"dprime": 3.5, "dprime_low": 3.2, "dprime_high": 3.9, "hit_rate": 0.9, "false_alarm_rate": 0.02}
    classical = {
        "checkpoint": "0123abcd",
        "clicks": {"rule": "equal error", "classifiers": {"model": {"test": judged}, "energy_ratio": {"test": judged}}},
        "whistles": {"model": judged, "contours": judged},
    }
    card = text(classical_section({"model_id": "seacanary-mgc-0123abcd", "classical": classical}))
    assert "M's outputs and T's image at the click" in card
    assert "other weights" not in card
    other = text(classical_section({"model_id": "seacanary-mgc-4567abcd", "classical": classical}))
    assert "**other weights**, 0123abcd" in other
    assert "| porpoise clicks: energy ratio | 3.5 | 3.2 to 3.9 | 0.9 | 0.02 |" in card
    assert "| whistles: contours |" in card


@pytest.mark.parametrize(
    ("half", "how", "told"), [(412.0, "within", "412"), (math.nan, "beyond", "beyond 800"), (None, "never", "nowhere")]
)
def test_ranges_beyond_the_points_or_nowhere_are_told_as_such(half: float | None, how: str, told: str) -> None:
    points = [{"range_m": 20.0, "windows": 30}, {"range_m": 800.0, "windows": 30}]
    curve = {"call_type": "porpoise_click", "noise": "low", "points": points, "half_recall_m": half, "half_recall": how}
    card = text(range_section({"detection_range": {"what": "simulated calls", "curves": [curve]}}))
    assert f"| porpoise_click | low | {told} | 30 |" in card


def test_events_state_their_tolerances() -> None:
    rule = {"collar_s": 0.2, "offset_share": 0.2, "detection_share": 0.5, "truth_share": 0.5}
    figures = {"true_events": 5, "heard_events": 4, "collar": {"f1": 0.5}, "intersection": {"f1": math.nan}}
    events = {"seconds": 180.0, "recipe": {"rule": rule}, "call_types": {"whistle": figures}}
    card = text(event_section({"events": events}))
    assert "180 s of simulated streams. Collar: 0.2 s, the offset also 20 % of the length." in card
    assert "| whistle | 5 | 4 | 0.5 | - |" in card


def test_numbers_have_three_digits() -> None:
    assert [number(value) for value in (0.12345, 12345.6, math.nan)] == ["0.123", "12346", "-"]
