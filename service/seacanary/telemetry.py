"""Telemetry: brings what the stages know into the metrics, as it happens or once a second."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import get_args

from seacanary.events import EventKind
from seacanary.evidence.clips import ClipOutcome
from seacanary.hydrophone import Hydrophone
from seacanary.ledger import LedgerTotals
from seacanary.metrics import Metrics
from seacanary.observations import Detection
from seacanary.publishers.circuit import CircuitState
from seacanary.publishers.delivery import DeliveryStatus
from seacanary.sources.supervised import SourceChange, SourceState, SupervisedSource

log = logging.getLogger(__name__)

PHASES = ("absent", "candidate", "present", "fading")


class Telemetry:
    """Keeps what was exported before, since counters only take increments."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._exported: dict[str, LedgerTotals] = {}
        self._unobserved: dict[tuple[str, str], int] = {}
        self._steps: dict[str, int] = {}
        self._gaps: dict[str, int] = {}
        self._deliveries: dict[str, DeliveryStatus] = {}
        self._sources: dict[str, tuple[int, int]] = {}

    def detected(self, detection: Detection, hydrophone: Hydrophone) -> None:
        """A window was analysed."""
        name, metrics = detection.hydrophone, self._metrics
        metrics.windows.labels(name).inc()
        for call_type, probability in detection.probability.items():
            metrics.probability.labels(name, call_type).set(probability)
        for call_type in detection.abstained:
            metrics.windows_abstained.labels(name, call_type).inc()
        for tracker in hydrophone.trackers:
            heard = [p for call_type, p in detection.probability.items() if call_type in tracker.call_types]
            if heard:
                metrics.species_probability.labels(name, tracker.species).set(max(heard))

    def concluded(self, detection: Detection, hydrophone: Hydrophone, *, now_s: float, led_to_events: bool) -> None:
        """A window is done with, its events journalled; how long after its last sample, for live audio only."""
        clock = hydrophone.intake.clock
        if clock is None or clock.error_bound_s() is None:
            return
        length = timedelta(seconds=(detection.end_sample - detection.first_sample) / detection.sample_rate_hz)
        latency_s = max(0.0, now_s - (detection.start + length).timestamp())
        self._metrics.capture_to_conclusion.observe(latency_s)
        if led_to_events:
            self._metrics.capture_to_event.observe(latency_s)

    def export_source(self, name: str, source: SupervisedSource) -> None:
        """Bring a source's counts up to date."""
        shed, overflows = self._sources.get(name, (0, 0))
        self._metrics.source_shed_blocks.labels(name).inc(source.shed_blocks - shed)
        self._metrics.source_overflows.labels(name).inc(source.overflows - overflows)
        self._sources[name] = (source.shed_blocks, source.overflows)

    def source_changed(self, name: str, change: SourceChange) -> None:
        """A source came into another state."""
        for state in get_args(SourceState):
            self._metrics.source_state.labels(name, state).set(state == change.state)
        if change.state == "unusable":
            log.error("source %s can never work: %s", name, change.reason)
        if change.state in ("stalled", "lost"):
            self._metrics.source_restarts.labels(name, change.state).inc()
            wait_s = change.next_try_s or 0.0
            log.warning("source %s %s: %s; next try in %.1f s", name, change.state, change.reason, wait_s)

    def delivery_changed(self, now_s: Callable[[], float], status: DeliveryStatus) -> None:
        """A publisher got on, or did not."""
        before = self._deliveries.get(status.publisher, DeliveryStatus(status.publisher))
        name, metrics = status.publisher, self._metrics
        metrics.publisher_pending.labels(name).set(status.waiting)
        metrics.publisher_failures.labels(name).inc(status.failures - before.failures)
        metrics.publisher_deadletters.labels(name).inc(status.dead_letters - before.dead_letters)
        metrics.journal_failures.inc(status.journal_failures - before.journal_failures)
        for outcome, now, then in (
            ("delivered", status.acknowledged, before.acknowledged),
            ("retried", status.failures, before.failures),
            ("rejected", status.refused, before.refused),
        ):
            metrics.publisher_requests.labels(name, outcome).inc(now - then)
        for state in get_args(CircuitState):
            metrics.circuit_state.labels(name, state).set(state == status.circuit)
        self._deliveries[name] = status
        self.age_deliveries(now_s())

    def delivery_over(self, publisher: str) -> None:
        """A publisher is gone, or another of its name begins to count anew."""
        self._deliveries.pop(publisher, None)
        self._metrics.publisher_pending.remove(publisher)
        self._metrics.publisher_lag.remove(publisher)
        for state in get_args(CircuitState):
            self._metrics.circuit_state.remove(publisher, state)

    @property
    def deliveries(self) -> Collection[DeliveryStatus]:
        """Where each publisher stands, as last told."""
        return self._deliveries.values()

    def age_deliveries(self, now_s: float) -> None:
        """What waits grows older, also while nothing changes."""
        for status in self._deliveries.values():
            self._metrics.publisher_lag.labels(status.publisher).set(status.lag_s(now_s))

    def export(self, hydrophones: Mapping[str, Hydrophone], *, ntp_error_s: float | None) -> None:
        """Bring every hydrophone's metrics up to date.

        Args:
            hydrophones: by name.
            ntp_error_s: largest error of the system clock, where known.
        """
        for name, hydrophone in hydrophones.items():
            if name not in self._exported:
                self._begin_presence(name, hydrophone)
        self.export_capture(hydrophones, ntp_error_s=ntp_error_s)
        for name, hydrophone in hydrophones.items():
            self._export_presence(name, hydrophone)
            self._export_guard(name, hydrophone)

    def export_capture(self, hydrophones: Mapping[str, Hydrophone], *, ntp_error_s: float | None) -> None:
        """As export, of what was heard and when alone: where presence is followed elsewhere."""
        for name, hydrophone in hydrophones.items():
            if name not in self._exported:
                self._begin_capture(name)
            self._export_ledger(name, hydrophone)
            self._export_clock(name, hydrophone, ntp_error_s)

    def _begin_capture(self, name: str) -> None:
        """Counters of a hydrophone at zero: a rate over a series that begins at 1 would miss its first count."""
        self._metrics.windows_shed.labels(name)
        for outcome in get_args(ClipOutcome):
            self._metrics.evidence_clips.labels(name, outcome)

    def _begin_presence(self, name: str, hydrophone: Hydrophone) -> None:
        """The same of presences, where they are followed: at an edge a zero would be a claim."""
        for tracker in hydrophone.trackers:
            for kind in get_args(EventKind):
                self._metrics.events.labels(name, tracker.species, kind)

    def _export_ledger(self, name: str, hydrophone: Hydrophone) -> None:
        ledger, metrics = hydrophone.intake.ledger, self._metrics
        totals = ledger.totals
        if hydrophone.intake.sample_rate_hz:
            metrics.sample_rate.labels(name).set(hydrophone.intake.sample_rate_hz)
        before = asdict(self._exported.get(name, LedgerTotals()))
        for what, count in asdict(totals).items():
            if what in metrics.samples:
                metrics.samples[what].labels(name).inc(count - before[what])
        self._exported[name] = totals
        metrics.samples_pending.labels(name).set(totals.pending)
        metrics.gaps.labels(name).inc(hydrophone.gaps - self._gaps.get(name, 0))
        self._gaps[name] = hydrophone.gaps
        settled = totals.elapsed - totals.pending
        metrics.coverage.labels(name).set(totals.analysed / settled if settled else 0.0)
        for call_type, count in ledger.unobserved_by_call_type.items():
            seen = self._unobserved.get((name, call_type), 0)
            metrics.unobserved_by_call_type.labels(name, call_type).inc(count - seen)
            self._unobserved[name, call_type] = count

    def _export_clock(self, name: str, hydrophone: Hydrophone, ntp_error_s: float | None) -> None:
        clock = hydrophone.intake.clock
        if clock is None:
            return
        if clock.drift_ppm is not None:
            self._metrics.clock_drift.labels(name).set(clock.drift_ppm * 1e-6)
        error_s = clock.error_bound_s(ntp_error_s)
        if error_s is not None:
            self._metrics.clock_error.labels(name).set(error_s)
        # A new epoch begins a new clock, whose count starts at zero again.
        before = self._steps.get(name, 0)
        self._metrics.clock_steps.labels(name).inc(max(0, clock.step_count - before))
        self._steps[name] = clock.step_count

    def _export_presence(self, name: str, hydrophone: Hydrophone) -> None:
        for tracker in hydrophone.trackers:
            for phase in PHASES:
                self._metrics.presence_state.labels(name, tracker.species, phase).set(phase == tracker.phase)

    def _export_guard(self, name: str, hydrophone: Hydrophone) -> None:
        flagged = {state.call_type: state.band_hz for state in hydrophone.guard.flagged}
        for call_type in {call_type for tracker in hydrophone.trackers for call_type in tracker.call_types}:
            band_hz = flagged.get(call_type)
            self._metrics.guard_flagged.labels(name, call_type).set(band_hz is not None)
            self._metrics.guard_low.labels(name, call_type).set(band_hz.low if band_hz else 0.0)
            self._metrics.guard_high.labels(name, call_type).set(band_hz.high if band_hz else 0.0)
