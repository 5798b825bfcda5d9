"""What a step of the alert rules came to, and how it is counted."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from seacanary.alerts.book import AlertBook
from seacanary.alerts.bout import Cause
from seacanary.events import AlertEvent
from seacanary.metrics import Metrics


@dataclass(frozen=True, slots=True)
class AlertReport:
    """What a step came to, for metrics.

    Attributes:
        alerts: made and journalled, in order.
        latency_s: journal append of an event to that of the alert it led to at once, by the alert's id;
            an alert that time alone led to has none.
        held_back: notices held back since the last report, by rule and cause.
        told_of: whether people have been told that a species is here, by rule and species.
        journal_failures: reads and writes of the journal that failed since the last report.
    """

    alerts: Sequence[AlertEvent]
    latency_s: Mapping[UUID, float]
    held_back: Mapping[tuple[str, Cause], int]
    told_of: Mapping[tuple[str, str], bool]
    journal_failures: int = 0


def count_alerts(metrics: Metrics, report: AlertReport) -> None:
    """Put a report on the metrics."""
    for alert in report.alerts:
        metrics.alerts.labels(alert.rule, alert.notice).inc()
        if alert.id in report.latency_s:
            metrics.event_to_alert.observe(report.latency_s[alert.id])
    for (rule, cause), count in report.held_back.items():
        metrics.alerts_held_back.labels(rule, cause).inc(count)
    for (rule, species), told in report.told_of.items():
        metrics.alert_open.labels(rule, species).set(told)
    metrics.journal_failures.inc(report.journal_failures)


def closed(gone: Collection[str], before: Mapping[str, AlertBook]) -> AlertReport:
    """Nobody will be told any more of what rules that are gone have told of."""
    told_of = {(name, species): False for name in gone for species in before[name].told_of}
    return AlertReport(alerts=(), latency_s={}, held_back={}, told_of=told_of)
