"""Evidence files: a clip as FLAC with GUANO metadata, and the facts about it as JSON.

The facts are written last and both files appear whole, under their final names or not at all: where
the facts are, the evidence is.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Literal

import guano
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from seacanary import __version__
from seacanary.evidence.clips import ClipAudio, ClipLayout, ClipOutcome, Range
from seacanary.evidence.flac import Encoded, header_rate_hz
from seacanary.evidence.names import AUDIO, FACTS, file_of
from seacanary.presence_event import PresenceEvent


class ClipSource(BaseModel):
    """Where a stretch of a clip comes from."""

    model_config = ConfigDict(frozen=True)

    epoch: AwareDatetime = Field(description="stream epoch in which first_sample counts")
    first_sample: int
    end_sample: int
    at: int = Field(description="where the first of them lies, in samples of the event's epoch")


class ClipFile(BaseModel):
    """The FLAC file."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="of the file beside this one")
    sha256: str
    size_bytes: int
    samples: int
    sample_rate_hz: int = Field(description="the hydrophone's own rate, at which the samples were taken")
    header_rate_hz: int = Field(description="what the file says: the same, unless FLAC cannot say it")
    start: AwareDatetime = Field(description="UTC of the first sample")
    clipped_samples: int = Field(description="beyond full scale, and held at it")
    rounded_samples: int = Field(description="finer than 24 bits, and rounded to them; 0: the file is bit-exact")


class ClipFacts(BaseModel):
    """What a clip holds, and what it lacks. Ranges are [first, end) in samples of `event.epoch`."""

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    event: PresenceEvent
    outcome: ClipOutcome = Field(description="of `part`: nothing missing, something, or everything")
    part: Range = Field(description="the event's own samples that the clip is about")
    whole: bool = Field(description="whether `part` is all of the event from onset to offset so far")
    wanted: Range = Field(description="`part` with pre-roll and post-roll")
    clip: Range | None = Field(description="what the file holds, zeros included; None if there is none")
    missing: tuple[Range, ...] = Field(description="zeros that stand for samples nobody has; of a missed one, the part")
    sources: tuple[ClipSource, ...] = Field(description="where the other samples come from")
    audio: ClipFile | None = Field(description="None if the event was missed")

    def clip_audio(self, folder: Path, stem: str) -> ClipAudio | None:
        """The clip for what is made of it; None if there is none."""
        if self.audio is None or self.clip is None:
            return None
        return ClipAudio(
            path=folder / file_of(stem, AUDIO),
            sample_rate_hz=self.audio.sample_rate_hz,
            start=self.audio.start,
            first_sample=self.clip[0],
            part=self.part,
            missing=self.missing,
        )


def facts_of(event: PresenceEvent, layout: ClipLayout, stem: str, encoded: Encoded | None) -> ClipFacts:
    """What to say of a clip; without `encoded`, that the event was missed."""
    span = layout.span
    audio = encoded and ClipFile(
        name=file_of(stem.rpartition("/")[2], AUDIO),
        sha256=sha256(encoded.flac).hexdigest(),
        size_bytes=len(encoded.flac),
        samples=layout.clip[1] - layout.clip[0],
        sample_rate_hz=span.stream.sample_rate_hz,
        header_rate_hz=header_rate_hz(span.stream.sample_rate_hz),
        start=span.utc(layout.clip[0]),
        clipped_samples=encoded.clipped_samples,
        rounded_samples=encoded.rounded_samples,
    )
    return ClipFacts(
        event=event,
        outcome=layout.outcome,
        part=span.part,
        whole=span.whole,
        wanted=span.wanted,
        clip=layout.clip if audio else None,
        missing=layout.missing if audio else (span.part,),
        sources=_sources(layout) if audio else (),
        audio=audio or None,
    )


