"""AlertBook: one alert per bout, at the right time, and an exact count of what was held back."""

import pytest

from alert_samples import Diary, at, notices, presence, review, rule
from seacanary.alerts.book import AlertBook
from seacanary.alerts.book_state import BookState
from seacanary.event_ids import named_by
from seacanary.events import EndReason


def diary(hold_s: float = 0.0, **fields: object) -> Diary:
    return Diary(AlertBook(rule(**fields), "station", hold_s=hold_s))


def test_a_presence_is_heard_at_once_and_gone_when_it_ended() -> None:
    book = diary()
    [heard] = book.started(10)
    [gone] = book.ended(70, onset_s=10)
    assert (heard.notice, heard.at, heard.species, heard.hydrophones) == ("heard", at(10), "beluga", ("north",))
    assert heard.events == (presence("started", 10).id,)
    assert heard.evidence == "north/beluga-10"
    assert heard.text == "beluga heard at north since 2026-05-01 12:00:10 UTC, probability 0.90"
    assert (gone.notice, gone.onset, gone.offset, gone.events_count) == ("gone", at(10), at(70), 1)


def test_several_hydrophones_make_one_bout() -> None:
    book = diary()
    book.started(0, hydrophone="north")
    assert book.started(5, hydrophone="south", probability=0.99) == []
    assert book.ended(20, onset_s=0, hydrophone="north") == []
    [gone] = book.ended(60, onset_s=5, hydrophone="south", probability=0.99)
    assert (gone.hydrophones, gone.events_count, gone.peak_probability) == (("north", "south"), 2, 0.99)


def test_species_are_told_of_one_by_one() -> None:
    book = diary()
    assert [alert.species for alert in book.started(0) + book.started(1, species="orca")] == ["beluga", "orca"]


def test_still_here_comes_every_quarter_of_an_hour_with_the_updates() -> None:
    book = diary()
    book.started(0)
    for seconds in (300, 900.4, 1000, 1800.1):
        book.updated(seconds, onset_s=0)
    assert [(a.notice, a.at) for a in book.alerts[1:]] == [("still_here", at(900.4)), ("still_here", at(1800.1))]


def test_what_is_not_certain_enough_is_heard_with_the_first_event_that_is() -> None:
    book = diary(minimum_probability=0.8)
    assert book.started(0, probability=0.7) == []
    [heard] = book.updated(900, onset_s=0, probability=0.85)
    assert heard.events == (presence("started", 0, probability=0.7).id,)


def test_what_never_satisfies_the_rule_is_not_told_of_at_all() -> None:
    book = diary(minimum_probability=0.8)
    book.started(0, probability=0.7)
    book.ended(50, onset_s=0, probability=0.7)
    book.until(100_000)
    assert book.alerts == []


def test_a_short_presence_is_not_long_enough() -> None:
    book = diary(hold_s=30, minimum_duration_s=20)
    book.started(0)
    book.until(45)
    book.event(45, presence("ended", 15, onset_s=0))
    book.until(100_000)
    assert book.alerts == []


def test_an_open_presence_is_heard_once_it_surely_lasted_long_enough() -> None:
    book = diary(hold_s=30, minimum_duration_s=20)
    book.started(0)
    assert book.book.next_due == at(50)
    [heard] = book.until(60)
    assert heard.at == at(50)


def test_time_in_which_nobody_listened_does_not_make_a_presence_long() -> None:
    book = diary(hold_s=30, minimum_duration_s=20)
    book.started(0)
    book.book.resume(at(1000))
    assert book.until(1049) == []
    assert notices(book.until(1050)) == ["heard"]


def test_a_presence_that_proves_long_enough_at_its_end_is_told_of_then() -> None:
    book = diary(minimum_duration_s=20, hold_s=3600)
    book.started(0)
    assert notices(book.ended(25, onset_s=0)) == ["heard", "gone"]


def test_bouts_within_the_cooldown_are_held_back_and_counted() -> None:
    book = diary(cooldown_s=600)
    book.started(0)
    book.ended(60, onset_s=0)
    for start in (100, 200, 300):
        book.started(start)
        book.ended(start + 50, onset_s=start)
    book.until(100 + 50 + 3600)
    assert notices(book.alerts) == ["heard", "gone", "digest"]
    digest = book.alerts[-1]
    assert (digest.held_back, digest.events_count) == ({"cooldown": 3}, 3)
    assert digest.events == tuple(presence("started", start).id for start in (100, 200, 300))
    assert digest.text == (
        "3 bouts of beluga not told of one by one, 3 presences at north from 2026-05-01 12:01:40 UTC "
        "to 2026-05-01 12:05:50 UTC; 3 notices held back (3 in a cooldown)"
    )


def test_a_bout_that_outlasts_the_cooldown_is_heard_at_its_end() -> None:
    book = diary(cooldown_s=600)
    book.started(0)
    book.ended(60, onset_s=0)
    book.started(500)
    [heard] = book.until(1000)
    assert (heard.notice, heard.at, heard.onset) == ("heard", at(660), at(500))
    assert book.book.held_back == {}


