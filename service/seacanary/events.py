"""Events: all that a station says, its CloudEvents form, its place in the journal."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from seacanary.presence_event import BandHz, EndReason, EventKind, PresenceEvent, event_id
from seacanary.station_events import AlertEvent, ConditionEvent, ReviewEvent

__all__ = [
    "EVENT",
    "AlertEvent",
    "BandHz",
    "CloudEvent",
    "ConditionEvent",
    "EndReason",
    "Event",
    "EventKind",
    "JournalEntry",
    "PresenceEvent",
    "ReviewEvent",
    "event_id",
    "json_schema",
]

Event: TypeAlias = Annotated[PresenceEvent | ReviewEvent | ConditionEvent | AlertEvent, Field(discriminator="kind")]
EVENT: TypeAdapter[Event] = TypeAdapter(Event)


class CloudEvent(BaseModel):
    """CloudEvents 1.0 structured form of an event."""

    model_config = ConfigDict(frozen=True)

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str = Field(description="/stations/STATION or /stations/STATION/hydrophones/HYDROPHONE")
    type: str = Field(description="org.seacanary.WHAT.CHANGE.v1, such as org.seacanary.presence.started.v1")
    subject: str = Field(description="species, condition or alert rule")
    time: AwareDatetime
    datacontenttype: Literal["application/json"] = "application/json"
    data: Event

    @classmethod
    def of(cls, event: Event) -> Self:
        """Wrap an event; `time` is when what it says happened, never when it was sent."""
        where = f"/hydrophones/{event.hydrophone}" if event.hydrophone else ""
        return cls(
            id=str(event.id),
            source=f"/stations/{event.station}{where}",
            type=event.type,
            subject=event.subject,
            time=event.happened,
            data=event,
        )


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """An event with its place in the journal.

    Attributes:
        sequence: place in append order, from 1, without holes.
        entry_ms: append time in ms since 1970, clamped never to go back.
        entry_step: counts entries of the same entry_ms, from 0.
        event: what happened.
    """

    sequence: int
    entry_ms: int
    entry_step: int
    event: Event


def json_schema() -> dict[str, Any]:
    """JSON Schema of the CloudEvents form as it is sent, published as docs/events.schema.json."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **CloudEvent.model_json_schema(mode="serialization"),
    }
