"""A clock that is wrong: told once when that begins and once when it ends, whoever follows the hydrophone."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import EPOCH
from seacanary.cluster.clock_watch import ClockSection, ClockState, ClockWatch
from seacanary.cluster.envelope import EdgeClock
from seacanary.events import ConditionEvent

SECTION = ClockSection(tolerance_s=5, images=3)
RIGHT, WRONG = EdgeClock(True, 0.01, 0.0), EdgeClock(True, 0.01, 3600.0)
UNKNOWN = EdgeClock()


def at(place: int) -> datetime:
    return EPOCH + timedelta(seconds=0.5 * place)


def watch(state: ClockState | None = None) -> ClockWatch:
    return ClockWatch("pier", "h1", section=SECTION, state=state or ClockState())


def told(clocks: Sequence[EdgeClock], *, takeover: bool = False) -> list[ConditionEvent]:
    """What a watch tells; with takeover, a new one for each image."""
    found, watching = [], watch()
    for place, clock in enumerate(clocks):
        if takeover:
            watching = watch(ClockState.model_validate_json(watching.state.model_dump_json()))
        event = watching.observe(clock, at=at(place))
        found += [event] if event else []
    return found


def test_a_clock_that_is_an_hour_off_is_told_once_and_its_end_once() -> None:
    begun, ended = told([RIGHT] * 4 + [WRONG] * 50 + [RIGHT] * 50)
    assert (begun.change, begun.since, begun.at) == ("begun", at(4), at(4))
    assert (ended.change, ended.since, ended.at) == ("ended", at(4), at(54))
    assert {(e.station, e.hydrophone, e.condition) for e in (begun, ended)} == {("pier", "h1", "clock_unsure")}
    assert begun.detail.startswith("the station's clock is 3600 s behind the brokers'")
    assert begun.id != ended.id


def test_ahead_and_behind_are_said() -> None:
    (begun,) = told([EdgeClock(broker_ahead_s=-3600.0)] * 3)
    assert begun.detail.startswith("the station's clock is 3600 s ahead of the brokers'")


def test_a_clock_that_nobody_keeps_is_unsure_until_the_brokers_have_answered() -> None:
    lonely = EdgeClock(synchronised=False, maximum_error_s=16.0)
    (begun, ended) = told([lonely] * 5 + [EdgeClock(synchronised=False, maximum_error_s=16.0, broker_ahead_s=0.0)] * 3)
    assert "wrong by 16 s" in begun.detail
    assert ended.change == "ended"


def test_what_is_said_of_a_few_images_alone_changes_nothing() -> None:
    assert told(([WRONG] * 2 + [RIGHT]) * 20) == []
    assert len(told([WRONG] * 3 + ([RIGHT] * 2 + [WRONG]) * 20)) == 1


def test_what_is_not_known_says_nothing() -> None:
    assert told([UNKNOWN] * 20) == []
    assert [e.change for e in told([WRONG] * 3 + [UNKNOWN] * 50)] == ["begun"]
    assert [e.at for e in told([WRONG, UNKNOWN, WRONG, UNKNOWN, WRONG])] == [at(0)]


def test_a_difference_about_the_tolerance_does_not_come_and_go() -> None:
    about = [EdgeClock(broker_ahead_s=5 + 0.5 * (-1) ** place) for place in range(100)]
    assert told(about) == []
    assert [e.change for e in told([WRONG] * 3 + about)] == ["begun"]
    assert [e.change for e in told([WRONG] * 3 + [EdgeClock(broker_ahead_s=2.0)] * 3)] == ["begun", "ended"]


CLOCKS = st.lists(
    st.tuples(st.sampled_from([RIGHT, WRONG, UNKNOWN, EdgeClock(broker_ahead_s=4.0)]), st.integers(1, 6)), max_size=12
)


@settings(deadline=None)
@given(CLOCKS)
def test_beginnings_and_ends_take_turns_and_do_not_depend_on_who_watches(runs: Sequence[tuple[EdgeClock, int]]) -> None:
    clocks = [clock for clock, count in runs for _ in range(count)]
    events = told(clocks)
    assert events == told(clocks, takeover=True)
    assert [event.change for event in events] == (["begun", "ended"] * len(events))[: len(events)]
    assert len({event.id for event in events}) == len(events)
