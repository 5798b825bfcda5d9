"""ClipWriter: from an event to its files, on whatever thread may wait for the disk."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from seacanary.evidence.clips import ClipLayout, ClipSpan, Held, Range, Stream, lay_out
from seacanary.evidence.files import ClipFacts, facts_of, guano_of, is_whole, read_facts, write_whole
from seacanary.evidence.flac import Encoded, SamplesGone, encode
from seacanary.evidence.names import AUDIO, FACTS, file_of, stem_of
from seacanary.presence_event import PresenceEvent


class Samples(Protocol):
    """Where samples are kept for a while."""

    def held(self, hydrophone: str) -> Iterable[Held]:
        """What there is of a hydrophone."""

    def read(self, stream: Stream, first: int, end: int) -> tuple[NDArray[np.float32], list[Range]]:
        """The samples [first, end) of a stream, zeros where there are none, and the ranges that are not there."""


class ClipWriter:
    """Writes each event's evidence once; a repeat finds it there and leaves it."""

    def __init__(
        self,
        folder: Path,
        samples: Samples,
        *,
        span_of: Callable[[PresenceEvent], ClipSpan],
        location: tuple[float, float] | None = None,
    ) -> None:
        """Prepare; nothing is written yet.

        Args:
            folder: of all evidence.
            samples: where the audio waits.
            span_of: says what a clip should hold.
            location: latitude and longitude of the station, degrees.
        """
        self._folder, self._samples = folder, samples
        self._span_of, self._location = span_of, location

    def write(self, event: PresenceEvent) -> ClipFacts:
        """Write the clip of an event with its facts, or the facts alone if nothing of it is held.

        Raises:
            OSError: the disk does not take it.
            soundfile.SoundFileError: it cannot be encoded.
        """
        stem = stem_of(event)
        facts = read_facts(self._folder, stem)
        if facts is not None and facts.event.id == event.id and is_whole(self._folder, stem, facts):
            return facts
        layout, encoded = self._encoded(event)
        facts = facts_of(event, layout, stem, encoded)
        if encoded is not None:
            write_whole(self._folder / file_of(stem, AUDIO), encoded.flac)
        write_whole(self._folder / file_of(stem, FACTS), facts.model_dump_json(indent=1).encode())
        return facts

    def _encoded(self, event: PresenceEvent) -> tuple[ClipLayout, Encoded | None]:
        """Lay the clip out and encode it, again if samples were dropped meanwhile: then less is held."""
        span = self._span_of(event)
        while True:
            layout = lay_out(span, self._samples.held(event.hydrophone))
            if layout.outcome == "missed":
                return layout, None
            try:
                return layout, encode(layout, self._samples.read, comment=guano_of(event, layout, self._location))
            except SamplesGone:
                continue
