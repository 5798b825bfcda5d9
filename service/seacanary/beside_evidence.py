"""What is kept of the audio, put together: clips and what is made of them, the disk, copies, the archive."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Never

from seacanary.beside import Part, Surroundings
from seacanary.conditions import ConditionLog
from seacanary.config import StationConfig
from seacanary.events import AlertEvent, PresenceEvent
from seacanary.evidence.archive import Archive, ArchiveSection
from seacanary.evidence.consumer import Evidence, EvidenceCallbacks
from seacanary.evidence.copies import EvidenceCopies
from seacanary.evidence.disk import EvidenceDisk
from seacanary.evidence.extras import Extras, Maker
from seacanary.evidence.names import PICTURE, file_of, stem_of
from seacanary.evidence.names import Part as EvidencePart
from seacanary.evidence.section import EvidenceSection
from seacanary.evidence.spool import Spool
from seacanary.evidence.telemetry import EvidenceTelemetry

LOOK_S = 5.0
# A minute of sound takes some seconds to write, and what is not written at the end waits for another start.
CLIPS_DRAIN_S = 30.0

SPOOL_STOPPED, ARCHIVE_STOPPED = "spool_stopped", "archive_stopped"


def picture_of(config: StationConfig, alert: AlertEvent) -> Path | None:
    """Where an alert's picture is, or will be; None: there is none."""
    if config.evidence is None or alert.evidence is None:
        return None
    return config.evidence.path / file_of(alert.evidence, PICTURE)


def with_evidence(config: StationConfig, event: PresenceEvent) -> PresenceEvent:
    """The event with the reference to its clip, if clips are kept."""
    return event if config.evidence is None else event.model_copy(update={"evidence": stem_of(event)})


def open_spool(config: StationConfig, section: EvidenceSection, opened: AsyncExitStack) -> Spool:
    """Where the audio of the last minutes waits for its events; closed last of all."""
    spool = Spool(section.spool_path, section.spool_for(config.presence.longest_hold_s))
    opened.push_async_callback(asyncio.to_thread, spool.close)
    return spool


def evidence_parts(
    around: Surroundings,
    section: EvidenceSection,
    *,
    spool: Spool,
    made: Mapping[EvidencePart, Maker],
    conditions: ConditionLog,
    opened: AsyncExitStack,
) -> list[Part]:
    """Clips, what is made of them, and the disk they lie on; copies too, if they are asked for.

    Args:
        around: what the parts share.
        section: what to keep.
        spool: where the audio is.
        made: makers of what lies beside a clip.
        conditions: told of troubles.
        opened: closes the parts.
    """
    config, metrics, telemetry = around.config, around.metrics, EvidenceTelemetry(around.metrics)
    disk = EvidenceDisk(section.path, config.retention, conditions=conditions, on_round=telemetry.disk_looked_at)

    callbacks = EvidenceCallbacks(
        on_clip=lambda hydrophone, outcome: metrics.evidence_clips.labels(hydrophone, outcome).inc(),
        on_late=lambda hydrophone: metrics.evidence_late.labels(hydrophone).inc(),
        on_shed=lambda hydrophone, samples: metrics.evidence_shed.labels(hydrophone).inc(samples),
        on_state=lambda _state, _reason: disk.look_soon(),
        refusal=disk.refusal,
    )
    evidence = Evidence(around.journal, spool, section, callbacks=callbacks, location=around.location)
    extras = Extras(around.journal, section.path, made)
    for part in (disk, extras, evidence):
        opened.push_async_callback(part.aclose)

    def spool_trouble() -> str | None:
        """Show how far the audio reaches; say why none is written."""
        for hydrophone, held_s in spool.reach_s().items():
            metrics.evidence_spool.labels(hydrophone).set(held_s)
        return spool.trouble

    async def drain_clips(_: float) -> bool:
        return await evidence.drain(CLIPS_DRAIN_S)

    async def heed(changed: StationConfig) -> None:
        spool.keep(section.spool_for(changed.presence.longest_hold_s).keep_s)

    parts = [
        Part("evidence", evidence.run, drain=drain_clips, hear=spool.hear, has_room=lambda: spool.has_room, heed=heed),
        Part("spool", partial(_watch, conditions, SPOOL_STOPPED, spool_trouble)),
        Part("pictures", extras.run, drain=extras.drain),
        Part("retention", disk.run),
    ]
    if config.evidence_copy is not None:
        copies = EvidenceCopies(section.path, config.evidence_copy, on_copy=telemetry.copied)
        opened.push_async_callback(copies.aclose)
        parts.append(Part("copies", copies.run))
    return parts


def archive_part(
    around: Surroundings, section: ArchiveSection, conditions: ConditionLog, opened: AsyncExitStack
) -> Part:
    """All audio as files, and the count of what could not be kept."""
    archive = Archive(section, station=around.config.station.name, on_bytes=EvidenceTelemetry(around.metrics).archived)
    opened.push_async_callback(archive.aclose)
    counted = Counter[str]()

    def trouble() -> str | None:
        """Count what was shed; say why nothing is written."""
        total = archive.shed_samples()
        for hydrophone, samples in (total - counted).items():
            around.metrics.archive_shed.labels(hydrophone).inc(samples)
        counted.update(total - counted)
        return archive.trouble

    return Part("archive", partial(_watch, conditions, ARCHIVE_STOPPED, trouble), hear=archive.hear)


async def _watch(conditions: ConditionLog, condition: str, trouble: Callable[[], str | None]) -> Never:
    """Tell of a trouble when it begins and when it is over, until cancelled."""
    while True:
        reason = trouble()
        await conditions.note(condition, holds=reason is not None, at=datetime.now(UTC), detail=reason or "")
        await asyncio.sleep(LOOK_S)
