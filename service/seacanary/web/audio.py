"""Audio on request: any stretch of the last minutes, as FLAC."""

import math
from collections.abc import Sequence
from datetime import UTC
from typing import Annotated, Self

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from starlette.exceptions import HTTPException
from starlette.responses import Response

from seacanary.evidence.clips import Range
from seacanary.evidence.recent_audio import RecentAudio, Stretch
from seacanary.web.troubles import Answers, Trouble

NOT_KEPT = "This station keeps no audio; `evidence` in its configuration turns that on."
# Headers have to be short; the file itself tells of all.
MOST_GAPS = 20
SAMPLES: Answers = {200: {"content": {"audio/flac": {}}, "description": "the samples, exact to 24 bits"}}
REFUSALS: Answers = {
    404: {"model": Trouble, "description": "no such hydrophone, or it gave no audio then, or none is kept here"},
    410: {"model": Trouble, "description": "it has made room for newer audio"},
    413: {"model": Trouble, "description": "more than may be asked for at once"},
    416: {"model": Trouble, "description": "not heard yet; Retry-After says when it will be"},
    503: {"model": Trouble, "description": "too many ask at once"},
}


class Between(BaseModel):
    """When: [start, end), with time zone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: AwareDatetime = Field(description="of the first sample, such as 2026-11-21T09:28:53.5Z")
    end: AwareDatetime = Field(description="after the last sample")

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.end <= self.start:
            raise ValueError("end must be later than start")
        return self


class AudioApi:
    """Gives what the spool still holds."""

    def __init__(self, audio: RecentAudio | None) -> None:
        """Serve from a spool; None: no audio is kept."""
        self._audio = audio

    def router(self) -> APIRouter:
        """Its place, described for OpenAPI."""
        router = APIRouter()
        router.get(
            "/api/audio/{hydrophone}",
            response_class=Response,
            responses={
                200: {"content": {"audio/flac": {}}, "description": "the samples, exact to 24 bits"},
                **REFUSALS,
            },
            summary="Any stretch of the last minutes; zeros where samples were lost, and the headers say so",
        )(self.stretch)
        return router

    async def stretch(self, hydrophone: str, between: Annotated[Between, Query()]) -> Response:
        """A stretch as a FLAC file."""
        if self._audio is None:
            raise HTTPException(404, NOT_KEPT)
        found = await self._audio.cut(hydrophone, between.start, between.end)
        return Response(found.encoded.flac, media_type="audio/flac", headers=_headers(found))


def retry_after(wait_s: float | None) -> dict[str, str]:
    """The header that says when to ask again; none if nobody knows."""
    return {} if wait_s is None else {"retry-after": str(max(1, math.ceil(wait_s)))}


def _headers(found: Stretch) -> dict[str, str]:
    """Where the samples lie in their stream, to the sample."""
    layout, encoded = found.layout, found.encoded
    stream = layout.span.stream
    return {
        "seacanary-start": found.start.astimezone(UTC).isoformat(),
        "seacanary-epoch": stream.epoch.astimezone(UTC).isoformat(),
        "seacanary-sample-rate-hz": str(stream.sample_rate_hz),
        "seacanary-samples": f"{layout.clip[0]}-{layout.clip[1]}",
        "seacanary-missing": _gaps(layout.missing),
        "seacanary-rounded-samples": str(encoded.rounded_samples),
        "seacanary-clipped-samples": str(encoded.clipped_samples),
    }


def _gaps(missing: Sequence[Range]) -> str:
    told = ", ".join(f"{first}-{end}" for first, end in missing[:MOST_GAPS])
    return (told or "none") + (f", and {len(missing) - MOST_GAPS} more" if len(missing) > MOST_GAPS else "")
