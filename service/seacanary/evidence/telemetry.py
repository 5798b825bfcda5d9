"""Brings what becomes of evidence and archive on the disk into the metrics."""

from seacanary.evidence.disk import DiskRound
from seacanary.metrics import Metrics


class EvidenceTelemetry:
    """Callbacks for EvidenceDisk, EvidenceCopies and Archive."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._species: set[str] = set()

    def disk_looked_at(self, seen: DiskRound) -> None:
        """For EvidenceDisk's on_round."""
        metrics = self._metrics
        for state, holds in (("recording", not seen.verdict.stopped), ("stopped", seen.verdict.stopped)):
            metrics.evidence_state.labels(state).set(holds)
        for deletion in seen.deleted:
            metrics.evidence_deleted.labels(deletion.clip.species, deletion.cause).inc()
        if seen.free_bytes is None:  # nothing was read: the last figures stand
            return
        metrics.disk_free.set(seen.free_bytes)
        metrics.disk_headroom.set(seen.headroom_hours)
        self._species |= seen.kept_bytes.keys()
        for species in self._species:
            metrics.evidence_bytes.labels(species).set(seen.kept_bytes.get(species, 0))

    def copied(self, outcome: str) -> None:
        """For EvidenceCopies' on_copy: verified, or a failed attempt."""
        self._metrics.evidence_copies.labels(outcome).inc()

    def archived(self, kept_bytes: int) -> None:
        """For Archive's on_bytes."""
        self._metrics.archive_bytes.set(kept_bytes)
