"""The soak's judges of events: each planted violation is found."""

from datetime import timedelta

import pytest
from benchmarks.soaking.judging_events import judge_alerts, judge_delivery, judge_presences
from benchmarks.soaking.receipts import Receipt
from benchmarks.soaking.records import Verdict

from event_samples import event as presence_event
from seacanary.events import AlertEvent, Event, PresenceEvent

IDS = ["a", "b", "c"]
TAKEN = [Receipt(id=event, body_sha256=f"body of {event}", status=204, at_s=1.0) for event in IDS]
REFUSED = Receipt(id="b", body_sha256="body of b", status=500, at_s=0.5)


def delivered(
    stream: list[str] = IDS, receipts: list[Receipt] = TAKEN, *, dead_letters: int = 0, unsigned: int = 0
) -> Verdict:
    return judge_delivery(IDS, stream, receipts, dead_letters=dead_letters, unsigned=unsigned)


def test_repeats_at_the_receiver_are_allowed_and_counted() -> None:
    verdict = delivered(receipts=[REFUSED, *TAKEN, TAKEN[2]])
    assert verdict.violations == ()
    assert verdict.figures["receipts_repeated"] == 2


@pytest.mark.parametrize(
    ("verdict", "violation"),
    [
        (delivered(["a", "b", "b", "c"]), "1 events in the stream twice: b"),
        (delivered(["a", "c"]), "1 events not in the stream: b"),
        (delivered([*IDS, "d"]), "1 events in the stream, not in the journal: d"),
        (delivered(["a", "c", "b"]), "the stream's order is not the journal's"),
        (delivered(receipts=[TAKEN[0], REFUSED, TAKEN[2]]), "1 events never taken by the receiver: b"),
        (
            delivered(receipts=[*TAKEN, Receipt(id="b", body_sha256="other", status=500, at_s=2)]),
            "1 events at the receiver with more than one body: b",
        ),
        (
            delivered(receipts=[*TAKEN, Receipt(id="z", body_sha256="z", status=204, at_s=2)]),
            "1 events at the receiver, not in the journal: z",
        ),
        (delivered(dead_letters=2), "2 dead letters"),
        (delivered(unsigned=1), "1 requests without a valid signature"),
    ],
)
def test_an_event_doubled_lost_changed_or_unknown_is_found(verdict: Verdict, violation: str) -> None:
    assert verdict.violations == (violation,)


def presence(kind: str, number: int, *, hydrophone: str = "tcp", revision: int = 0) -> PresenceEvent:
    event = presence_event(0)
    return event.model_copy(
        update={
            "kind": kind,
            "hydrophone": hydrophone,
            "onset_sample": number * 1000,
            "revision": revision,
            "onset": event.onset + timedelta(seconds=number),
            "reason": "quiet" if kind == "ended" else None,
        }
    )


def came_and_went(number: int, *, hydrophone: str = "tcp") -> list[Event]:
    return [
        presence("started", number, hydrophone=hydrophone),
        presence("ended", number, hydrophone=hydrophone, revision=1),
    ]


def test_presences_that_come_and_go_pass() -> None:
    verdict = judge_presences([*came_and_went(0), *came_and_went(1)])
    assert verdict.violations == ()
    assert verdict.figures == {"presences": 2, "ended": {"quiet": 2}}


@pytest.mark.parametrize(
    "events",
    [came_and_went(0)[:1], came_and_went(0)[1:], [came_and_went(0)[0], *came_and_went(0)]],
    ids=["never ended", "never begun", "begun twice"],
)
def test_a_presence_that_does_not_come_and_go_once_is_found(events: list[Event]) -> None:
    assert len(judge_presences(events).violations) == 1


def alert(notice: str) -> AlertEvent:
    event = presence_event(0)
    return AlertEvent(
        id=event.id, station="soak", rule="soak", notice=notice, species=event.species, at=event.onset, text="x"
    )  # type: ignore[arg-type]


def test_one_alert_per_bout_passes_and_two_do_not() -> None:
    together = [*came_and_went(0)[:1], *came_and_went(0, hydrophone="rtp"), *came_and_went(0)[1:]]
    assert judge_alerts([*together, alert("heard")]).violations == ()
    assert judge_alerts([*together, alert("heard"), alert("heard")]).violations == ("2 alerts of 1 bouts",)
    assert judge_alerts(together).violations == ("nobody was told of 1 bouts",)
    assert judge_alerts([*together, *came_and_went(5), alert("heard"), alert("heard")]).figures["bouts"] == 2
