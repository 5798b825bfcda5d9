"""What a station keeps of the audio of its events."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from seacanary.evidence.clips import ClipSpan, span_of
from seacanary.evidence.spool import SpoolSection
from seacanary.presence_event import PresenceEvent

# Windows wait for the model this long at most (batching.queue_windows), with time to journal and to read.
BACKLOG_S = 60.0


class EvidenceSection(BaseModel):
    """What is kept of the audio of events."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    path: Path = Field(Path("evidence"), description="folder of clips; made if missing")
    pre_roll_s: float = Field(2.0, ge=0, le=60, description="audio before the event in its clip, seconds")
    post_roll_s: float = Field(2.0, ge=0, le=60, description="audio after the event in its clip, seconds")
    longest_clip_s: float = Field(
        60.0,
        gt=0,
        le=600,
        description="most of a presence in one clip, seconds; of a longer one, started has the head, others the end",
    )
    silence_s: float = Field(10.0, gt=0, description="a hydrophone silent for this long has no more post-roll to give")
    longest_wait_s: float = Field(300.0, gt=0, description="no clip waits longer than this for its audio, seconds")
    longest_request_s: float = Field(
        60.0, gt=0, le=600, description="most audio given for one request to the web server, seconds"
    )
    spool: SpoolSection = SpoolSection()

    @model_validator(mode="after")
    def _spool_reaches_back(self) -> Self:
        least_s = self.pre_roll_s + self.longest_clip_s + self.post_roll_s
        if self.spool.keep_s < least_s:
            raise ValueError(
                f"spool.keep_s ({self.spool.keep_s:g}) must be at least pre_roll_s + longest_clip_s + post_roll_s "
                f"({least_s:g})"
            )
        return self

    @property
    def spool_path(self) -> Path:
        """Folder of raw audio."""
        return self.spool.path or self.path / ".spool"

    def spool_for(self, hold_s: float) -> SpoolSection:
        """The spool as it must be: an end is told only after the hold, and its clip begins long before that.

        Args:
            hold_s: the longest of the presence rules'.
        """
        least_s = self.pre_roll_s + self.longest_clip_s + self.post_roll_s + hold_s + BACKLOG_S
        return self.spool.model_copy(update={"keep_s": max(self.spool.keep_s, least_s)})

    def span_of(self, event: PresenceEvent) -> ClipSpan:
        """What the clip of an event should hold."""
        return span_of(event, pre_roll_s=self.pre_roll_s, post_roll_s=self.post_roll_s, longest_s=self.longest_clip_s)
