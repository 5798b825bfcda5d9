"""Effort: how long each species could have been heard, and how long it was, brought into the metrics."""

from collections.abc import Mapping
from typing import get_args

from seacanary.hydrophone import Hydrophone
from seacanary.ledger import Ledger
from seacanary.metrics import Metrics
from seacanary.presence import PresenceTracker
from seacanary.presence_event import EventKind

# A fading presence is still one: it ends at its last call, or goes on.
HEARD_IN = ("present", "fading")


class Effort:
    """Keeps what was exported before, since counters only take increments.

    Audio counts when the ledger settles it, about a window after it was heard, and
    goes to the presence of that moment: seconds of presence are right to about a second
    per onset and offset. What lies in a gap, was shed or is beyond the stream's
    rate for the species is not listened, and so neither presence nor absence.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._listened_samples: dict[tuple[str, str], int] = {}

    def export(self, hydrophones: Mapping[str, Hydrophone]) -> None:
        """Bring every hydrophone's effort up to date; all series are there from the first call on."""
        for name, hydrophone in hydrophones.items():
            rate_hz = hydrophone.intake.sample_rate_hz
            for tracker in hydrophone.trackers:
                self._begin(name, tracker.species)
                if rate_hz is not None:
                    self._add(hydrophone, tracker, rate_hz)
            if rate_hz is not None:
                self._metrics.sample_rate.labels(name).set(rate_hz)

    def _begin(self, name: str, species: str) -> None:
        """A counter that is first seen above zero hides its first increment from Prometheus."""
        self._metrics.listened.labels(name, species)
        self._metrics.presence.labels(name, species)
        for kind in get_args(EventKind):
            self._metrics.events.labels(name, species, kind)

    def _add(self, hydrophone: Hydrophone, tracker: PresenceTracker, rate_hz: int) -> None:
        key = (hydrophone.name, tracker.species)
        listened = listened_samples(hydrophone.intake.ledger, tracker.call_types)
        new_s = (listened - self._listened_samples.get(key, 0)) / rate_hz
        self._listened_samples[key] = listened
        self._metrics.listened.labels(*key).inc(new_s)
        if tracker.phase in HEARD_IN:
            self._metrics.presence.labels(*key).inc(new_s)


def listened_samples(ledger: Ledger, call_types: tuple[str, ...]) -> int:
    """Analysed samples whose rate carries at least one of the call types."""
    unobserved = ledger.unobserved_by_call_type
    return ledger.totals.analysed - min(unobserved.get(call_type, 0) for call_type in call_types)
