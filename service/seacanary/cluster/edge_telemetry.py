"""What an edge's spool and shipping know, brought into the metrics."""

from collections.abc import Callable

from seacanary.cluster.image_spool import Shed, SpoolState
from seacanary.cluster.shipping import Receipt
from seacanary.metrics import Metrics


class EdgeTelemetry:
    """Keeps what was exported before, since counters only take increments."""

    def __init__(self, metrics: Metrics, *, system_s: Callable[[], float]) -> None:
        self._metrics, self._system_s = metrics, system_s
        self._shed: dict[str, Shed] = {}
        self._failures = 0

    def shipped(self, receipt: Receipt) -> None:
        """The brokers have acknowledged a parcel."""
        for item in receipt.sent:
            self._metrics.images_shipped.labels(item.hydrophone).inc()
            self._metrics.image_bytes_shipped.labels(item.hydrophone).inc(len(item.record))
        if receipt.broker_ahead_s is not None:
            self._metrics.brokers_ahead.set(receipt.broker_ahead_s)

    def reached(self, reached: bool) -> None:
        """The brokers answer, or no longer."""
        self._metrics.brokers_reached.set(reached)

    def export(self, state: SpoolState, *, disk_failures: int) -> None:
        """Bring the spool's metrics up to date."""
        self._metrics.spool_envelopes.set(state.envelopes)
        self._metrics.spool_bytes.set(state.size_bytes)
        self._metrics.spool_age.set(0 if state.oldest_s is None else max(0.0, self._system_s() - state.oldest_s))
        self._metrics.spool_failures.inc(disk_failures - self._failures)
        self._failures = disk_failures
        for name, shed in state.shed.items():
            before = self._shed.get(name, Shed(0, 0))
            self._metrics.spool_shed_images.labels(name).inc(shed.images - before.images)
            self._metrics.spool_shed_samples.labels(name).inc(shed.samples - before.samples)
            self._shed[name] = shed
