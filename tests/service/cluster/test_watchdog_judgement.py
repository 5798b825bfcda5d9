"""When a worker is stuck, and above all when it is not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seacanary.cluster.watchdog_judgement import (
    OWNER_PATIENCE,
    PARTITION_PATIENCE,
    Answer,
    Place,
    Progress,
    Standing,
    Stuck,
    StuckJudge,
)

LIMIT_S, LOOK_S = 60.0, 5.0
ME, OTHER = "worker-me", "worker-other"
IMAGES, MORE_IMAGES, DETECTIONS = Place("infer", 0), Place("infer", 1), Place("track", 0)


@dataclass
class Worker:
    """A judge, a clock, and what it gets to see."""

    standings: dict[Place, Standing] = field(default_factory=dict)
    members: frozenset[str] = frozenset({ME})
    taken: dict[Place, int] = field(default_factory=dict)
    prepared: int = 0
    at_s: float = 1000.0
    beats: int = 0

    def __post_init__(self) -> None:
        self.judge = StuckJudge(ME, limit_s=LIMIT_S, longest_step_s=2 * LOOK_S)

    def look(self, *, after_s: float = LOOK_S, answered: bool = True, beats: bool = True) -> Stuck | None:
        self.at_s += after_s
        self.beats += beats
        answer = Answer(dict(self.standings), self.members) if answered else None
        return self.judge.judge(self.at_s, Progress(self.beats, dict(self.taken), self.prepared), answer)

    def until_stuck(self, *, within_s: float, answered: bool = True, beats: bool = True) -> tuple[float, Stuck]:
        """Look on; seconds it took, and what was found."""
        began_s = self.at_s
        while self.at_s - began_s < within_s:
            if stuck := self.look(answered=answered, beats=beats):
                return self.at_s - began_s, stuck
        raise AssertionError(f"not stuck within {within_s} s")

    def looks(self, seconds: float, *, answered: bool = True) -> Iterator[Stuck | None]:
        return (self.look(answered=answered) for _ in range(round(seconds / LOOK_S)))


def waiting(count: int = 10, *, committed: int | None = 0, owner: str | None = ME) -> Standing:
    return Standing(0, (committed or 0) + count, committed, owner)


def test_records_that_wait_while_nothing_moves_make_it_stuck_after_the_limit_and_not_before() -> None:
    worker = Worker({IMAGES: waiting(7), DETECTIONS: waiting(0)})
    assert worker.look() is None
    took_s, stuck = worker.until_stuck(within_s=2 * LIMIT_S)
    assert took_s == LIMIT_S
    assert (stuck.reason, stuck.places, stuck.waiting, stuck.quiet_s) == ("standstill", (IMAGES,), 7, LIMIT_S)
    assert str(stuck) == (
        "nothing is taken or acknowledged there, while brokers answer, for 60 s; 7 records wait in infer[0]"
    )


def test_where_nothing_waits_nobody_is_stuck() -> None:
    worker = Worker({IMAGES: waiting(0), DETECTIONS: waiting(0), Place("deliver", 0): Standing(0, 0, None, ME)})
    assert not any(worker.looks(50 * LIMIT_S))


def test_a_stage_that_goes_on_does_not_hide_one_that_does_not() -> None:
    worker = Worker({IMAGES: waiting(), DETECTIONS: waiting()})
    for offset in range(11):
        worker.standings[DETECTIONS] = waiting(committed=offset)
        assert worker.look() is None
    worker.standings[DETECTIONS] = waiting(committed=12)
    worker.look()
    worker.standings[DETECTIONS] = waiting(committed=13)
    stuck = worker.look()
    assert stuck is not None
    assert stuck.places == (IMAGES,)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["committed", "taken", "prepared"]), min_size=1, max_size=30), st.data())
def test_whoever_moves_within_the_limit_is_never_stuck(moves: Sequence[str], data: st.DataObject) -> None:
    """By acknowledging now and then; between, by taking and preparing, however little."""
    worker = Worker({IMAGES: waiting(100), MORE_IMAGES: waiting(100)})
    for number, move in enumerate(moves, start=1):
        if move == "committed":
            both = IMAGES, MORE_IMAGES
            worker.standings.update(dict.fromkeys(both, waiting(100, committed=number)))
        elif move == "taken":
            worker.taken[MORE_IMAGES] = number
            worker.standings[IMAGES] = worker.standings[MORE_IMAGES] = waiting(100, committed=number)
        else:
            worker.prepared += 1
        pause_s = data.draw(st.floats(0, LIMIT_S - 2 * LOOK_S))
        assert not any(worker.looks(pause_s))


def test_taking_is_movement_for_its_stage() -> None:
    worker = Worker({IMAGES: waiting()})
    for offset in range(30):
        worker.taken[IMAGES] = offset
        assert worker.look() is None


def test_what_is_taken_and_never_acknowledged_is_found_too_only_later() -> None:
    worker = Worker({IMAGES: waiting()})
    took_s = 0.0
    stuck = None
    while stuck is None:
        worker.taken[IMAGES] = round(took_s)
        stuck, took_s = worker.look(), took_s + LOOK_S
        assert took_s < 10 * LIMIT_S
    assert took_s == PARTITION_PATIENCE * LIMIT_S + LOOK_S
    assert (stuck.reason, stuck.places) == ("partition", (IMAGES,))


def test_a_partition_left_out_is_found_while_others_go_on() -> None:
    worker = Worker({IMAGES: waiting(), MORE_IMAGES: waiting()})
    for offset in range(round(PARTITION_PATIENCE * LIMIT_S / LOOK_S)):
        worker.standings[IMAGES] = waiting(committed=offset)
        assert worker.look() is None
    worker.standings[IMAGES] = waiting(committed=1000)
    stuck = worker.look()
    assert stuck is not None
    assert (stuck.reason, stuck.places) == ("partition", (MORE_IMAGES,))


def test_new_records_are_no_movement() -> None:
    worker = Worker({IMAGES: waiting(1), MORE_IMAGES: waiting(0)})
    worker.look()
    found = None
    for count in range(1, 13):
        worker.standings = {IMAGES: waiting(count), MORE_IMAGES: waiting(count)}
        found = worker.look()
    assert found is not None
    assert found.places == (IMAGES, MORE_IMAGES)


def test_records_that_expire_are_no_movement_and_wait_no_more() -> None:
    worker = Worker({IMAGES: waiting(10)})
    worker.look()
    worker.standings[IMAGES] = replace(worker.standings[IMAGES], begin=9)
    _, stuck = worker.until_stuck(within_s=LIMIT_S)
    assert stuck.waiting == 1


def test_brokers_that_do_not_answer_make_nobody_stuck() -> None:
    worker = Worker({IMAGES: waiting()}, members=frozenset())
    worker.look()
    assert not any(worker.looks(100 * LIMIT_S, answered=False))


def test_a_worker_that_does_not_come_back_after_an_outage_is_found() -> None:
    worker = Worker({IMAGES: waiting()})
    assert not any(worker.looks(LIMIT_S / 2))
    assert not any(worker.looks(10 * LIMIT_S, answered=False))
    took_s, stuck = worker.until_stuck(within_s=LIMIT_S)
    assert stuck.reason == "standstill"
    assert took_s > LIMIT_S / 3  # what was before the outage counts, the outage does not


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=100))
def test_only_time_in_which_brokers_answer_counts(answers: Sequence[bool]) -> None:
    worker = Worker({IMAGES: waiting()})
    worker.look()
    found = [worker.look(answered=answered) for answered in answers]
    counted_s = LOOK_S * sum(answers)
    assert any(found) == (counted_s >= LIMIT_S)


@settings(deadline=None)
@given(st.lists(st.floats(LOOK_S, 100_000), max_size=6))
def test_a_process_that_was_paused_is_not_stuck_when_it_goes_on(pauses_s: Sequence[float]) -> None:
    """SIGSTOP, a machine asleep: the watchdog was paused as well, whatever its clock says."""
    worker = Worker({IMAGES: waiting()})
    for pause_s in pauses_s[:5]:
        assert worker.look(after_s=pause_s, beats=False) is None


def test_a_loop_that_does_not_come_round_is_found_with_brokers_and_without() -> None:
    for answered in (True, False):
        worker = Worker({IMAGES: waiting(0)})
        worker.look()
        took_s, stuck = worker.until_stuck(within_s=2 * LIMIT_S, answered=answered, beats=False)
        assert (took_s, stuck.reason) == (LIMIT_S, "loop")


def test_a_loop_that_does_not_come_round_is_why_a_stage_stood_still_before_it() -> None:
    worker = Worker({IMAGES: waiting(7)})
    assert not any(worker.looks(2 * LOOK_S))  # what waits is noticed a little earlier
    _, stuck = worker.until_stuck(within_s=2 * LIMIT_S, beats=False)
    assert stuck.reason == "loop"


def test_who_has_left_the_group_is_found_even_if_others_do_its_work() -> None:
    worker = Worker({IMAGES: waiting(0, owner=OTHER)}, members=frozenset({OTHER}))
    worker.look()
    took_s, stuck = worker.until_stuck(within_s=2 * LIMIT_S)
    assert (took_s, stuck.reason) == (LIMIT_S, "outside")


def test_others_trouble_is_not_ours() -> None:
    worker = Worker({IMAGES: waiting(owner=OTHER), MORE_IMAGES: waiting(0)}, members=frozenset({ME, OTHER}))
    assert not any(worker.looks(20 * LIMIT_S))


def test_who_has_nothing_while_partitions_lie_idle_is_found() -> None:
    members = frozenset({"worker-a", ME})
    worker = Worker({IMAGES: waiting(0, owner="worker-a"), MORE_IMAGES: waiting(owner=None)}, members=members)
    worker.look()
    took_s, stuck = worker.until_stuck(within_s=3 * LIMIT_S)
    assert (took_s, stuck.reason, stuck.places) == (OWNER_PATIENCE * LIMIT_S, "idle", (MORE_IMAGES,))


@pytest.mark.parametrize(("other", "leaves"), [("worker-a", False), ("worker-z", True)])
def test_where_all_have_something_one_alone_leaves_for_what_lies_idle(other: str, leaves: bool) -> None:
    standings = {IMAGES: waiting(0), MORE_IMAGES: waiting(owner=None), Place("infer", 2): waiting(0, owner=other)}
    worker = Worker(standings, members=frozenset({ME, other}))
    assert any(worker.looks(3 * LIMIT_S)) == leaves


def test_a_rebalance_begins_the_count_anew() -> None:
    worker = Worker({IMAGES: waiting()})
    for _ in range(10):
        assert not any(worker.looks(LIMIT_S - LOOK_S))
        worker.standings[IMAGES] = waiting(owner=None)
        worker.look()
        worker.standings[IMAGES] = waiting()
