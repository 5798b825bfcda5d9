"""PresenceEvent: what a station says, its deterministic id, its CloudEvents form."""

from dataclasses import dataclass
from typing import Any, Literal, Self
from uuid import UUID, uuid5

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

# uuid5(NAMESPACE_DNS, "events.seacanary.org"): fixed for ever, or ids change.
EVENT_NAMESPACE = UUID("6d700aa5-30cb-5474-80c0-fd40d8b4a838")

EventKind = Literal["started", "updated", "ended"]
EndReason = Literal["quiet", "lost_coverage", "stream_ended", "station_stopped", "superseded"]


class BandHz(BaseModel):
    """A frequency band [low, high)."""

    model_config = ConfigDict(frozen=True)

    low: float = Field(ge=0, description="lower edge, hertz")
    high: float = Field(gt=0, description="upper edge, hertz")


class PresenceEvent(BaseModel):
    """A species came, is still here, or left. Messages ignore unknown fields."""

    model_config = ConfigDict(frozen=True)

    id: UUID = Field(description="UUIDv5 of station, hydrophone, epoch, species, onset sample, kind, revision")
    kind: EventKind
    station: str
    hydrophone: str
    species: str
    call_types: tuple[str, ...] = Field(description="call types heard, sorted")
    epoch: AwareDatetime = Field(description="stream epoch that onset_sample counts from")
    sample_rate_hz: int = Field(gt=0, description="the stream's own rate, in which samples count")
    onset_sample: int = Field(description="stream index of the first call's onset in `epoch`")
    offset_sample: int | None = Field(None, description="stream index of the last call's end so far, in `epoch`")
    onset: AwareDatetime
    offset: AwareDatetime | None = Field(None, description="end of the last call heard so far; final once ended")
    revision: int = Field(0, ge=0, description="0 for started, then counting up")
    reason: EndReason | None = Field(
        None,
        description="why it ended; None before. superseded: a caller was heard over a persistent source",
    )
    peak_probability: float = Field(ge=0, le=1, description="highest of any window so far")
    mean_probability: float = Field(ge=0, le=1, description="over the positive windows")
    windows_seen: int = Field(ge=0, description="windows analysed since onset")
    windows_positive: int = Field(ge=0, description="of these, windows over the leave threshold")
    band_hz: BandHz | None = None
    coverage: float = Field(ge=0, le=1, description="share of the time since onset that was observed")
    persistent_source: bool = Field(False, description="held back from alerting: same narrow band for hours")
    evidence: str | None = Field(None, description="reference to the clip, if kept")
    model_id: str
    source_file: str | None = None


def event_id(
    station: str,
    hydrophone: str,
    *,
    epoch: AwareDatetime,
    species: str,
    onset_sample: int,
    kind: EventKind,
    revision: int,
) -> UUID:
    """Name an event by what it is about, so that the same audio gives the same id."""
    parts = (station, hydrophone, epoch.isoformat(), species, str(onset_sample), kind, str(revision))
    return uuid5(EVENT_NAMESPACE, "\x1f".join(parts))


class CloudEvent(BaseModel):
    """CloudEvents 1.0 structured form of a presence event."""

    model_config = ConfigDict(frozen=True)

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str = Field(description="/stations/STATION/hydrophones/HYDROPHONE")
    type: str = Field(description="org.seacanary.presence.KIND.v1")
    subject: str = Field(description="species")
    time: AwareDatetime
    datacontenttype: Literal["application/json"] = "application/json"
    data: PresenceEvent

    @classmethod
    def of(cls, event: PresenceEvent) -> Self:
        """Wrap an event; `time` is when what it says happened, never when it was sent."""
        happened = event.onset if event.kind == "started" else event.offset or event.onset
        return cls(
            id=str(event.id),
            source=f"/stations/{event.station}/hydrophones/{event.hydrophone}",
            type=f"org.seacanary.presence.{event.kind}.v1",
            subject=event.species,
            time=happened,
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
    event: PresenceEvent


def json_schema() -> dict[str, Any]:
    """JSON Schema of the CloudEvents form as it is sent, published as docs/events.schema.json."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **CloudEvent.model_json_schema(mode="serialization"),
    }
