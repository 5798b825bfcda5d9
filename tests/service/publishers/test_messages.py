"""Messages: every kind of event in words, with its times in UTC and its id."""

from uuid import UUID

import pytest

from alert_samples import Diary, at, presence, review, rule
from seacanary.alerts.book import AlertBook
from seacanary.event_ids import named_by
from seacanary.events import ConditionEvent, Event
from seacanary.publishers.messages import message_of

LINKS = {"evidence": "https://s/e", "confirm": "https://s/c", "reject": "https://s/r", "map": "https://s/m"}


def test_an_alert_says_what_where_when_and_how_sure_and_offers_its_links() -> None:
    [heard] = Diary(AlertBook(rule(), "station")).started(10)
    message = message_of(heard, LINKS)
    assert message.title == "beluga heard at north"
    assert message.body.splitlines() == [
        "beluga heard at north since 2026-05-01 12:00:10 UTC, probability 0.90.",
        "First call 2026-05-01 12:00:10 UTC, last call 2026-05-01 12:00:10 UTC.",
        "Evidence: north/beluga-10",
        "Rule beluga-watch.",
        "It is one - confirm: https://s/c",
        "It is none - reject: https://s/r",
        "Listen and look: https://s/e",
        "map: https://s/m",
        f"Station station, 2026-05-01 12:00:10 UTC. Id {heard.id}",
    ]


def test_a_digest_says_how_many_it_speaks_of() -> None:
    book = Diary(AlertBook(rule(cooldown_s=600), "station"))
    for start in (0, 100):
        book.started(start)
        book.ended(start + 50, onset_s=start)
    [digest] = book.until(10_000)
    message = message_of(digest, {})
    assert message.title == "beluga-watch: digest at north"
    assert message.body.startswith("1 bout of beluga not told of one by one, 1 presence at north from")


def test_where_listening_ended_the_title_does_not_say_gone() -> None:
    book = Diary(AlertBook(rule(), "station"))
    book.started(10)
    [unobserved] = book.ended(70, onset_s=10, reason="lost_coverage")
    assert message_of(unobserved, {}).title == "beluga not observed any more at north"


@pytest.mark.parametrize(
    ("event", "title", "said"),
    [
        (presence("started", 5), "beluga started at north", "whistle since 2026-05-01 12:00:05 UTC"),
        (review(9, UUID(int=7), "rejected"), "beluga at north rejected", "By Ana, 2026-05-01 12:00:09 UTC"),
        (
            ConditionEvent(
                id=named_by("condition"),
                station="station",
                hydrophone="north",
                condition="clipping",
                change="begun",
                since=at(3),
                at=at(4),
                detail="turn the gain down",
            ),
            "clipping begun at north",
            "Since 2026-05-01 12:00:03 UTC.\nturn the gain down",
        ),
    ],
)
def test_other_events_are_messages_too(event: Event, title: str, said: str) -> None:
    message = message_of(event, {})
    assert message.title == title
    assert said in message.body
    assert message.body.endswith(f"Id {event.id}")
