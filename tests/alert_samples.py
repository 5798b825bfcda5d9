"""A journal of presences and reviews, written by hand, for tests of alerts."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from seacanary.alerts.book import AlertBook
from seacanary.alerts.rules import AlertRule
from seacanary.event_ids import named_by
from seacanary.events import AlertEvent, EndReason, EventKind, JournalEntry, PresenceEvent, ReviewEvent, event_id
from seacanary.station_events import Verdict

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """So many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def rule(**fields: object) -> AlertRule:
    """A rule called beluga-watch, with the defaults but for what is given."""
    return AlertRule.model_validate({"name": "beluga-watch"} | fields)


def presence(
    kind: EventKind,
    seconds: float,
    *,
    onset_s: float | None = None,
    hydrophone: str = "north",
    species: str = "beluga",
    probability: float = 0.9,
    persistent: bool = False,
    calls: tuple[str, ...] = ("whistle",),
    reason: EndReason = "quiet",
) -> PresenceEvent:
    """A presence event whose last call was at `seconds` after noon; if it ended, for that reason."""
    began_s = seconds if onset_s is None else onset_s
    onset_sample, revision = round(began_s * 384_000), 0 if kind == "started" else round(seconds * 1000) + 1
    return PresenceEvent(
        id=event_id(
            "station",
            hydrophone,
            epoch=NOON,
            species=species,
            onset_sample=onset_sample,
            kind=kind,
            revision=revision,
        ),
        kind=kind,
        station="station",
        hydrophone=hydrophone,
        species=species,
        call_types=calls,
        epoch=NOON,
        sample_rate_hz=384_000,
        onset_sample=onset_sample,
        revision=revision,
        onset=at(began_s),
        offset=at(seconds),
        reason=reason if kind == "ended" else None,
        peak_probability=probability,
        mean_probability=probability,
        windows_seen=2,
        windows_positive=2,
        coverage=1.0,
        persistent_source=persistent,
        evidence=f"{hydrophone}/{species}-{began_s}",
        model_id="m1",
    )


def review(seconds: float, event_id: UUID, verdict: Verdict, *, species: str = "beluga") -> ReviewEvent:
    """Ana's word on an event."""
    return ReviewEvent(
        id=named_by("review", str(event_id), verdict, str(seconds)),
        station="station",
        hydrophone="north",
        species=species,
        event_id=event_id,
        verdict=verdict,
        reviewer="Ana",
        reviewed_at=at(seconds),
    )


class Diary:
    """Feeds a book with entries and ticks, and keeps what it said."""

    def __init__(self, book: AlertBook) -> None:
        self.book = book
        self.alerts: list[AlertEvent] = []
        self._sequence = 0

    def event(self, seconds: float, event: PresenceEvent | ReviewEvent, *, late: bool = False) -> list[AlertEvent]:
        self._sequence += 1
        entry_ms = round(at(seconds).timestamp() * 1000)
        entry = JournalEntry(sequence=self._sequence, entry_ms=entry_ms, entry_step=0, event=event)
        return self._keep(self.book.take(entry, late=late))

    def started(self, seconds: float, **fields: object) -> list[AlertEvent]:
        return self.event(seconds, presence("started", seconds, **fields))  # type: ignore[arg-type]  # by name

    def updated(self, seconds: float, **fields: object) -> list[AlertEvent]:
        return self.event(seconds, presence("updated", seconds, **fields))  # type: ignore[arg-type]  # by name

    def ended(self, seconds: float, **fields: object) -> list[AlertEvent]:
        return self.event(seconds, presence("ended", seconds, **fields))  # type: ignore[arg-type]  # by name

    def until(self, seconds: float) -> list[AlertEvent]:
        """Tick whenever the book is due, and once at the end."""
        said = []
        while (due := self.book.next_due) is not None and due <= at(seconds):
            said += self._keep(self.book.tick(due))
        return said + self._keep(self.book.tick(at(seconds)))

    def _keep(self, alerts: list[AlertEvent]) -> list[AlertEvent]:
        self.alerts += alerts
        return alerts


def notices(alerts: list[AlertEvent]) -> list[str]:
    """What kinds of notice, in order."""
    return [alert.notice for alert in alerts]
