"""EvidenceFiles: clips, pictures and facts of events, out of one folder and nothing else."""

import asyncio
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seacanary.evidence.files import ClipFacts, read_facts
from seacanary.evidence.names import AUDIBLE, AUDIO, FACTS, PARTS, PICTURE, Part, file_of, stem_in

MEDIA_TYPES: Mapping[Part, str] = {
    AUDIO: "audio/flac",
    AUDIBLE: "audio/flac",
    PICTURE: "image/png",
    FACTS: "application/json",
}


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """A file that may be shown.

    Attributes:
        path: where it lies.
        media_type: what it is.
        stat: its size and times.
    """

    path: Path
    media_type: str
    stat: os.stat_result


class EvidenceFiles:
    """What there is to see and hear of an event."""

    def __init__(self, folder: Path | None) -> None:
        """Serve from a folder; None: no evidence is kept."""
        self._folder = folder

    @property
    def are_kept(self) -> bool:
        """Whether there may be any."""
        return self._folder is not None

    async def find(self, path: str) -> EvidenceFile | None:
        """The file of a relative path; None: no such evidence, or no evidence's path."""
        return await asyncio.to_thread(self._find, path)

    async def kept(self, stem: str | None) -> dict[Part, str]:
        """Relative paths of the files that are there for an event's evidence reference."""
        if stem is None:
            return {}
        return await asyncio.to_thread(self._kept, stem)

    async def facts(self, stem: str) -> ClipFacts | None:
        """What is known of an event's clip; None: nothing, or no evidence is kept."""
        return await asyncio.to_thread(read_facts, self._folder, stem) if self._folder is not None else None

    def _kept(self, stem: str) -> dict[Part, str]:
        paths = {part: file_of(stem, part) for part in PARTS}
        return {part: path for part, path in paths.items() if self._find(path) is not None}

    def _find(self, path: str) -> EvidenceFile | None:
        stem = stem_in(path)
        if self._folder is None or stem is None:
            return None
        folder = self._folder.resolve()
        try:
            file = (folder / path).resolve(strict=True)  # a link may lead out of the folder
            status = file.stat()
        except (OSError, ValueError):
            return None
        if not file.is_relative_to(folder) or not stat.S_ISREG(status.st_mode):
            return None
        return EvidenceFile(file, MEDIA_TYPES[_part(path, stem)], status)


def _part(path: str, stem: str) -> Part:
    return next(part for part in PARTS if path == file_of(stem, part))
