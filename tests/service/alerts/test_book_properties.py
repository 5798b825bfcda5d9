"""AlertBook under any interleaving of presences, reviews and time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from alert_samples import Diary, at, presence, review, rule
from seacanary.alerts.book import AlertBook
from seacanary.alerts.book_state import BookState
from seacanary.alerts.rules import AlertRule
from seacanary.events import AlertEvent, PresenceEvent, ReviewEvent

LONG_AFTER_S = 10 * 86_400.0


@dataclass(frozen=True)
class Move:
    """What happens next: after a pause, a presence begins, goes on or ends, or somebody judges one."""

    pause_s: float
    hydrophone: str
    species: str
    ends: bool
    probability: float
    judged: str | None


MOVES = st.lists(
    st.builds(
        Move,
        pause_s=st.sampled_from([0.0, 1.0, 30.0, 400.0, 900.0, 4000.0]),
        hydrophone=st.sampled_from(["east", "north", "south"]),
        species=st.sampled_from(["beluga", "orca"]),
        ends=st.booleans(),
        probability=st.sampled_from([0.6, 0.9]),
        judged=st.sampled_from([None, None, None, "confirmed", "rejected"]),
    ),
    max_size=60,
)
RULES = st.builds(
    rule,
    minimum_probability=st.sampled_from([0.0, 0.8]),
    cooldown_s=st.sampled_from([0.0, 600.0]),
    quiet_hours=st.sampled_from([[], [{"start": "12:20", "end": "13:10"}]]),
    rate_limit=st.sampled_from([{"messages": n, "per_s": 3600} for n in (1, 2, 3, 6, 1000)]),
)
SURE_RULES = st.builds(rule, cooldown_s=st.just(0.0), rate_limit=st.just({"messages": 1000, "per_s": 1}))


def story(moves: Sequence[Move]) -> list[tuple[float, PresenceEvent | ReviewEvent]]:
    """The events that moves make: each presence starts, may go on, and ends, at the end of the story at the latest."""
    told: list[tuple[float, PresenceEvent | ReviewEvent]] = []
    open_since: dict[tuple[str, str], float] = {}
    now_s = 0.0
    for number, move in enumerate(moves):
        now_s += move.pause_s + 0.001  # events of one instant would share an id
        key = (move.hydrophone, move.species)
        kind = "started" if key not in open_since else "ended" if move.ends else "updated"
        onset_s = open_since.setdefault(key, now_s)
        event = presence(
            kind,  # type: ignore[arg-type]  # one of the three
            now_s,
            onset_s=onset_s,
            hydrophone=move.hydrophone,
            species=move.species,
            probability=move.probability,
        )
        told.append((now_s, event))
        if move.judged is not None:
            verdict = review(now_s + number / 1e6, event.id, move.judged, species=move.species)  # type: ignore[arg-type]
            told.append((now_s, verdict))
        if kind == "ended":
            del open_since[key]
    for (hydrophone, species), onset_s in open_since.items():
        ending = presence("ended", now_s + 1, onset_s=onset_s, hydrophone=hydrophone, species=species, probability=0.5)
        told.append((now_s + 1, ending))
    return told


def read(book_rule: AlertRule, moves: Sequence[Move], *, restarting: bool = False) -> Diary:
    """What a book says to a story, with a tick whenever it is due."""
    diary = Diary(AlertBook(book_rule, "station"))
    for seconds, event in story(moves):
        diary.until(seconds)
        diary.event(seconds, event)
        if restarting:
            state = BookState.model_validate_json(diary.book.snapshot().model_dump_json())
            diary.book = AlertBook(book_rule, "station")
            diary.book.restore(state)
    diary.until(LONG_AFTER_S)
    return diary


def satisfied(book_rule: AlertRule, moves: Sequence[Move]) -> list[PresenceEvent]:
    """The first event of each presence that satisfies the rule at some time, unless it was rejected before."""
    firsts: dict[tuple[str, str], PresenceEvent] = {}
    found: list[PresenceEvent] = []
    latest: dict[UUID, PresenceEvent] = {}
    dismissed: list[PresenceEvent] = []
    for _, event in story(moves):
        if not isinstance(event, PresenceEvent):
            judged = latest[event.event_id]
            if event.verdict == "rejected" and judged not in found:
                dismissed.append(judged)
            continue
        key = (event.hydrophone, event.species)
        first = firsts.setdefault(key, event)
        latest[event.id] = first
        if event.peak_probability >= book_rule.minimum_probability and first not in [*found, *dismissed]:
            found.append(first)
        if event.kind == "ended":
            del firsts[key]
    return found


def last_words(alerts: Sequence[AlertEvent]) -> list[AlertEvent]:
    """The last notice of each bout that was told of."""
    return list({alert.events[0]: alert for alert in alerts if alert.notice != "digest"}.values())


@settings(deadline=None, max_examples=150)
@given(book_rule=RULES, moves=MOVES)
def test_every_presence_is_in_a_bout_told_of_or_in_a_digest_and_never_in_both(
    book_rule: AlertRule, moves: list[Move]
) -> None:
    alerts = read(book_rule, moves).alerts
    told = last_words(alerts) + [alert for alert in alerts if alert.notice == "digest"]
    assert sum(alert.events_count for alert in told) == len(satisfied(book_rule, moves))
    assert sorted(named for alert in told for named in alert.events) == sorted(
        event.id for event in satisfied(book_rule, moves)
    )


@settings(deadline=None, max_examples=150)
@given(book_rule=RULES, moves=MOVES)
def test_no_stretch_holds_more_messages_than_the_limit(book_rule: AlertRule, moves: list[Move]) -> None:
    alerts, limit = read(book_rule, moves).alerts, book_rule.rate_limit
    for first, one_too_many in zip(alerts, alerts[limit.messages :], strict=False):
        assert one_too_many.at - first.at >= limit.per


@settings(deadline=None, max_examples=100)
@given(book_rule=RULES, moves=MOVES)
def test_a_restart_at_any_step_changes_nothing(book_rule: AlertRule, moves: list[Move]) -> None:
    assert read(book_rule, moves, restarting=True).alerts == read(book_rule, moves).alerts


@settings(deadline=None, max_examples=100)
@given(book_rule=RULES, moves=MOVES)
def test_digests_count_every_notice_that_was_held_back(book_rule: AlertRule, moves: list[Move]) -> None:
    diary = read(book_rule, moves)
    in_digests: dict[str, int] = {}
    for alert in diary.alerts:
        for cause, count in alert.held_back.items():
            in_digests[cause] = in_digests.get(cause, 0) + count
    assert in_digests == diary.book.held_back


@settings(deadline=None, max_examples=100)
@given(book_rule=RULES, moves=MOVES)
def test_a_bout_is_heard_once_and_first_and_nobody_is_told_in_quiet_hours(
    book_rule: AlertRule, moves: list[Move]
) -> None:
    alerts = read(book_rule, moves).alerts
    assert len({alert.id for alert in alerts}) == len(alerts)
    assert all(book_rule.quiet_until(alert.at) is None for alert in alerts)
    for last in last_words(alerts):
        notices = [alert.notice for alert in alerts if alert.events[:1] == last.events[:1] and alert.notice != "digest"]
        assert notices[0] == "heard"
        assert "heard" not in notices[1:]
        assert "gone" not in notices[:-1]


@settings(deadline=None, max_examples=100)
@given(book_rule=SURE_RULES, moves=MOVES)
def test_unhindered_a_bout_is_heard_with_the_first_event_that_satisfies_the_rule(
    book_rule: AlertRule, moves: list[Move]
) -> None:
    moves = [Move(m.pause_s, m.hydrophone, m.species, m.ends, m.probability, None) for m in moves]
    expected, here = [], dict[str, set[str]]()
    for seconds, event in story(moves):
        assert isinstance(event, PresenceEvent)
        present = here.setdefault(event.species, set())
        if event.kind == "started" and not present:
            expected.append((at(seconds), event.id))
        (present.discard if event.kind == "ended" else present.add)(event.hydrophone)
    heard = [(a.at, a.events[0]) for a in read(book_rule, moves).alerts if a.notice == "heard"]
    assert [event_id for _, event_id in heard] == [event_id for _, event_id in expected]
    for (told_at, _), (began_at, _) in zip(heard, expected, strict=True):
        assert abs(told_at - began_at) < timedelta(milliseconds=1)  # the journal's times are whole milliseconds


@settings(deadline=None, max_examples=100)
@given(book_rule=RULES, moves=MOVES)
def test_a_tick_when_due_moves_the_next_one_on(book_rule: AlertRule, moves: list[Move]) -> None:
    diary = Diary(AlertBook(book_rule, "station"))
    for seconds, event in story(moves):
        diary.event(seconds, event)
        due = diary.book.next_due
        if due is not None:
            diary.book.tick(due)
            assert diary.book.next_due is None or diary.book.next_due > due