def test_quiet_hours_hold_back_and_end_with_one_digest_and_with_who_is_still_there() -> None:
    book = diary(quiet_hours=[{"start": "11:00", "end": "13:00", "zone": "UTC"}])
    book.started(0)
    book.ended(60, onset_s=0)
    book.started(100, species="orca")
    assert book.alerts == []
    digest, heard = book.until(2 * 3600)
    assert (digest.notice, digest.at, digest.held_back) == ("digest", at(3600), {"quiet_hours": 1})
    assert (heard.notice, heard.at, heard.species, heard.onset) == ("heard", at(3600), "orca", at(100))


def test_follow_ups_in_quiet_hours_are_counted() -> None:
    book = diary(quiet_hours=[{"start": "12:10", "end": "13:00", "zone": "UTC"}])
    book.started(0)
    book.started(650, hydrophone="south")
    book.updated(900, onset_s=0)
    book.ended(1000, onset_s=0)
    book.ended(1001, onset_s=650, hydrophone="south")
    book.until(3600)
    heard, digest = book.alerts
    assert (heard.notice, heard.events_count) == ("heard", 1)
    assert (digest.held_back, digest.events_count) == ({"quiet_hours": 2}, 1)
    assert digest.events == (presence("started", 650, hydrophone="south").id,)


def test_the_rate_limit_holds_back_and_the_digest_goes_first_when_it_may() -> None:
    book = diary(rate_limit={"messages": 2, "per_s": 600}, cooldown_s=0, notices=["heard", "digest"])
    for start in range(0, 500, 50):
        book.started(start)
        book.ended(start + 10, onset_s=start)
    book.until(10_000)
    assert [(alert.notice, alert.at) for alert in book.alerts] == [
        ("heard", at(0)),
        ("heard", at(50)),
        ("digest", at(100 + 10 + 600)),
    ]
    assert (book.alerts[-1].held_back, book.alerts[-1].events_count) == ({"rate_limit": 8}, 8)


def test_follow_ups_leave_a_third_of_the_limit_to_what_is_new() -> None:
    book = diary(rate_limit={"messages": 3, "per_s": 86_400})
    book.started(0)
    for n in range(1, 5):
        book.updated(900 * n, onset_s=0)
    assert notices(book.alerts) == ["heard", "still_here"]
    assert notices(book.started(4000, species="orca")) == ["heard"]


def test_a_rule_without_digests_only_counts() -> None:
    book = diary(notices=["heard"], cooldown_s=600)
    for start in (0, 100):
        book.started(start)
        book.ended(start + 50, onset_s=start)
    book.until(100_000)
    assert notices(book.alerts) == ["heard"]
    assert book.book.held_back == {"cooldown": 1}


# --- a person's word ----------------------------------------------------------


def test_a_rejected_bout_is_taken_back_and_not_spoken_of_again() -> None:
    book = diary(cooldown_s=600)
    [heard] = book.started(0)
    [gone] = book.event(60, review(60, heard.events[0], "rejected"))
    assert gone.text == "beluga at north since 2026-05-01 12:00:00 UTC was rejected by Ana"
    assert book.updated(900, onset_s=0) == []
    assert notices(book.started(1000, hydrophone="south")) == ["heard"]
    assert book.updated(1800, onset_s=0) == []
    assert book.ended(1900, onset_s=0) == []
    [gone] = book.ended(2000, onset_s=1000, hydrophone="south")
    assert gone.events_count == 1


def test_a_review_of_a_later_event_or_of_another_presence_of_the_bout_counts_too() -> None:
    book = diary()
    book.started(0)
    book.started(5, hydrophone="south")
    book.updated(900, onset_s=5, hydrophone="south")
    later = presence("updated", 900, onset_s=5, hydrophone="south")
    assert "rejected" in book.event(950, review(950, later.id, "rejected"))[0].text


def test_a_review_of_something_else_changes_nothing() -> None:
    book = diary()
    book.started(0)
    assert book.event(1, review(1, named_by("another event"), "rejected")) == []
    assert notices(book.ended(10, onset_s=0)) == ["gone"]


def test_a_second_list_hears_of_a_bout_once_it_is_confirmed() -> None:
    book = diary(requires_confirmation=True)
    assert book.started(0) == []
    [heard] = book.event(60, review(60, presence("started", 0).id, "confirmed"))
    assert (heard.confirmed_by, heard.at) == ("Ana", at(60))
    assert heard.text.endswith("probability 0.90, confirmed by Ana")
    assert notices(book.ended(100, onset_s=0)) == ["gone"]


def test_a_bout_may_be_confirmed_after_its_end() -> None:
    book = diary(requires_confirmation=True, confirmation_within_s=3600)
    for start, species in ((0, "beluga"), (10, "orca")):
        book.started(start, species=species)
        book.ended(start + 50, onset_s=start, species=species)
    [heard] = book.event(3000, review(3000, presence("started", 0).id, "confirmed"))
    assert heard.text.startswith("beluga heard at north from 2026-05-01 12:00:00 UTC to 2026-05-01 12:00:50 UTC")
    book.until(100_000)
    assert notices(book.alerts) == ["heard"]
    assert book.book.held_back == {"unconfirmed": 1}


