"""Evidence as it lies on a disk, without a station that made it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from event_samples import event
from seacanary.evidence.names import AUDIO, FACTS, PICTURE, file_of, stem_of

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def stem(age_h: float, species: str = "beluga") -> str:
    """The stem of an event that began so long before NOW."""
    onset = NOW - timedelta(hours=age_h)
    ident = uuid5(NAMESPACE_URL, f"{species}{age_h}")
    return stem_of(event(0, species=species).model_copy(update={"onset": onset, "id": ident}))


def put_clip(folder: Path, age_h: float, size_bytes: int = 1000, *, species: str = "beluga") -> str:
    """Write a clip of so many bytes in all: audio, picture and facts; return its stem."""
    name = stem(age_h, species)
    facts, picture = b"{}", b"P" * (size_bytes // 4)
    parts = {AUDIO: b"A" * (size_bytes - len(picture) - len(facts)), PICTURE: picture, FACTS: facts}
    for part, content in parts.items():
        path = folder / file_of(name, part)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return name
