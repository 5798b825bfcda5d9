"""Selection: each kind of event goes where it is asked for, and nowhere else."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from pydantic import ValidationError

from event_samples import event
from seacanary.events import AlertEvent, ConditionEvent, Event, ReviewEvent
from seacanary.publishers.selection import Selection

AT = datetime(2026, 5, 1, tzinfo=UTC)
PRESENCE = event(1)


def alert(rule: str = "first") -> AlertEvent:
    return AlertEvent(id=UUID(int=1), station="station", rule=rule, notice="heard", at=AT, text="A beluga.")


REVIEW = ReviewEvent(
    id=UUID(int=2),
    station="station",
    hydrophone="north",
    species="beluga",
    event_id=PRESENCE.id,
    verdict="confirmed",
    reviewer="a person",
    reviewed_at=AT,
    rule="first",
)
CONDITION = ConditionEvent(id=UUID(int=3), station="station", condition="clipping", change="begun", since=AT, at=AT)
ALL: dict[str, Event] = {"presence": PRESENCE, "alerts": alert(), "reviews": REVIEW, "conditions": CONDITION}


def test_alerts_alone_are_carried_unless_more_is_asked_for() -> None:
    assert [sort for sort, sample in ALL.items() if Selection().carries(sample)] == ["alerts"]


@pytest.mark.parametrize("sort", ALL)
def test_each_kind_is_carried_where_it_is_asked_for(sort: str) -> None:
    selection = Selection.model_validate({"events": [sort]})
    assert [other for other, sample in ALL.items() if selection.carries(sample)] == [sort]


def test_rules_choose_among_alerts_and_leave_other_events_alone() -> None:
    selection = Selection(events=("alerts", "reviews", "presence"), rules=("second",))
    assert selection.carries(alert("second"))
    assert not selection.carries(alert("first"))
    assert selection.carries(REVIEW)
    assert selection.carries(PRESENCE)


@pytest.mark.parametrize("mistake", [{"events": []}, {"events": ["whales"]}, {"rule": ["first"]}])
def test_a_selection_that_means_nothing_is_refused(mistake: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Selection.model_validate(mistake)
