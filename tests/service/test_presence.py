"""Presence: the state machine, its refinement to 4 ms, and the properties every stream must keep."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seacanary.contract import CallType, ImageRows, ModelContract, Transform
from seacanary.errors import ConfigError
from seacanary.events import EndReason, PresenceEvent
from seacanary.observations import CallSpan, Detection, Unobserved
from seacanary.presence import PresenceTracker, trackers_for
from seacanary.presence_rules import PresenceRule, PresenceSection, Thresholds
from seacanary.presence_state import TrackerState

RATE_HZ, WINDOW, HOP = 1000, 1000, 500
# A busy machine must not fail a test.
UNHURRIED = settings(deadline=None)
EPOCH = datetime(2026, 5, 1, 12, tzinfo=UTC)
RULE = PresenceRule(k=2, n=4, hold_s=5.0, update_s=20.0, certain=0.95)
THRESHOLDS = {"whistle": Thresholds(enter=0.7, leave=0.4), "beluga_click": Thresholds(enter=0.8, leave=0.5)}


def tracker(rule: PresenceRule = RULE) -> PresenceTracker:
    return PresenceTracker("station", "north", species="beluga", thresholds=THRESHOLDS, rule=rule)


def window(
    index: int,
    whistle: float | None,
    *,
    click: float | None = None,
    spans: tuple[CallSpan, ...] = (),
    epoch: datetime = EPOCH,
    rate_hz: int = RATE_HZ,
) -> Detection:
    """Window number `index` of a gapless stream: 1 s long, 0.5 s apart."""
    first = index * rate_hz // 2
    heard = {name: p for name, p in (("whistle", whistle), ("beluga_click", click)) if p is not None}
    return Detection(
        hydrophone="north",
        epoch=epoch,
        first_sample=first,
        end_sample=first + rate_hz,
        sample_rate_hz=rate_hz,
        start=epoch + timedelta(seconds=first / rate_hz),
        probability=heard,
        unobserved=frozenset({"whistle", "beluga_click"} - heard.keys()),
        spans=spans,
        mask=None,
        model_id="m1",
        source_file="a.wav",
    )


def lost(first_index: int, end_index: int, *, epoch: datetime = EPOCH) -> Unobserved:
    first, end = first_index * HOP, end_index * HOP
    start = epoch + timedelta(seconds=first / RATE_HZ)
    return Unobserved("north", epoch, first, end, RATE_HZ, start, "lost")


def feed(following: PresenceTracker, steps: Iterable[Detection | Unobserved]) -> list[PresenceEvent]:
    told: list[PresenceEvent] = []
    for step in steps:
        told += following.observe(step) if isinstance(step, Detection) else following.lose(step)
    return told


def windows(*probabilities: float, start: int = 0) -> list[Detection]:
    return [window(start + index, p) for index, p in enumerate(probabilities)]


def outline(told: Sequence[PresenceEvent]) -> list[tuple[str, EndReason | None]]:
    return [(event.kind, event.reason) for event in told]


# --- the state machine -------------------------------------------------------


def test_k_of_n_windows_over_enter_start_a_presence_at_once() -> None:
    following = tracker()
    assert feed(following, windows(0.1, 0.8, 0.1)) == []
    assert following.phase == "candidate"
    [started] = feed(following, [window(3, 0.75)])
    assert started.kind == "started"
    assert (started.onset_sample, started.offset_sample) == (500, 2500)
    assert (started.windows_seen, started.windows_positive) == (3, 2)
    assert started.peak_probability == 0.8
    assert started.mean_probability == pytest.approx(0.775)
    assert started.coverage == 1.0
    assert started.onset == EPOCH + timedelta(seconds=0.5)
    assert following.phase == "present"


def test_a_candidate_that_is_not_confirmed_is_forgotten() -> None:
    following = tracker()
    assert feed(following, windows(0.8, 0.1, 0.1, 0.1, 0.8)) == []
    [started] = feed(following, [window(5, 0.8)])
    assert started.onset_sample == 4 * HOP


def test_between_leave_and_enter_a_presence_stays_and_does_not_start() -> None:
    assert feed(tracker(), windows(*[0.6] * 20)) == []
    following = tracker()
    told = feed(following, windows(0.8, 0.8, *[0.5] * 30))
    assert outline(told) == [("started", None)]
    assert following.phase == "present"


def test_a_presence_fades_and_returns_without_a_new_event() -> None:
    following = tracker()
    feed(following, windows(0.8, 0.8, 0.1))
    assert following.phase == "fading"
    assert feed(following, [window(3, 0.5)]) == []
    assert following.phase == "present"


def test_quiet_ends_a_presence_only_after_the_hold() -> None:
    following = tracker()
    told = feed(following, windows(0.8, 0.8, *[0.0] * 9))
    assert outline(told) == [("started", None)]
    [ended] = feed(following, [window(11, 0.0)])
    assert (ended.kind, ended.reason, ended.revision) == ("ended", "quiet", 1)
    assert ended.offset_sample == 1500
    assert ended.offset == EPOCH + timedelta(seconds=1.5)
    assert (ended.windows_seen, ended.windows_positive) == (12, 2)
    assert following.phase == "absent"


def test_one_window_is_enough_when_it_is_certain() -> None:
    [started] = feed(tracker(), windows(0.96))
    assert started.kind == "started"
    assert feed(tracker(RULE.model_copy(update={"certain": None})), windows(0.99)) == []


def test_at_the_end_of_the_stream_a_presence_ends_and_a_candidate_is_dropped() -> None:
    following = tracker()
    feed(following, windows(0.8))
    assert following.close("stream_ended") == []
    assert following.phase == "absent"
    following = tracker()
    feed(following, windows(0.8, 0.8))
    assert outline(following.close("station_stopped")) == [("ended", "station_stopped")]
    assert following.close("station_stopped") == []


def test_updates_come_at_a_fixed_interval_of_stream_time() -> None:
    told = feed(tracker(), windows(*[0.8] * 130))
    assert outline(told) == [("started", None)] + [("updated", None)] * 3
    # Started at the end of window 1 (sample 1500), then each 20 s.
    assert [event.offset_sample for event in told] == [1500, 21500, 41500, 61500]
    assert [event.revision for event in told] == [0, 1, 2, 3]


def test_updates_missed_in_a_gap_are_not_made_up_for() -> None:
    following = tracker(RULE.model_copy(update={"hold_s": 1000.0}))
    feed(following, windows(0.8, 0.8))
    told = feed(following, [lost(3, 203), *windows(*[0.8] * 40, start=203)])
    assert outline(told) == [("updated", None), ("updated", None)]


# --- call types and refinement -----------------------------------------------


def test_each_call_type_has_its_own_thresholds() -> None:
    assert feed(tracker(), [window(i, 0.1, click=0.75) for i in range(8)]) == []
    [started] = feed(tracker(), [window(i, 0.72, click=0.75) for i in range(3)])
    assert started.call_types == ("whistle",)
    assert started.peak_probability == 0.72


def test_onset_and_offset_are_those_of_the_mask_of_the_call_types_heard() -> None:
    spans = (
        CallSpan("whistle", 600, 640, (4000.0, 6000.0)),
        CallSpan("beluga_click", 510, 900, (30e3, 90e3)),
    )
    later = (CallSpan("whistle", 1200, 1304, (5000.0, 9000.0)),)
    [started] = feed(tracker(), [window(1, 0.9, click=0.2, spans=spans), window(2, 0.9, spans=later)])
    assert (started.onset_sample, started.offset_sample) == (600, 1304)
    assert started.onset == EPOCH + timedelta(seconds=0.6)
    assert started.band_hz is not None
    assert (started.band_hz.low, started.band_hz.high) == (4000.0, 9000.0)


def test_event_times_follow_the_detections_own_start() -> None:
    late = timedelta(milliseconds=7)
    seen = window(1, 0.96, spans=(CallSpan("whistle", 700, 720, (1.0, 2.0)),))
    corrected = Detection(
        **{name: getattr(seen, name) for name in seen.__slots__ if name != "start"}, start=seen.start + late
    )
    [started] = tracker().observe(corrected)
    assert started.onset == EPOCH + timedelta(seconds=0.7) + late


def test_a_span_in_the_padding_of_a_short_file_is_cut_at_its_end() -> None:
    [started] = feed(tracker(), [window(0, 0.96, spans=(CallSpan("whistle", 900, 1400, (1.0, 2.0)),))])
    assert started.offset_sample == 1000


# --- what is not observed ----------------------------------------------------


def test_a_call_type_the_rate_cannot_carry_is_not_absent() -> None:
    following = tracker()
    feed(following, windows(0.8, 0.8))
    told = feed(following, [window(i, None) for i in range(2, 40)])
    assert outline(told) == [("ended", "lost_coverage")]


def test_unobserved_windows_do_not_count_among_the_n() -> None:
    told = feed(tracker(), [window(0, 0.8), lost(2, 5), window(5, 0.1), lost(7, 9), window(9, 0.8)])
    assert outline(told) == [("started", None)]
    assert told[0].coverage == pytest.approx(3000 / 5500)


def test_positives_further_apart_than_the_hold_do_not_make_a_presence() -> None:
    assert feed(tracker(), [window(0, 0.8), lost(2, 60), window(60, 0.8)]) == []


def test_a_gap_longer_than_the_hold_ends_a_presence_as_lost_coverage() -> None:
    following = tracker()
    feed(following, windows(0.8, 0.8))
    [ended] = feed(following, [lost(3, 40)])
    assert (ended.reason, ended.offset_sample) == ("lost_coverage", 1500)
    # 1.5 s observed of the 1.5 s + 5 s hold.
    assert ended.coverage == pytest.approx(1.5 / 6.5)


def test_a_short_gap_is_bridged_and_lowers_coverage() -> None:
    following = tracker()
    feed(following, windows(0.8, 0.8))
    assert feed(following, [lost(3, 7), window(7, 0.8)]) == []
    [ended] = following.close("stream_ended")
    assert ended.coverage == pytest.approx(2.5 / 4.5)


@given(cuts=st.lists(st.integers(4, 59), max_size=6, unique=True), tell=st.booleans())
@UNHURRIED
def test_how_a_gap_is_cut_up_or_whether_it_is_told_changes_nothing(cuts: list[int], tell: bool) -> None:
    edges = sorted({3, *cuts, 60})
    stretches = [lost(a, b) for a, b in pairwise(edges)] if tell else []
    pieces = feed(tracker(), [*windows(0.8, 0.8), *stretches, *windows(0.8, 0.8, start=60)])
    whole = feed(tracker(), [*windows(0.8, 0.8), lost(3, 60), *windows(0.8, 0.8, start=60)])
    assert pieces == whole


# --- epochs ------------------------------------------------------------------


def test_a_presence_keeps_its_name_through_a_new_epoch() -> None:
    following = tracker()
    [started] = feed(following, windows(0.8, 0.8))
    reopened = EPOCH + timedelta(seconds=3)
    spans = (CallSpan("whistle", 900, 1000, (1000.0, 2000.0)),)
    told = feed(following, [window(0, 0.8, epoch=reopened, rate_hz=2 * RATE_HZ, spans=spans)])
    assert told == []
    [ended] = following.close("stream_ended")
    assert (ended.epoch, ended.onset_sample) == (started.epoch, started.onset_sample)
    # 3 s + 0.5 s into the new epoch, in samples of the old.
    assert ended.offset_sample == 3500
    assert ended.offset == EPOCH + timedelta(seconds=3.5)
    assert ended.coverage == pytest.approx(2.5 / 4.0)


def test_a_new_epoch_after_the_hold_ends_the_presence_as_lost_coverage() -> None:
    following = tracker()
    feed(following, windows(0.8, 0.8))
    told = feed(following, [window(0, 0.96, epoch=EPOCH + timedelta(hours=1))])
    assert outline(told) == [("ended", "lost_coverage"), ("started", None)]


def test_an_older_recording_is_another_stream() -> None:
    following = tracker()
    feed(following, windows(0.8, 0.8))
    told = feed(following, [window(0, 0.96, epoch=EPOCH - timedelta(days=1))])
    assert outline(told) == [("ended", "stream_ended"), ("started", None)]


def test_a_clock_set_back_a_little_between_epochs_is_bridged() -> None:
    following = tracker()
    feed(following, windows(0.8, 0.8))
    assert feed(following, [window(0, 0.8, epoch=EPOCH + timedelta(seconds=1))]) == []
    [ended] = following.close("stream_ended")
    assert ended.coverage == 1.0


# --- persistent sources ------------------------------------------------------


def pump_window(index: int, *, caller: bool = False) -> tuple[Detection, frozenset[CallSpan]]:
    first = index * HOP
    pump = CallSpan("whistle", first, first + WINDOW, (1000.0, 1200.0))
    caller_span = CallSpan("whistle", first + 200, first + 700, (5000.0, 9000.0))
    spans = (pump, caller_span) if caller else (pump,)
    return window(index, 0.9, spans=spans), frozenset({pump})


def test_a_machine_makes_a_marked_presence_and_a_caller_over_it_an_unmarked_one() -> None:
    following, told = tracker(), list[PresenceEvent]()
    for index in range(40):
        detection, persistent = pump_window(index, caller=20 <= index < 24)
        told += following.observe(detection, persistent=persistent)
    assert [(e.kind, e.reason, e.persistent_source) for e in told] == [
        ("started", None, True),
        ("ended", "superseded", True),
        ("started", None, False),
        ("ended", "quiet", False),
        ("started", None, True),
    ]
    assert told[2].onset_sample == 20 * HOP + 200
    assert told[2].band_hz is not None
    assert told[2].band_hz.low == 5000.0


def test_a_presence_that_turns_out_a_machine_ends_and_a_marked_one_follows() -> None:
    following, told = tracker(), list[PresenceEvent]()
    for index in range(30):
        detection, persistent = pump_window(index)
        told += following.observe(detection, persistent=persistent if index >= 10 else frozenset())
    assert [(e.kind, e.persistent_source) for e in told] == [
        ("started", False),
        ("ended", False),
        ("started", True),
    ]


# --- properties --------------------------------------------------------------


@st.composite
def streams(draw: st.DrawFn, *, clock_set_back: bool = True) -> list[Detection | Unobserved]:
    """Windows and gaps of up to three epochs, in order."""
    pauses_s = [-1.0, 0.0, 0.25, 3.0, 60.0] if clock_set_back else [0.0, 0.25, 3.0, 60.0]
    steps: list[Detection | Unobserved] = []
    epoch = EPOCH
    for _ in range(draw(st.integers(1, 3))):
        index = 0
        for _ in range(draw(st.integers(1, 6))):
            run = draw(st.lists(st.sampled_from([0.0, 0.3, 0.5, 0.75, 0.97]), min_size=1, max_size=14))
            steps += windows_of_epoch(run, start=index, epoch=epoch)
            index += len(run) + 1
            gap = draw(st.integers(0, 20))
            if gap and draw(st.booleans()):
                steps.append(lost(index, index + gap, epoch=epoch))
            index += gap
        epoch += timedelta(seconds=index / 2 + draw(st.sampled_from(pauses_s)))
    return steps


def windows_of_epoch(run: Sequence[float], *, start: int, epoch: datetime) -> list[Detection]:
    return [window(start + offset, p, epoch=epoch) for offset, p in enumerate(run)]


SHORT = PresenceRule(k=2, n=3, hold_s=2.0, update_s=3.0)


@given(steps=streams())
@UNHURRIED
def test_started_and_ended_alternate_and_no_id_repeats(steps: list[Detection | Unobserved]) -> None:
    following = tracker(SHORT)
    told = feed(following, steps) + following.close("stream_ended")
    kinds = [event.kind for event in told if event.kind != "updated"]
    assert kinds == ["started", "ended"] * (len(kinds) // 2)
    assert len({event.id for event in told}) == len(told)


@given(steps=streams())
@UNHURRIED
def test_events_are_in_order_and_within_their_bounds(steps: list[Detection | Unobserved]) -> None:
    following = tracker(SHORT)
    for event in feed(following, steps) + following.close("stream_ended"):
        assert event.offset is not None
        assert event.offset_sample is not None
        assert event.onset <= event.offset
        assert event.onset_sample <= event.offset_sample
        assert event.mean_probability <= event.peak_probability
        assert 0 < event.windows_positive <= event.windows_seen


@given(steps=streams(), data=st.data())
@UNHURRIED
def test_a_restart_at_any_step_with_a_replay_changes_nothing(
    steps: list[Detection | Unobserved], data: st.DataObject
) -> None:
    unbroken = feed(tracker(SHORT), steps)
    stop = data.draw(st.integers(0, len(steps)), label="stop")
    back = data.draw(st.integers(0, stop), label="replayed from")
    before, after = tracker(SHORT), tracker(SHORT)
    told = feed(before, steps[:stop])
    after.restore(TrackerState.model_validate_json(before.snapshot().model_dump_json()))
    assert feed(after, steps[back:stop]) == []
    assert told + feed(after, steps[stop:]) == unbroken


@given(steps=streams(clock_set_back=False))
@UNHURRIED
def test_quiet_needs_the_whole_hold_observed(steps: list[Detection | Unobserved]) -> None:
    following, heard = tracker(SHORT), list[Detection]()
    for step in steps:
        told = feed(following, [step])
        heard += [step] if isinstance(step, Detection) else []
        for event in told:
            if event.reason == "quiet":
                assert event.offset is not None
                quiet = [d for d in heard if d.start + timedelta(seconds=1) > event.offset]
                assert _observed_s(quiet, since=event.offset) >= SHORT.hold_s


def _observed_s(seen: Sequence[Detection], *, since: datetime) -> float:
    until, total = since, 0.0
    for detection in seen:
        end = detection.start + timedelta(seconds=WINDOW / RATE_HZ)
        total += max(0.0, (end - max(detection.start, until)).total_seconds())
        until = max(until, end)
    return total


# --- configuration -----------------------------------------------------------


def contract() -> ModelContract:
    rows = ImageRows(first=0, count=2, low_hz=0, step_hz=10, fft_samples=64, hop_samples=32, pooling="max")
    types = [("whistle", "beluga", 0.6), ("beluga_click", "beluga", 0.7), ("porpoise_click", "porpoise", 0.8)]
    return ModelContract(
        model_id="m1",
        sample_rate_hz=RATE_HZ,
        window_samples=WINDOW,
        hop_samples=HOP,
        call_types=tuple(
            CallType(name=n, species=s, band_hz=(1, 2), min_sample_rate_hz=1, enter=e, leave=0.3) for n, s, e in types
        ),
        transform=Transform(columns=10, column_samples=100, rows=(rows,), floor_db=-120, range_db=(0, 30)),
        sigma_px=6,
    )


def test_there_is_a_tracker_per_species_with_the_models_thresholds_unless_the_site_says_otherwise() -> None:
    section = PresenceSection(
        thresholds={"whistle": Thresholds(enter=0.9, leave=0.2)}, species={"beluga": PresenceRule(k=1, n=1)}
    )
    beluga, porpoise = trackers_for(contract(), "station", "north", section)
    assert (beluga.key, porpoise.key) == ("north/beluga", "north/porpoise")
    assert feed(beluga, [window(0, 0.85, click=0.65)]) == []
    assert outline(feed(beluga, [window(1, 0.1, click=0.7)])) == [("started", None)]


@pytest.mark.parametrize(
    ("section", "path"),
    [
        (PresenceSection(species={"orca": PresenceRule()}), "presence.species.orca"),
        (
            PresenceSection(thresholds={"whistel": Thresholds(enter=0.5, leave=0.2)}),
            "presence.thresholds.whistel",
        ),
    ],
)
def test_an_override_of_something_unknown_is_refused_by_its_path(section: PresenceSection, path: str) -> None:
    with pytest.raises(ConfigError, match=path):
        trackers_for(contract(), "station", "north", section)


def test_thresholds_and_rules_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="must be below enter"):
        Thresholds(enter=0.4, leave=0.5)
    with pytest.raises(ValueError, match="must not exceed n"):
        PresenceRule(k=5, n=4)


@pytest.mark.parametrize("endless", [float("inf"), float("nan")])
@pytest.mark.parametrize("field", ["certain", "hold_s", "update_s"])
def test_rules_are_finite(field: str, endless: float) -> None:
    with pytest.raises(ValueError, match=field):
        PresenceRule.model_validate({field: endless})


@pytest.mark.parametrize("thresholds", [{"enter": float("inf"), "leave": 0.2}, {"enter": 0.5, "leave": float("nan")}])
def test_thresholds_are_finite(thresholds: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="finite number"):
        Thresholds.model_validate(thresholds)
