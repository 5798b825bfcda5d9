"""The parts beside listening that a station's configuration asks for, put together."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from seacanary.alerts.engine import Alerting, count_alerts
from seacanary.beside import Beside, Part, Surroundings
from seacanary.beside_watching import open_watching
from seacanary.beside_web import web_part
from seacanary.detection import Detector
from seacanary.evidence.makers import makers
from seacanary.selftest import SelfTest, SelfTestSection
from seacanary.web.review_links import ReviewLinks


@dataclass(frozen=True, slots=True)
class Model:
    """The whole model, as a station has it.

    Attributes:
        detector: T and M.
        live_windows: how many windows wait for it now.
    """

    detector: Detector
    live_windows: Callable[[], int]


@asynccontextmanager
async def open_beside(around: Surroundings, model: Model, links: ReviewLinks | None) -> AsyncIterator[Beside]:
    """Open every part that a station's configuration asks for; close them in reverse order.

    Args:
        around: what they share.
        model: the station's own.
        links: makes and reads the links of the pages; None where there are none.

    Raises:
        ConfigError: a port is in use.
    """
    config = around.config
    async with open_watching(around, makers(model.detector)) as watching, AsyncExitStack() as opened:
        parts = watching.beside.parts
        if config.selftest is not None and config.selftest.enabled:
            parts.append(_self_test(around, model, config.selftest, opened))
        if config.alerts.rules:
            parts.append(_alerting(around))
        if config.web is not None and links is not None:
            parts.append(await web_part(around, config.web, links=links, spool=watching.spool, opened=opened))
        yield watching.beside


def _self_test(around: Surroundings, model: Model, section: SelfTestSection, opened: AsyncExitStack) -> Part:
    config = around.config
    test = SelfTest(
        section,
        detector=model.detector,
        presence=config.presence,
        guard=config.guard,
        metrics=around.metrics,
        live_windows=model.live_windows,
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
