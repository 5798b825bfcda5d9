"""Abstaining: windows the model does not know about, from the contract to presence and the guard."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seacanary.events import PresenceEvent
from seacanary.guard import GuardSection, PersistentSourceGuard
from seacanary.observations import CallSpan, Detection, Unobserved
from seacanary.presence import PresenceTracker
from seacanary.presence_rules import PresenceRule, Thresholds
from seacanary.presence_sighting import looked_back_on, sighting_of
from seacanary.presence_state import TrackerState

RATE_HZ, WINDOW, HOP = 1000, 1000, 500
# A busy machine must not fail a test.
UNHURRIED = settings(deadline=None)
EPOCH = datetime(2026, 5, 1, 12, tzinfo=UTC)
RULE = PresenceRule(k=2, n=3, hold_s=4.0, update_s=6.0, certain=0.95)
THRESHOLDS = {"whistle": Thresholds(enter=0.7, leave=0.4), "beluga_click": Thresholds(enter=0.8, leave=0.5)}
BAND = (0.2, 0.6)
Step = Detection | Unobserved


def tracker(thresholds: dict[str, Thresholds] = THRESHOLDS) -> PresenceTracker:
    return PresenceTracker("station", "north", species="beluga", thresholds=thresholds, rule=RULE)


def window(index: int, whistle: float, *, click: float = 0.0, epoch: datetime = EPOCH) -> Detection:
    """Window number `index` of a stream, 1 s long, 0.5 s apart, judged with the abstain band."""
    first = index * HOP
    probability = {"whistle": whistle, "beluga_click": click}
    return Detection(
        hydrophone="north",
        epoch=epoch,
        first_sample=first,
        end_sample=first + WINDOW,
        sample_rate_hz=RATE_HZ,
        start=epoch + timedelta(seconds=first / RATE_HZ),
        probability=probability,
        unobserved=frozenset(),
        spans=(),
        mask=None,
        model_id="m1",
        source_file=None,
        abstained=frozenset(name for name, p in probability.items() if BAND[0] <= p < BAND[1]),
    )


def windows(*whistle: float, start: int = 0) -> list[Step]:
    return [window(start + index, p) for index, p in enumerate(whistle)]


def never_heard(detection: Detection) -> Unobserved:
    """The same stretch of stream, had no model looked at it."""
    return Unobserved(
        detection.hydrophone,
        detection.epoch,
        detection.first_sample,
        detection.end_sample,
        detection.sample_rate_hz,
        detection.start,
        "shed",
    )


def feed(following: PresenceTracker, steps: Iterable[Step]) -> list[PresenceEvent]:
    told: list[PresenceEvent] = []
    for step in steps:
        told += following.observe(step) if isinstance(step, Detection) else following.lose(step)
    return told


def undecided(step: Step) -> bool:
    return (
        isinstance(step, Detection)
        and bool(step.abstained)
        and all(p < THRESHOLDS[name].leave for name, p in step.probability.items() if name not in step.abstained)
    )


def test_windows_the_model_abstains_on_never_start_a_presence() -> None:
    following = tracker()
    assert feed(following, windows(*[0.5] * 40)) == []
    assert following.phase == "absent"


def test_they_do_not_count_among_the_n_and_are_covered_from_the_onset_on() -> None:
    following = tracker()
    [started] = feed(following, windows(0.8, *[0.5] * 5, 0.8))
    assert (started.onset_sample, started.offset_sample) == (0, 4000)
    assert (started.windows_seen, started.windows_positive) == (7, 2)
    assert started.coverage == 1.0


def test_over_leave_but_in_the_band_does_not_keep_a_presence_open() -> None:
    told = feed(tracker(), windows(0.8, 0.8, *[0.5] * 20))
    assert [(e.kind, e.reason) for e in told] == [("started", None), ("ended", "lost_coverage")]
    assert told[1].offset_sample == 1500
    assert told[1].coverage == 1.0


def test_abstaining_is_not_quiet() -> None:
    following = tracker()
    assert [e.kind for e in feed(following, windows(0.8, 0.8, *[0.5] * 6))] == ["started"]
    assert following.phase == "present"
    assert feed(following, windows(0.8, start=8)) == []
    assert following.phase == "present"


def test_a_later_window_that_decides_counts_as_quiet_for_all_it_holds() -> None:
    following = tracker()
    feed(following, windows(0.8, 0.8, 0.5, 0.0))
    presence = following.snapshot().presence
    assert presence is not None
    assert (presence.quiet_samples, presence.observed_samples) == (1000, 2500)


def test_in_a_new_epoch_quiet_is_counted_from_its_first_decided_window() -> None:
    following, next_epoch = tracker(), EPOCH + timedelta(seconds=2)
    feed(following, [*windows(0.8, 0.8, 0.5), window(0, 0.5, epoch=next_epoch), window(1, 0.0, epoch=next_epoch)])
    presence = following.snapshot().presence
    assert presence is not None
    assert (presence.quiet_samples, presence.decided_until_here) == (1000, 1500)


@pytest.mark.parametrize(
    ("whistle", "click", "says"),
    [
        (0.8, 0.5, "present"),
        (0.5, 0.9, "present"),
        (0.0, 0.5, "not known"),
        (0.5, 0.0, "not known"),
        (0.5, 0.5, "not known"),
        (0.0, 0.0, "absent"),
    ],
)
def test_a_species_is_the_three_valued_or_of_its_call_types(whistle: float, click: float, says: str) -> None:
    sighting = sighting_of(window(0, whistle, click=click), THRESHOLDS, certain=None, persistent=frozenset())
    said = "not known" if sighting.undecided else "present" if sighting.over_leave else "absent"
    assert said == says


def test_a_machine_heard_beside_a_call_type_abstained_on_leaves_it_open_whether_a_caller_is_there() -> None:
    pump = CallSpan("whistle", 0, WINDOW, (1000.0, 1200.0))
    heard = replace(window(0, 0.9, click=0.3), spans=(pump,))
    assert sighting_of(heard, THRESHOLDS, certain=None, persistent=frozenset({pump})).undecided
    assert not sighting_of(heard, THRESHOLDS, certain=None, persistent=frozenset()).undecided


def test_a_site_that_enters_inside_the_band_hears_what_it_asked_for() -> None:
    lower = THRESHOLDS | {"whistle": Thresholds(enter=0.5, leave=0.3)}
    assert [e.kind for e in feed(tracker(lower), windows(0.55, 0.55))] == ["started"]
    assert feed(tracker(lower), windows(0.45, 0.45)) == []


def test_a_long_run_of_abstaining_takes_no_room() -> None:
    following = PresenceTracker(
        "station", "north", species="beluga", thresholds=THRESHOLDS, rule=RULE.model_copy(update={"hold_s": 1e6})
    )
    feed(following, windows(0.8, *[0.5] * 500))
    first, run = following.snapshot().sightings
    assert (first.undecided, run.undecided, run.windows) == (False, True, 500)
    assert (run.first_sample, run.end_sample) == (500, 501 * 500 + 500)


def test_looking_back_keeps_the_last_decided_windows_and_what_lies_between() -> None:
    sightings = [
        sighting_of(window(i, p), THRESHOLDS, certain=None, persistent=frozenset())
        for i, p in enumerate([0.5, 0.1, 0.5, 0.5, 0.1, 0.5, 0.1])
    ]
    looked = looked_back_on((), sightings[0], decided=2)
    assert looked == ()
    for sighting in sightings[1:]:
        looked = looked_back_on(looked, sighting, decided=2)
    assert [s.undecided for s in looked] == [False, True, False]
    assert looked[0].first_sample == 4 * HOP


# --- the guard ---------------------------------------------------------------


def pumps(probability: Sequence[float]) -> list[Detection]:
    """A pump in every window the model does not deny."""
    heard = []
    for index, p in enumerate(probability):
        seen = window(index, p)
        span = CallSpan("whistle", seen.first_sample, seen.end_sample, (1000.0, 1200.0))
        heard.append(replace(seen, spans=(span,) if p >= THRESHOLDS["whistle"].leave else ()))
    return heard


def test_abstaining_without_a_span_is_no_miss_for_the_guard() -> None:
    doubtful, denied = (
        PersistentSourceGuard(GuardSection(after_s=30.0)),
        PersistentSourceGuard(GuardSection(after_s=30.0)),
    )
    for detection in pumps([0.9, 0.3] * 100):
        doubtful.watch(detection)
    for detection in pumps([0.9, 0.1] * 100):
        denied.watch(detection)
    assert len(doubtful.flagged) == 1
    assert denied.flagged == ()


# --- properties --------------------------------------------------------------


@st.composite
def streams(draw: st.DrawFn) -> list[Step]:
    """Windows and gaps of up to three epochs, in order; half the probabilities lie in the band."""
    values = st.sampled_from([0.0, 0.1, 0.25, 0.45, 0.5, 0.65, 0.75, 0.97])
    steps: list[Step] = []
    epoch = EPOCH
    for _ in range(draw(st.integers(1, 3))):
        index = 0
        for _ in range(draw(st.integers(1, 4))):
            run = draw(st.lists(st.tuples(values, st.sampled_from([0.0, 0.3, 0.9])), min_size=1, max_size=16))
            steps += [window(index + i, whistle, click=click, epoch=epoch) for i, (whistle, click) in enumerate(run)]
            index += len(run) + 1 + draw(st.integers(0, 12))
        epoch += timedelta(seconds=index / 2 + draw(st.sampled_from([-1.0, 0.0, 0.25, 3.0, 60.0])))
    return steps


LISTENING = {"coverage", "windows_seen", "model_id"}


@given(steps=streams())
@UNHURRIED
def test_abstaining_changes_nothing_but_coverage_against_not_observing(steps: list[Step]) -> None:
    listened, deaf = tracker(), tracker()
    told = feed(listened, steps) + listened.close("stream_ended")
    blind: list[Step] = [never_heard(s) if isinstance(s, Detection) and undecided(s) else s for s in steps]
    as_unobserved = feed(deaf, blind) + deaf.close("stream_ended")
    assert [e.model_dump(exclude=LISTENING) for e in told] == [e.model_dump(exclude=LISTENING) for e in as_unobserved]
    for event, other in zip(told, as_unobserved, strict=True):
        assert event.coverage >= other.coverage
        assert event.windows_seen >= other.windows_seen


@given(steps=streams(), data=st.data())
@UNHURRIED
def test_a_restart_at_any_step_with_a_replay_changes_nothing(steps: list[Step], data: st.DataObject) -> None:
    unbroken = feed(tracker(), steps)
    stop = data.draw(st.integers(0, len(steps)), label="stop")
    back = data.draw(st.integers(0, stop), label="replayed from")
    before, after = tracker(), tracker()
    told = feed(before, steps[:stop])
    after.restore(TrackerState.model_validate_json(before.snapshot().model_dump_json()))
    assert feed(after, steps[back:stop]) == []
    assert told + feed(after, steps[stop:]) == unbroken


@given(steps=streams())
@UNHURRIED
def test_no_event_rests_on_an_abstained_window(steps: list[Step]) -> None:
    following = tracker()
    for event in feed(following, steps) + following.close("stream_ended"):
        assert 0 < event.windows_positive <= event.windows_seen
        assert event.peak_probability >= min(t.enter for t in THRESHOLDS.values())
        assert 0.0 <= event.coverage <= 1.0
