"""Event-level figures: how well heard calls match the true ones in time, beyond whole windows.

Two criteria as in sound event detection. Collar: onset and offset each within a tolerance, every event used once
(Mesaros, Heittola and Virtanen 2016, Metrics for Polyphonic Sound Event Detection). Intersection: enough of what is
heard lies in true events, and enough of a true event is covered by such (Bilen et al. 2020, A Framework for the
Robust Evaluation of Sound Event Detection).

Written here because neither known library is kept up: sed_eval's last release is of 2018 and brings sixty packages,
psds_eval's of 2022 uses what pandas has deprecated. Both still run; the tests hold this file to their answers.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

Events = NDArray[np.float64]
"""Float64 [n, 2]: onset and offset in seconds, half-open, of one call type in one recording."""


class EventRule(BaseModel):
    """When a heard event counts as a true one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    collar_s: float = Field(0.2, gt=0, description="tolerance of the onset, and least tolerance of the offset")
    offset_share: float = Field(0.2, ge=0, description="tolerance of the offset as a share of the true length")
    detection_share: float = Field(0.5, gt=0, le=1, description="of a heard event that must lie in true ones")
    truth_share: float = Field(0.5, gt=0, le=1, description="of a true event that such heard ones must cover")


class EventCounts(BaseModel):
    """Matched events under one criterion."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    true_positives: int = Field(description="true events that were heard")
    false_positives: int = Field(description="heard events that match none")
    false_negatives: int = Field(description="true events that were missed")

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; None: no event at all."""
        wrong = self.false_positives + self.false_negatives
        return 2 * self.true_positives / (2 * self.true_positives + wrong) if self.true_positives or wrong else None

    def __add__(self, other: "EventCounts") -> "EventCounts":
        return EventCounts(
            true_positives=self.true_positives + other.true_positives,
            false_positives=self.false_positives + other.false_positives,
            false_negatives=self.false_negatives + other.false_negatives,
        )


class EventScore(BaseModel):
    """One criterion over all recordings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    counts: EventCounts
    precision: float | None
    recall: float | None
    f1: float | None


class EventFigures(BaseModel):
    """Both criteria for one call type."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    true_events: int
    heard_events: int
    collar: EventScore
    intersection: EventScore


def event_figures(truth: Sequence[Events], heard: Sequence[Events], rule: EventRule) -> EventFigures:
    """Compare true and heard events, recording by recording.

    Args:
        truth: one array per recording.
        heard: the same recordings in the same order.
        rule: tolerances.
    """
    pairs = list(zip(truth, heard, strict=True))
    return EventFigures(
        true_events=sum(len(true) for true, _ in pairs),
        heard_events=sum(len(said) for _, said in pairs),
        collar=_score([collar_counts(true, said, rule) for true, said in pairs]),
        intersection=_score([intersection_counts(true, said, rule) for true, said in pairs]),
    )


def macro_f1(figures: Mapping[str, EventFigures]) -> dict[str, float | None]:
    """Mean F1 over call types by criterion; None: no call type has events."""
    by_criterion = {
        "collar": [each.collar.f1 for each in figures.values()],
        "intersection": [each.intersection.f1 for each in figures.values()],
    }
    known = {name: [f1 for f1 in values if f1 is not None] for name, values in by_criterion.items()}
    return {name: float(np.mean(values)) if values else None for name, values in known.items()}


def collar_counts(truth: Events, heard: Events, rule: EventRule) -> EventCounts:
    """Largest set of pairs whose onsets and offsets agree within the tolerances."""
    matched = 0
    if len(truth) and len(heard):
        length = truth[:, 1] - truth[:, 0]
        tolerance = np.maximum(rule.collar_s, rule.offset_share * length)
        near = (np.abs(truth[:, None, 0] - heard[None, :, 0]) <= rule.collar_s) & (
            np.abs(truth[:, None, 1] - heard[None, :, 1]) <= tolerance[:, None]
        )
        matched = int((maximum_bipartite_matching(csr_matrix(near), perm_type="column") >= 0).sum())
    return EventCounts(
        true_positives=matched, false_positives=len(heard) - matched, false_negatives=len(truth) - matched
    )


def intersection_counts(truth: Events, heard: Events, rule: EventRule) -> EventCounts:
    """Heard events that lie in true ones, and true events that those cover; one may stand for several."""
    if not len(truth) or not len(heard):
        return EventCounts(true_positives=0, false_positives=len(heard), false_negatives=len(truth))
    start = np.maximum(truth[:, None, 0], heard[None, :, 0])
    end = np.minimum(truth[:, None, 1], heard[None, :, 1])
    shared = np.maximum(0.0, end - start)
    relevant = shared.sum(axis=0) >= rule.detection_share * (heard[:, 1] - heard[:, 0])
    covered = shared[:, relevant].sum(axis=1) >= rule.truth_share * (truth[:, 1] - truth[:, 0])
    found = int(covered.sum())
    return EventCounts(true_positives=found, false_positives=int((~relevant).sum()), false_negatives=len(truth) - found)


def joined(events: Events, *, gap_s: float) -> Events:
    """Events in order, those that overlap or lie at most gap_s apart as one."""
    merged: list[list[float]] = []
    for onset, offset in events[np.argsort(events[:, 0], kind="stable")].tolist():
        if merged and onset - merged[-1][1] <= gap_s:
            merged[-1][1] = max(merged[-1][1], offset)
        else:
            merged.append([onset, offset])
    return np.array(merged, np.float64).reshape(-1, 2)


def _score(counts: Sequence[EventCounts]) -> EventScore:
    total = sum(counts, EventCounts(true_positives=0, false_positives=0, false_negatives=0))
    said = total.true_positives + total.false_positives
    there = total.true_positives + total.false_negatives
    return EventScore(
        counts=total,
        precision=total.true_positives / said if said else None,
        recall=total.true_positives / there if there else None,
        f1=total.f1,
    )
