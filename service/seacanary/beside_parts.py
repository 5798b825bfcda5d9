"""The parts beside listening that a configuration asks for, put together."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from seacanary.alerts.engine import Alerting, count_alerts
from seacanary.beside import Beside, Part, Surroundings
from seacanary.beside_evidence import archive_part, evidence_parts
from seacanary.conditions import ConditionLog
from seacanary.errors import SeaCanaryError
from seacanary.events import Event
from seacanary.quality.watch import QualityWatch
from seacanary.selftest import SelfTest, SelfTestSection
from seacanary.web.review_links import ReviewLinks
from seacanary.web.section import WebSection
from seacanary.web.server import WebServer
from seacanary.wiring import is_named_by

log = logging.getLogger(__name__)

Memory = Callable[[], dict[str, str]]


@asynccontextmanager
async def open_beside(around: Surroundings, links: ReviewLinks | None) -> AsyncIterator[Beside]:
    """Open every part that the configuration asks for; close them in reverse order.

    Args:
        around: what they share.
        links: makes and reads the links of the pages; None where there are none.

    Raises:
        ConfigError: a port is in use.
    """
    config, states = around.config, await around.journal.states()
    memories: list[Memory] = []
    conditions = _conditions(around, states, memories)
    async with AsyncExitStack() as opened:
        beside = Beside(conditions)
        if config.evidence is not None:
            beside.parts += evidence_parts(around, config.evidence, conditions, opened)
        if config.archive is not None:
            beside.parts.append(archive_part(around, config.archive, conditions, opened))
        if config.quality.enabled:
            beside.parts.append(_quality(around, conditions, states, memories, opened))
        if config.selftest is not None and config.selftest.enabled:
            beside.parts.append(_self_test(around, config.selftest, opened))
        if config.alerts.rules:
            beside.parts.append(_alerting(around))
        if config.web is not None and links is not None:
            beside.parts.append(await _web(around, config.web, links, opened))
        await conditions.end_elsewhere(
            lambda hydrophone: any(is_named_by(section, hydrophone) for section in config.sources), at=datetime.now(UTC)
        )
        yield beside


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


def _self_test(around: Surroundings, section: SelfTestSection, opened: AsyncExitStack) -> Part:
    config = around.config
    test = SelfTest(
        section,
        detector=around.detector,
        presence=config.presence,
        guard=config.guard,
        metrics=around.metrics,
        live_windows=around.live_windows,
    )
    opened.push_async_callback(test.aclose)
    return Part("selftest", test.run, hear=test.hear, only_live=True)


def _alerting(around: Surroundings) -> Part:
    config = around.config
    rules = [config.presence.rule, *config.presence.species.values()]
    alerting = Alerting(
        around.journal,
        config.alerts,
        station=config.station.name,
        hold_s=max(rule.hold_s for rule in rules),
        on_step=partial(count_alerts, around.metrics),
    )
    for rule in config.alerts.rules:  # from zero, so that a rate sees the first alert
        for notice in rule.notices:
            around.metrics.alerts.labels(rule.name, notice)
    return Part("alerts", alerting.run, drain=alerting.drain)


async def _web(around: Surroundings, section: WebSection, links: ReviewLinks, opened: AsyncExitStack) -> Part:
    config = around.config
    server = await opened.enter_async_context(
        WebServer.open(
            section,
            station=config.station.name,
            journal=config.journal.path,
            links=links,
            evidence=config.evidence.path if config.evidence else None,
            tell=around.tell,
            metrics=around.metrics,
        )
    )
    log.info("pages at %s", server.url)
    return Part("web", server.run)
