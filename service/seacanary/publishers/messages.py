"""Events as messages for people: a title, and a text with times in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from seacanary.events import AlertEvent, ConditionEvent, Event, PresenceEvent, ReviewEvent
from seacanary.presence_event import UNOBSERVED

TITLES = {"heard": "heard", "still_here": "still here", "gone": "gone", "digest": "digest"}
LINKS = {
    "confirm": "It is one - confirm",
    "reject": "It is none - reject",
    "evidence": "Listen and look",
}


@dataclass(frozen=True, slots=True)
class Message:
    """What a person is sent: plain text."""

    title: str
    body: str


def message_of(event: Event, links: Mapping[str, str]) -> Message:
    """Put an event into words.

    Args:
        event: any.
        links: URLs by what they are for; those of LINKS come first, with a word on what they do.
    """
    match event:
        case AlertEvent():
            title, lines = _alert(event)
        case PresenceEvent():
            title, lines = _presence(event)
        case ReviewEvent():
            title, lines = _review(event)
        case ConditionEvent():
            title, lines = _condition(event)
    known = [f"{text}: {links[name]}" for name, text in LINKS.items() if name in links]
    others = [f"{name}: {url}" for name, url in links.items() if name not in LINKS]
    footer = f"Station {event.station}, {_time(event.happened)}. Id {event.id}"
    return Message(title, "\n".join([*lines, *known, *others, footer]))


def _alert(alert: AlertEvent) -> tuple[str, list[str]]:
    news = "not observed any more" if alert.reason in UNOBSERVED else TITLES[alert.notice]
    what = f"{alert.species} {news}" if alert.species else f"{alert.rule}: {news}"
    where = ", ".join(alert.hydrophones)
    lines = [f"{alert.text}."]
    if alert.onset is not None:
        until = f", last call {_time(alert.offset)}" if alert.offset is not None else ""
        lines.append(f"First call {_time(alert.onset)}{until}.")
    if alert.evidence:
        lines.append(f"Evidence: {alert.evidence}")
    return f"{what} at {where}" if where else what, [*lines, f"Rule {alert.rule}."]


def _presence(event: PresenceEvent) -> tuple[str, list[str]]:
    calls = ", ".join(event.call_types)
    reason = f", {event.reason}" if event.reason else ""
    line = f"{calls} since {_time(event.onset)}, probability up to {event.peak_probability:.2f}{reason}."
    return f"{event.species} {event.kind} at {event.hydrophone}", [line]


def _review(event: ReviewEvent) -> tuple[str, list[str]]:
    note = f": {event.note}" if event.note else ""
    line = f"By {event.reviewer}, {_time(event.reviewed_at)}, of event {event.event_id}{note}."
    return f"{event.species} at {event.hydrophone} {event.verdict}", [line]


def _condition(event: ConditionEvent) -> tuple[str, list[str]]:
    where = f" at {event.hydrophone}" if event.hydrophone else ""
    return f"{event.condition} {event.change}{where}", [f"Since {_time(event.since)}.", event.detail]


def _time(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