def guano_of(event: PresenceEvent, layout: ClipLayout, location: tuple[float, float] | None) -> str:
    """The clip's metadata as GUANO text, as bat and whale software reads it in WAV files.

    Args:
        event: the clip's.
        layout: what the clip holds.
        location: latitude and longitude of the station, degrees.

    Source: Riggsby and Reed, GUANO metadata specification 1.0, https://guano-md.org
    """
    about = {"Species Auto ID": event.species}
    if event.source_file:
        about["Original Filename"] = Path(event.source_file).name
    return _guano_text(layout, location, about=about, own=_of_event(event, layout))


def guano_of_stretch(station: str, layout: ClipLayout, location: tuple[float, float] | None) -> str:
    """As guano_of, of a stretch of audio that is about no event.

    Args:
        station: name of the station.
        layout: what the stretch holds.
        location: latitude and longitude of the station, degrees.
    """
    return _guano_text(layout, location, about={}, own={"Station": station})


def _guano_text(
    layout: ClipLayout,
    location: tuple[float, float] | None,
    *,
    about: Mapping[str, str],
    own: Mapping[str, object],
) -> str:
    rate_hz, (first, end) = layout.span.stream.sample_rate_hz, layout.clip
    text = guano.GuanoFile()
    text["GUANO|Version"] = "1.0"
    text["Timestamp"] = layout.span.utc(first)
    text["Samplerate"] = rate_hz
    text["Length"] = (end - first) / rate_hz
    if header_rate_hz(rate_hz) * 2 < rate_hz:
        text["TE"] = round(rate_hz / header_rate_hz(rate_hz))
    if location is not None:
        text["Loc Position"] = location
    for key, value in about.items():
        text[key] = value
    for key, fact in {"Version": __version__, **own, **_of_samples(layout)}.items():
        text[f"SeaCanary|{key}"] = " ".join(str(fact).splitlines())
    return str(text.to_string())


def read_facts(folder: Path, stem: str) -> ClipFacts | None:
    """The facts of a clip; None if there are none, or none that can be read."""
    try:
        return ClipFacts.model_validate_json((folder / file_of(stem, FACTS)).read_bytes())
    except (OSError, ValidationError):
        return None


def is_whole(folder: Path, stem: str, facts: ClipFacts) -> bool:
    """Whether the audio that the facts speak of is there, unchanged."""
    if facts.audio is None:
        return True
    try:
        return sha256((folder / file_of(stem, AUDIO)).read_bytes()).hexdigest() == facts.audio.sha256
    except OSError:
        return False


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it appears with all its content, on the disk, or not at all.

    Raises:
        OSError: it could not; what was there before is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Have the disk know the file's name too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sources(layout: ClipLayout) -> tuple[ClipSource, ...]:
    """Pieces by stream, those that simply go on joined."""
    joined = list[ClipSource]()
    for piece in layout.pieces:
        source = ClipSource(
            epoch=piece.stream.epoch, first_sample=piece.first_sample, end_sample=piece.end_sample, at=piece.at
        )
        last = joined[-1] if joined else None
        follows = last and last.epoch == source.epoch and last.end_sample == source.first_sample
        if last and follows and last.at + last.end_sample - last.first_sample == source.at:
            joined[-1] = last.model_copy(update={"end_sample": source.end_sample})
        else:
            joined.append(source)
    return tuple(joined)


def _of_event(event: PresenceEvent, layout: ClipLayout) -> dict[str, object]:
    return {
        "Event": event.id,
        "Kind": event.kind,
        "Station": event.station,
        "Model": event.model_id,
        "Peak Probability": event.peak_probability,
        "Event Samples": f"{layout.span.part[0]}-{layout.span.part[1]}",
        "Event Whole": layout.span.whole,
    }


def _of_samples(layout: ClipLayout) -> dict[str, object]:
    return {
        "Hydrophone": layout.span.stream.hydrophone,
        "Epoch": layout.span.stream.epoch.isoformat(),
        "First Sample": layout.clip[0],
        "Outcome": layout.outcome,
        "Missing Samples": ", ".join(f"{first}-{end}" for first, end in layout.missing) or "none",
    }
