"""PresenceEvent: what a station says of a species, and its deterministic id."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from seacanary.event_ids import named_by

EventKind = Literal["started", "updated", "ended"]
EndReason = Literal["quiet", "lost_coverage", "stream_ended", "station_stopped", "superseded"]
# Ends of listening, not of a presence: whether anybody is still there is not known.
UNOBSERVED: frozenset[EndReason] = frozenset({"lost_coverage", "stream_ended", "station_stopped"})


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

    @property
    def started_id(self) -> UUID:
        """Id of the event that this presence started with: its name for as long as it lasts."""
        return event_id(
            self.station,
            self.hydrophone,
            epoch=self.epoch,
            species=self.species,
            onset_sample=self.onset_sample,
            kind="started",
            revision=0,
        )

    @property
    def type(self) -> str:
        """CloudEvents type."""
        return f"org.seacanary.presence.{self.kind}.v1"

    @property
    def subject(self) -> str:
        """What it is about, within its source."""
        return self.species

    @property
    def happened(self) -> datetime:
        """When what it says happened, never when it was sent."""
        return self.onset if self.kind == "started" else self.offset or self.onset


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
    return named_by(station, hydrophone, epoch.isoformat(), species, str(onset_sample), kind, str(revision))