@pytest.mark.parametrize("over", [False, True])
def test_the_second_list_never_hears_of_what_was_rejected(over: bool) -> None:
    book = diary(requires_confirmation=True)
    book.started(0)
    if over:
        book.ended(30, onset_s=0)
    book.event(60, review(60, presence("started", 0).id, "rejected"))
    book.until(200_000)
    assert book.alerts == []
    assert book.book.held_back == {"unconfirmed": 1}


def test_what_is_confirmed_in_quiet_hours_waits_for_their_end() -> None:
    book = diary(requires_confirmation=True, quiet_hours=[{"start": "12:00", "end": "13:00"}])
    book.started(0)
    assert book.event(60, review(60, presence("started", 0).id, "confirmed")) == []
    [heard] = book.until(4000)
    assert (heard.notice, heard.at) == ("heard", at(3600))


# --- old news, restarts -------------------------------------------------------


def test_old_news_is_told_in_a_digest_only() -> None:
    book = diary()
    book.event(0, presence("started", 0), late=True)
    book.event(60, presence("ended", 60, onset_s=0), late=True)
    book.event(70, presence("started", 70, species="orca"), late=True)
    digest, heard = book.until(7200)
    assert (digest.notice, digest.held_back, digest.events_count) == ("digest", {"late": 1}, 1)
    assert (heard.notice, heard.species, heard.at) == ("heard", "orca", at(70))


def test_a_state_survives_its_json() -> None:
    book = diary(cooldown_s=600, requires_confirmation=True)
    book.started(0)
    book.started(1, species="orca")
    book.ended(50, onset_s=0)
    book.event(60, review(60, presence("started", 1, species="orca").id, "confirmed", species="orca"))
    state = book.book.snapshot()
    assert BookState.model_validate_json(state.model_dump_json()) == state


def test_a_presence_first_met_in_its_middle_is_told_of() -> None:
    book = diary()
    assert notices(book.updated(900, onset_s=0)) == ["heard"]
    assert diary().ended(900, onset_s=0) == []


def test_a_confirmation_that_comes_before_the_presence_satisfies_the_rule_counts() -> None:
    book = diary(hold_s=30, minimum_duration_s=60, requires_confirmation=True)
    book.started(0)
    book.event(20, review(20, presence("started", 0).id, "confirmed"))
    [heard] = book.until(200)
    assert (heard.notice, heard.at, heard.confirmed_by) == ("heard", at(90), "Ana")


def test_a_presence_rejected_before_it_satisfies_the_rule_is_not_spoken_of() -> None:
    book = diary(hold_s=30, minimum_duration_s=60)
    book.started(0)
    book.event(20, review(20, presence("started", 0).id, "rejected"))
    book.ended(300, onset_s=0)
    book.until(100_000)
    assert book.alerts == []


def test_rules_that_see_a_presence_at_different_times_call_it_by_the_same_event() -> None:
    """What one list was asked about, a second list may be waiting for."""
    first, second = diary(), diary(call_types=["porpoise_click"], requires_confirmation=True)
    started, later = presence("started", 0), presence("updated", 60, onset_s=0, calls=("porpoise_click", "whistle"))
    [asked] = first.event(0, started)
    second.event(0, started)
    second.event(60, later)
    [heard] = second.event(90, review(90, asked.events[0], "confirmed"))
    assert heard.events == asked.events


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("quiet", "beluga gone, heard at north from "),
        ("superseded", "beluga gone, heard at north from "),
        ("lost_coverage", "beluga not observed any more, as coverage was lost; heard at north from "),
        ("stream_ended", "beluga not observed any more, as the recording ended; heard at north from "),
        ("station_stopped", "beluga not observed any more, as the station stopped; heard at north from "),
    ],
)
def test_nobody_is_called_gone_whom_nobody_listened_for(reason: EndReason, text: str) -> None:
    book = diary()
    book.started(0)
    [gone] = book.ended(60, onset_s=0, reason=reason)
    assert (gone.notice, gone.reason) == ("gone", reason)
    assert gone.text.startswith(text)


def test_where_the_clock_is_set_back_everything_lasts_as_long_as_it_would_have() -> None:
    day_s = 86_400
    plain, stepped = diary(cooldown_s=600), diary(cooldown_s=600)
    for book in (plain, stepped):
        ahead_s = day_s if book is stepped else 0
        book.event(ahead_s, presence("started", 0))
        book.event(ahead_s + 60, presence("ended", 60, onset_s=0))
        book.event(ahead_s + 100, presence("started", 100))
    stepped.book.set_back(at(100))
    for book in (plain, stepped):
        book.event(160, presence("ended", 160, onset_s=100))
        book.event(700, presence("started", 700))
        book.until(10_000)
    assert notices(stepped.alerts) == notices(plain.alerts) == ["heard", "gone", "heard", "digest"]
    assert [alert.at for alert in stepped.alerts[2:]] == [alert.at for alert in plain.alerts[2:]]
