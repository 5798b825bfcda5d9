"""Selection: which of the journal's events a publisher carries."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from seacanary.events import AlertEvent, ConditionEvent, Event, PresenceEvent, ReviewEvent

Carried = Literal["presence", "alerts", "reviews", "conditions"]


class Selection(BaseModel):
    """The events that go to one destination. What it does not carry it acknowledges at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    events: tuple[Carried, ...] = Field(("alerts",), min_length=1, description="which kinds of event it carries")
    rules: tuple[str, ...] = Field((), description="alert rules whose alerts it carries; empty: every rule's")

    def carries(self, event: Event) -> bool:
        """Whether an event is to be delivered; `rules` chooses among alerts alone."""
        if isinstance(event, AlertEvent) and self.rules and event.rule not in self.rules:
            return False
        return _sort_of(event) in self.events


def _sort_of(event: Event) -> Carried:
    match event:
        case PresenceEvent():
            return "presence"
        case AlertEvent():
            return "alerts"
        case ReviewEvent():
            return "reviews"
        case ConditionEvent():
            return "conditions"
