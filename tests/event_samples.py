"""Presence events and journal entries for tests of what becomes of events."""

from datetime import UTC, datetime, timedelta

from seacanary.events import JournalEntry, PresenceEvent, event_id

EPOCH = datetime(2026, 5, 1, tzinfo=UTC)
RATE_HZ = 384_000


def event(onset_sample: int, *, species: str = "beluga", hydrophone: str = "north") -> PresenceEvent:
    """A presence that has just started; its onset sample tells it from others."""
    return PresenceEvent(
        id=event_id(
            "station",
            hydrophone,
            epoch=EPOCH,
            species=species,
            onset_sample=onset_sample,
            kind="started",
            revision=0,
        ),
        kind="started",
        station="station",
        hydrophone=hydrophone,
        species=species,
        call_types=("whistle",),
        epoch=EPOCH,
        sample_rate_hz=RATE_HZ,
        onset_sample=onset_sample,
        onset=EPOCH + timedelta(seconds=onset_sample / RATE_HZ),
        peak_probability=0.9,
        mean_probability=0.8,
        windows_seen=2,
        windows_positive=2,
        coverage=1.0,
        model_id="m1",
    )


def entry(sequence: int) -> JournalEntry:
    """The event of onset sample `sequence` in that place of the journal."""
    return JournalEntry(sequence=sequence, entry_ms=1, entry_step=sequence, event=event(sequence))
