"""Where the evidence of an event lies: known from the event alone, before there is any."""

import re
from datetime import UTC
from typing import Literal, get_args

from seacanary.presence_event import PresenceEvent

Part = Literal[".flac", ".json", ".png", "_x10.flac"]
AUDIO: Part = ".flac"
FACTS: Part = ".json"
PICTURE: Part = ".png"
AUDIBLE: Part = "_x10.flac"
PARTS: tuple[Part, ...] = get_args(Part)

# File systems take 255 bytes for a name; a letter may need four.
_LONGEST_WORD = 40
_UNSAFE = re.compile(r"[^\w.-]")
_STEM = re.compile(r"^(?!\.)[\w.-]+/\d{4}-\d\d-\d\d/\d{8}T\d{6}Z_[\w.-]+_[0-9a-f]{8}$")


def stem_of(event: PresenceEvent) -> str:
    """Relative path of an event's evidence without its ending: the same event always has the same one.

    Returns:
        HYDROPHONE/DATE/ONSET_SPECIES_KIND_ID; date and onset in UTC, the first eight hex digits
        of the event's id. Letters that a path cannot carry everywhere are replaced by "_".
    """
    onset = event.onset.astimezone(UTC)
    name = f"{onset:%Y%m%dT%H%M%S}Z_{_word(event.species)}_{event.kind}_{event.id.hex[:8]}"
    return f"{_word(event.hydrophone)}/{onset:%Y-%m-%d}/{name}"


def file_of(stem: str, part: Part) -> str:
    """Relative path of one of the files that lie beside each other."""
    return stem + part


def stem_in(path: str) -> str | None:
    """The stem that a relative path belongs to; None if it is no file of evidence."""
    for part in sorted(PARTS, key=len, reverse=True):
        stem = path.removesuffix(part)
        if stem != path and _STEM.match(stem):
            return stem
    return None


def _word(name: str) -> str:
    """A name as part of a path: never empty, hidden, or a way out of the folder."""
    word = _UNSAFE.sub("_", name)[:_LONGEST_WORD]
    return f"_{word}" if word[:1] in ("", ".") else word
