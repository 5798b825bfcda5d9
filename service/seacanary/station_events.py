"""What else a station says: a person's word on an event, a condition of its own, an alert for people."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from seacanary.presence_event import EndReason

Verdict = Literal["confirmed", "rejected"]
Change = Literal["begun", "ended"]
Notice = Literal["heard", "still_here", "gone", "digest"]


class ReviewEvent(BaseModel):
    """A person confirmed or rejected a presence. Later words do not replace earlier ones: the trail keeps all."""

    model_config = ConfigDict(frozen=True)

    id: UUID = Field(description="UUIDv5 of station, the event reviewed, verdict, reviewer and time")
    kind: Literal["reviewed"] = "reviewed"
    station: str
    hydrophone: str
    species: str
    event_id: UUID = Field(description="the presence event that was judged")
    verdict: Verdict
    reviewer: str = Field(description="who said so")
    reviewed_at: AwareDatetime
    rule: str | None = Field(None, description="alert rule whose message was answered, if one was")
    note: str = ""

    @property
    def type(self) -> str:
        """CloudEvents type."""
        return "org.seacanary.presence.reviewed.v1"

    @property
    def subject(self) -> str:
        """What it is about, within its source."""
        return self.species

    @property
    def happened(self) -> datetime:
        """When what it says happened."""
        return self.reviewed_at


class ConditionEvent(BaseModel):
    """Something about the station itself began or ended: a deaf hydrophone, a full disk."""

    model_config = ConfigDict(frozen=True)

    id: UUID = Field(description="UUIDv5 of station, hydrophone, condition, since and change")
    kind: Literal["condition"] = "condition"
    station: str
    hydrophone: str | None = Field(None, description="None: of the whole station")
    condition: str = Field(description="its name, such as evidence_stopped or clipping")
    change: Change
    since: AwareDatetime = Field(description="when it began")
    at: AwareDatetime = Field(description="when it changed")
    detail: str = Field("", description="what was seen, and what would help, as a sentence")

    @property
    def type(self) -> str:
        """CloudEvents type."""
        return "org.seacanary.station.condition.v1"

    @property
    def subject(self) -> str:
        """What it is about, within its source."""
        return self.condition

    @property
    def happened(self) -> datetime:
        """When what it says happened."""
        return self.at


class AlertEvent(BaseModel):
    """A message for people that an alert rule made of events. One bout at a station is one alert."""

    model_config = ConfigDict(frozen=True)

    id: UUID = Field(description="UUIDv5 of station, rule, notice and the events it is about")
    kind: Literal["alerted"] = "alerted"
    station: str
    hydrophone: None = None
    rule: str = Field(description="name of the rule that made it")
    notice: Notice
    species: str | None = Field(None, description="None: a digest over several")
    hydrophones: tuple[str, ...] = Field((), description="that heard the bout, sorted")
    at: AwareDatetime = Field(description="when the rule decided")
    onset: AwareDatetime | None = Field(None, description="first call of the bout")
    offset: AwareDatetime | None = Field(None, description="last call of the bout so far")
    peak_probability: float | None = Field(None, ge=0, le=1)
    events: tuple[UUID, ...] = Field((), description="presence events it is about, at most the first 100")
    events_count: int = Field(0, ge=0, description="how many there are in all")
    held_back: dict[str, int] = Field(default_factory=dict, description="digest: notices held back, by cause")
    reason: EndReason | None = Field(
        None, description="gone: why the last presence ended; whoever was not observed any more may still be there"
    )
    confirmed_by: str | None = Field(None, description="who confirmed it, where the rule asks for that")
    evidence: str | None = Field(None, description="reference to the clip of its first event, if kept")
    text: str = Field(description="one sentence for people")

    @property
    def type(self) -> str:
        """CloudEvents type."""
        return f"org.seacanary.alert.{self.notice}.v1"

    @property
    def subject(self) -> str:
        """What it is about, within its source."""
        return self.rule

    @property
    def happened(self) -> datetime:
        """When what it says happened."""
        return self.at
