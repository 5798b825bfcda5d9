"""Annotation: what somebody says of one stretch of one recording, in one schema for every format."""

import unicodedata
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from seacanary.simulation.sounds import CallTypeName

Meaning = Literal["present", "absent", "uncertain"]


def one_line(text: object) -> object:
    """Text without control characters and surplus blanks, so that every table format can carry it."""
    if not isinstance(text, str):
        return text
    return " ".join("".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in text).split())


Text = Annotated[str, Field(min_length=1), BeforeValidator(one_line)]


class Annotation(BaseModel):
    """One labelled stretch [start_s, end_s) of one recording; start_s = end_s marks a point in time.

    A `present` annotation without a call type is another sound. An `absent` one says that its call type,
    or without one every call type, was looked for all through the stretch and not found. Where nobody
    annotated nothing is known, unless the catalogue says that the recording is annotated completely.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    file: Text = Field(description="the recording's path in its catalogue, or its bare name")
    start_s: float = Field(ge=0, description="seconds from the recording's first sample")
    end_s: float = Field(ge=0)
    low_hz: float | None = Field(None, ge=0, description="None: not given")
    high_hz: float | None = Field(None, ge=0)
    label: Text | None = Field(None, description="the annotator's own word")
    call_type: CallTypeName | None = None
    species: Text | None = None
    meaning: Meaning = "present"
    annotator: Text = Field(description="person or detector")
    licence: Text = Field(description="of the annotation, not of the audio")
    confidence: float | None = Field(None, ge=0, le=1)
    notes: Text | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end_s < self.start_s:
            raise ValueError(f"end_s ({self.end_s}) must not be before start_s ({self.start_s})")
        if self.low_hz is not None and self.high_hz is not None and self.high_hz < self.low_hz:
            raise ValueError(f"high_hz ({self.high_hz}) must not be below low_hz ({self.low_hz})")
        return self


@dataclass(frozen=True, slots=True)
class Origin:
    """What an annotation file does not say of itself.

    Attributes:
        file: the recording all its annotations belong to; None: each row names its own.
        encoding: of text files; None: UTF-8, or UTF-16 where the file begins with its mark.
    """

    annotator: str
    licence: str
    file: str | None = None
    encoding: str | None = None
