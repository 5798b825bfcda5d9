"""CaptureHealth: ready while every live source is heard and analysed."""

import pytest

from seacanary.capture_health import SILENT_S, UNANSWERED_S, CaptureHealth
from seacanary.sources.supervised import SourceChange, SourceState


class Clock:
    """A monotonic clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def capture(clock: Clock, state: SourceState = "running", reason: str | None = None) -> CaptureHealth:
    health = CaptureHealth(monotonic_s=clock)
    health.listen_to(["0-alsa"])
    health.source_changed("0-alsa", SourceChange(state, reason))
    health.source_changed("1-files", SourceChange("opening"))
    return health


def test_a_source_that_was_never_opened_is_not_heard() -> None:
    health = CaptureHealth()
    health.listen_to(["0-alsa"])
    assert health.unready({}) == ("source 0-alsa is not open yet",)


@pytest.mark.parametrize("state", ["opening", "stalled", "lost", "unusable"])
def test_a_live_source_that_does_not_run_is_named_with_its_reason(state: SourceState) -> None:
    assert capture(Clock(), state, "no such device").unready({}) == (f"source 0-alsa is {state}: no such device",)


def test_recordings_may_wait_for_as_long_as_they_like() -> None:
    assert capture(Clock()).unready({}) == ()


def test_samples_that_stop_are_told() -> None:
    assert capture(Clock()).unready({"north": SILENT_S + 1}) == (
        f"hydrophone north has delivered no samples for {SILENT_S + 1:.0f} s",
    )


def test_samples_that_nobody_answers_for_are_told() -> None:
    clock = Clock()
    health = capture(clock)
    assert health.unready({"north": 0.1}) == ()
    clock.now_s = UNANSWERED_S + 1
    expected = f"no window of hydrophone north has been analysed for {UNANSWERED_S + 1:.0f} s"
    assert health.unready({"north": 0.1}) == (expected,)
    health.concluded("north")
    assert health.unready({"north": 0.1}) == ()


def test_details_name_every_source_and_hydrophone() -> None:
    details = capture(Clock(), "lost", "unplugged").details({"north": 2.04})
    assert details == {
        "sources": {
            "0-alsa": {"state": "lost", "live": True, "reason": "unplugged"},
            "1-files": {"state": "opening", "live": False, "reason": None},
        },
        "hydrophones": {"north": {"silent_s": 2.0, "unanswered_s": 0.0}},
    }


def test_before_the_first_window_is_analysed_all_stands_still() -> None:
    health = capture(Clock())
    assert health.standstill({"north": 0.1}) == ("no window has been analysed yet",)
    health.concluded("north")
    assert health.standstill({"north": 0.1}) == ()


def test_one_hydrophone_that_is_heard_is_no_standstill_and_none_is() -> None:
    clock = Clock()
    health = capture(clock, "stalled", "nothing comes")
    health.concluded("north")
    assert health.standstill({"north": 0.1, "south": SILENT_S + 1}) == ()
    assert health.standstill({"north": SILENT_S + 1, "south": SILENT_S + 1})[0] == (
        "source 0-alsa is stalled: nothing comes"
    )
    clock.now_s = UNANSWERED_S + 1
    assert health.standstill({"north": 0.1}) != ()


def test_where_nothing_live_is_left_nothing_stands_still() -> None:
    recordings = CaptureHealth()
    assert recordings.standstill({}) == ()
    assert capture(Clock(), "ended").standstill({"north": 900.0}) == ()
