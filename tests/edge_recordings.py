"""Recordings that an edge plays, whose clips can be held against the very files."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from fakes import EPOCH
from seacanary.evidence.files import ClipFacts
from seacanary.evidence.names import AUDIO, FACTS, file_of, stem_of
from seacanary.presence_event import PresenceEvent

RATE_HZ = 8000
TAKE_S = 10.0


def record(folder: Path, *, seconds: float, seed: int, start: datetime = EPOCH) -> NDArray[np.float32]:
    """Files of 24 bits that follow one another without a gap: bouts that the tiny model takes for calls, in noise.

    Returns:
        float32 [n], full scale ±1: what the files hold, from the first sample of the first on.
    """
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    pcm = random.normal(0, 0.01, round(seconds * RATE_HZ))
    at_s = 1.0
    while at_s < seconds:
        length_s = random.uniform(0.3, 1.2)
        pcm[round(at_s * RATE_HZ) : round((at_s + length_s) * RATE_HZ)] *= random.uniform(80, 120)
        at_s += length_s + random.uniform(1.5, 4.0)
    take = round(TAKE_S * RATE_HZ)
    for first in range(0, pcm.size, take):
        begins = start + timedelta(seconds=first / RATE_HZ)
        soundfile.write(
            folder / f"{begins:%Y%m%d_%H%M%S}.wav", pcm[first : first + take].clip(-1, 1), RATE_HZ, subtype="PCM_24"
        )
    return np.concatenate([soundfile.read(path, dtype="float32")[0] for path in sorted(folder.glob("*.wav"))])


def check_clips(
    folder: Path, events: Sequence[PresenceEvent], truth: dict[str, NDArray[np.float32]]
) -> list[ClipFacts]:
    """Check that each event has its one clip, under its own name, bit by bit what was recorded, and nobody else has.

    Args:
        folder: of the evidence.
        events: all that there are.
        truth: what each hydrophone played, from sample 0 of its one epoch on.

    Returns:
        The facts of each event's clip.
    """
    told = [ClipFacts.model_validate_json((folder / file_of(stem_of(event), FACTS)).read_bytes()) for event in events]
    for event, facts in zip(events, told, strict=True):
        assert (facts.event, event.evidence) == (event, stem_of(event))
        if facts.audio is None or facts.clip is None:
            assert facts.outcome == "missed"
            continue
        samples, rate_hz = soundfile.read(folder / file_of(stem_of(event), AUDIO), dtype="float32")
        expected = truth[event.hydrophone][slice(*facts.clip)].copy()
        for first, end in facts.missing:
            expected[first - facts.clip[0] : end - facts.clip[0]] = 0
        np.testing.assert_array_equal(samples, expected)
        assert (rate_hz, facts.audio.rounded_samples) == (event.sample_rate_hz, 0)
    assert len(list(folder.rglob("*.json"))) == len({event.id for event in events})
    assert len(list(folder.rglob("*.flac"))) == sum(facts.audio is not None for facts in told)
    return told
