"""Places recordings in stream epochs: one that follows another without a break goes on counting."""

from datetime import datetime, timedelta

from seacanary.sources.recordings import Recording

_STEP = timedelta(microseconds=1)
# After a restart an epoch that was not heard to its end is read again from its first file,
# so that windows lie where they lay before; this bounds how much that is.
LONGEST_JOINED = timedelta(hours=1)


class Timeline:
    """Decide, file by file, whether the epoch goes on or a new one begins."""

    def __init__(self, join_tolerance_s: float | None) -> None:
        self._tolerance = None if join_tolerance_s is None else timedelta(seconds=join_tolerance_s)
        self._last: Recording | None = None
        self._epoch: datetime | None = None
        self._next_sample = 0

    def place(self, recording: Recording) -> tuple[datetime, int]:
        """Epoch and stream index of a recording's first sample."""
        if self._epoch is None or not self._continues(recording):
            # Two files may claim one start; their epochs must differ all the same.
            distinct = _STEP if recording.start == self._epoch else timedelta()
            self._epoch, self._next_sample = recording.start + distinct, 0
        self._last = recording
        return self._epoch, self._next_sample

    def advance(self, frames: int) -> None:
        """Count the frames that the last placed recording really had."""
        self._next_sample += frames

    def _continues(self, recording: Recording) -> bool:
        last, epoch = self._last, self._epoch
        if self._tolerance is None or last is None or epoch is None:
            return False
        if not (last.time_known and recording.time_known):
            return False
        if (last.sample_rate_hz, last.channels) != (recording.sample_rate_hz, recording.channels):
            return False
        if recording.start - epoch >= LONGEST_JOINED:
            return False
        end = epoch + timedelta(seconds=self._next_sample / last.sample_rate_hz)
        # Two takes of one moment are no sequence, however short they are.
        tolerance = min(self._tolerance, last.length / 2)
        return abs(recording.start - end) < tolerance
