"""Watching: the parts beside listening that a station and an edge share. They need no model, only the audio."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from seacanary.beside import Beside, Part, Surroundings
from seacanary.beside_evidence import archive_part, evidence_parts, open_spool
from seacanary.conditions import ConditionLog
from seacanary.errors import SeaCanaryError
from seacanary.events import Event
from seacanary.evidence.extras import Maker
from seacanary.evidence.names import Part as EvidencePart
from seacanary.evidence.spool import Spool
from seacanary.quality.watch import QualityWatch
from seacanary.wiring import is_named_by

Memory = Callable[[], dict[str, str]]


@dataclass(frozen=True, slots=True)
class Watching:
    """What watches over the hydrophones.

    Attributes:
        beside: the parts, to which others may be added.
        spool: the audio of the last minutes; None: no evidence is kept.
    """

    beside: Beside
    spool: Spool | None


@asynccontextmanager
async def open_watching(around: Surroundings, made: Mapping[EvidencePart, Maker]) -> AsyncIterator[Watching]:
    """Open what the configuration asks for: evidence, archive, signal quality; close it in reverse order.

    Args:
        around: what the parts share.
        made: makers of what lies beside a clip.
    """
    config, states = around.config, await around.journal.states()
    memories: list[Memory] = []
    conditions = _conditions(around, states, memories)
    async with AsyncExitStack() as opened:
        parts, spool = list[Part](), None
        if config.evidence is not None:
            spool = open_spool(config, config.evidence, opened)
            parts += evidence_parts(
                around, config.evidence, spool=spool, made=made, conditions=conditions, opened=opened
            )
        if config.archive is not None:
            parts.append(archive_part(around, config.archive, conditions, opened))
        if config.quality.enabled:
            parts.append(_quality(around, conditions, states, memories, opened))
        await conditions.end_elsewhere(
            lambda hydrophone: any(is_named_by(section, hydrophone) for section in config.sources), at=datetime.now(UTC)
        )
        yield Watching(Beside(conditions, parts), spool)


def _conditions(around: Surroundings, states: Mapping[str, str], memories: Sequence[Memory]) -> ConditionLog:
    """A log whose every event is stored with what then holds, and with what the parts know of it."""

    async def tell(events: Sequence[Event]) -> None:
        held = conditions.states()
        for memory in memories:
            held |= memory()
        await around.record(events, held)

    conditions = ConditionLog(around.config.station.name, metrics=around.metrics, tell=tell)
    conditions.restore(states)
    return conditions


def _quality(
    around: Surroundings,
    conditions: ConditionLog,
    states: Mapping[str, str],
    memories: list[Memory],
    opened: AsyncExitStack,
) -> Part:
    watch = QualityWatch(around.config.quality, metrics=around.metrics, conditions=conditions)
    watch.restore(states)
    memories.append(watch.states)
    opened.push_async_callback(watch.aclose)

    async def keep_memory(timeout_s: float) -> bool:
        """The usual level takes long to learn: keep it for the next start."""
        try:
            async with asyncio.timeout(timeout_s):
                await around.record([], watch.states())
        except (TimeoutError, SeaCanaryError):
            return False
        return True

    return Part("quality", watch.run, drain=keep_memory, hear=watch.hear, only_live=True)
