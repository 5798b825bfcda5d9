"""Windows cut from annotated recordings, with what the annotations say of each call type, and what they do not."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from seacanary.errors import SeaCanaryError
from seacanary.simulation.sounds import CALL_TYPES, CallTypeName
from seacanary_models.annotations import Annotation
from seacanary_models.augment import MODEL_RATE_HZ
from seacanary_models.catalogue import Catalogue, CatalogueEntry
from seacanary_models.datasets import MIN_SAMPLE_RATE_HZ
from seacanary_models.recordings import plain_stretch
from seacanary_models.scenes import WINDOW_SAMPLES

WINDOW_S = WINDOW_SAMPLES / MODEL_RATE_HZ


class CutRule(BaseModel):
    """How windows are cut and annotations are believed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hop_samples: int = Field(WINDOW_SAMPLES // 2, gt=0, description="between windows, at 384 kHz")
    min_confidence: float = Field(0.5, ge=0, le=1, description="an annotation below it is uncertain")
    longest_call_s: float = Field(
        10.0, gt=0, description="a longer annotation is an encounter: calls are in it, but not in each window"
    )


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedWindow:
    """One window and its truth.

    Attributes:
        recording: id of the catalogue entry it is cut from.
        start_s: where in the recording it begins.
        samples: float32 [393216] at 384 kHz, zero after the recording's end.
        targets: float32 [K], 1 where the call type is there.
        weights: float32 [K], 0 where nobody can say.
    """

    recording: str
    start_s: float
    samples: NDArray[np.float32]
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]


def annotated_windows(
    catalogue: Catalogue, entry: CatalogueEntry, *, folder: Path, rule: CutRule | None = None
) -> Iterator[AnnotatedWindow]:
    """All windows of one recording, in order; the last ends where the recording does.

    Args:
        catalogue: has the annotations.
        entry: the recording.
        folder: the catalogue's audio folder.
        rule: None: the usual one.

    Raises:
        SeaCanaryError: the file cannot be read, or is not the one that was catalogued.
    """
    chosen = rule or CutRule()
    audio = _read(entry, folder)
    annotations = catalogue.annotations_of(entry)
    for start in window_starts(audio.size, entry.sample_rate_hz, hop_samples=chosen.hop_samples):
        samples = plain_stretch(
            audio, entry.sample_rate_hz, start=start, to_rate_hz=MODEL_RATE_HZ, samples=WINDOW_SAMPLES
        )
        start_s = start / entry.sample_rate_hz
        targets, weights = window_truth(annotations, entry, start_s=start_s, rule=chosen)
        yield AnnotatedWindow(entry.id, start_s, samples, targets, weights)


def window_starts(size: int, rate_hz: int, *, hop_samples: int) -> list[int]:
    """First sample of each window in a recording of `size` samples; a short recording has one."""
    last = max(0, size - -(-WINDOW_SAMPLES * rate_hz // MODEL_RATE_HZ))
    count = last * MODEL_RATE_HZ // (hop_samples * rate_hz) + 1
    starts = [k * hop_samples * rate_hz // MODEL_RATE_HZ for k in range(count)]
    return starts if starts[-1] == last else [*starts, last]


def window_truth(
    annotations: Sequence[Annotation], entry: CatalogueEntry, *, start_s: float, rule: CutRule
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What the annotations of a recording say of the window [start_s, start_s + 1.024).

    A call that lies in the window, or fills it, is there. A call the window's edge cuts, an uncertain
    annotation and an encounter make its call type unknown. A call type is absent where somebody looked for it
    all through the window (what lies after the recording's end needs no look), or where the recording is
    annotated completely. Everything else is unknown.

    Returns:
        targets and weights, float32 [K] each.
    """
    verdicts = [_verdict(annotations, entry, k, start_s=start_s, rule=rule) for k in range(len(CALL_TYPES))]
    targets = np.array([verdict is True for verdict in verdicts], np.float32)
    weights = np.array([verdict is not None for verdict in verdicts], np.float32)
    return targets, weights


def _verdict(
    annotations: Sequence[Annotation], entry: CatalogueEntry, k: int, *, start_s: float, rule: CutRule
) -> bool | None:
    """Whether call type k is in the window; None: nobody can say."""
    name = CALL_TYPES[k]
    end_s = min(start_s + WINDOW_S, entry.usable_s)
    touching = [a for a in annotations if _concerns(a, name) and _touches(a, start_s, end_s)]
    if any(_certain(a, rule) and _whole(a, start_s, end_s) for a in touching):
        return True if entry.sample_rate_hz >= MIN_SAMPLE_RATE_HZ[k] else None
    if touching:
        return None
    if name in entry.complete or _looked_through(_absences(annotations, name, rule), start_s, end_s):
        return False
    return None


def _concerns(one: Annotation, name: CallTypeName) -> bool:
    """Whether it says that the call type is there or may be; an uncertain sound without a type may be any."""
    return (one.call_type == name and one.meaning != "absent") or (one.call_type is None and one.meaning == "uncertain")


def _touches(one: Annotation, start_s: float, end_s: float) -> bool:
    if one.start_s == one.end_s:  # a point in time
        return start_s <= one.start_s < end_s
    return one.start_s < end_s and one.end_s > start_s


def _whole(one: Annotation, start_s: float, end_s: float) -> bool:
    inside = start_s <= one.start_s and one.end_s <= end_s
    return inside or (one.start_s <= start_s and end_s <= one.end_s)


def _certain(one: Annotation, rule: CutRule) -> bool:
    return one.meaning == "present" and _believed(one, rule) and one.end_s - one.start_s <= rule.longest_call_s


def _believed(one: Annotation, rule: CutRule) -> bool:
    return one.confidence is None or one.confidence >= rule.min_confidence


def _absences(annotations: Iterable[Annotation], name: CallTypeName, rule: CutRule) -> list[Annotation]:
    return [a for a in annotations if a.meaning == "absent" and a.call_type in (None, name) and _believed(a, rule)]


def _looked_through(absences: Iterable[Annotation], start_s: float, end_s: float) -> bool:
    """Whether annotations of absence, one after the other, leave nothing of [start_s, end_s) out."""
    reached_s = start_s
    for one in sorted(absences, key=lambda a: a.start_s):
        if one.start_s <= reached_s:
            reached_s = max(reached_s, one.end_s)
    return reached_s >= end_s


def _read(entry: CatalogueEntry, folder: Path) -> NDArray[np.float32]:
    """First channel up to where it repeats, float32 [n], read-only."""
    try:
        samples, rate_hz = soundfile.read(folder / entry.file, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as exc:
        raise SeaCanaryError(f"{entry.file} cannot be read as audio: {exc}") from exc
    if rate_hz != entry.sample_rate_hz:
        raise SeaCanaryError(
            f"{entry.file} has {rate_hz} Hz, the catalogue says {entry.sample_rate_hz}; import it anew"
        )
    mono = np.ascontiguousarray(samples[: round(entry.usable_s * rate_hz), 0])
    mono.flags.writeable = False
    return mono
