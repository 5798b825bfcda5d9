"""Audio whose every sample tells its own index, so that a clip shows what it was cut from."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from seacanary.audio import AudioBlock, read_only
from seacanary.events import EventKind, PresenceEvent, event_id
from seacanary.evidence.clips import Stream

EPOCH = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
STEPS = 2**24  # of 24 bits


def sample_values(stream: Stream, first: int, end: int) -> NDArray[np.float32]:
    """Samples [first, end) of a stream: 24-bit values, never zero, unlike those of its other epochs.

    An odd multiplier makes index to value one to one over 2**23 samples; zero stands for what is missing.
    """
    salt = int(stream.epoch.timestamp() * 1e6) % 10_007 + sum(stream.hydrophone.encode())
    steps = ((np.arange(first, end, dtype=np.int64) * 40_503 + salt) % (STEPS // 2 - 1)) + 1
    signs = np.where(np.arange(first, end) % 2, -1, 1)
    return (steps * signs / (STEPS // 2)).astype(np.float32)


def known_block(stream: Stream, first: int, end: int, *, time_known: bool = True) -> AudioBlock:
    """Samples [first, end) of a stream as a block."""
    samples = read_only(sample_values(stream, first, end))
    return AudioBlock(stream.hydrophone, samples, first, stream.sample_rate_hz, stream.epoch, time_known=time_known)


def known_blocks(stream: Stream, ranges: Iterable[tuple[int, int]], *, size: int) -> list[AudioBlock]:
    """Ranges of a stream in blocks of a size."""
    return [
        known_block(stream, first, min(first + size, end)) for start, end in ranges for first in range(start, end, size)
    ]


def presence(
    stream: Stream, onset: int, offset: int, *, kind: EventKind = "started", revision: int = 0, species: str = "beluga"
) -> PresenceEvent:
    """A presence at samples [onset, offset) of a stream, with exact times."""

    def utc(sample: int) -> datetime:
        return stream.epoch + timedelta(seconds=sample / stream.sample_rate_hz)

    return PresenceEvent(
        id=event_id(
            "station",
            stream.hydrophone,
            epoch=stream.epoch,
            species=species,
            onset_sample=onset,
            kind=kind,
            revision=revision,
        ),
        kind=kind,
        station="station",
        hydrophone=stream.hydrophone,
        species=species,
        call_types=("whistle",),
        epoch=stream.epoch,
        sample_rate_hz=stream.sample_rate_hz,
        onset_sample=onset,
        offset_sample=offset,
        onset=utc(onset),
        offset=utc(offset),
        revision=revision,
        peak_probability=0.9,
        mean_probability=0.8,
        windows_seen=2,
        windows_positive=2,
        coverage=1.0,
        model_id="m1",
    )


def is_in(sample: int, ranges: Sequence[tuple[int, int]]) -> bool:
    """Whether a sample lies in one of the ranges."""
    return any(first <= sample < end for first, end in ranges)
