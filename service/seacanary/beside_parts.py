"""The parts beside listening that a station's configuration asks for, put together."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from seacanary.alerts.engine import Alerting, count_alerts
from seacanary.alerts.rules import AlertsSection
from seacanary.beside import Beside, Part, Surroundings
from seacanary.beside_watching import open_watching
from seacanary.beside_web import web_part
from seacanary.config import StationConfig
from seacanary.detection import Detector
from seacanary.evidence.makers import makers
from seacanary.metrics import Metrics
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

    async def heed(changed: StationConfig) -> None:
        test.use(changed.presence)

    return Part("selftest", test.run, hear=test.hear, only_live=True, heed=heed)


def _alerting(around: Surroundings) -> Part:
    config = around.config
    alerting = Alerting(
        around.journal,
        config.alerts,
        station=config.station.name,
        hold_s=config.presence.longest_hold_s,
        on_step=partial(count_alerts, around.metrics),
    )
    _begin_counts(around.metrics, config.alerts)

    async def heed(changed: StationConfig) -> None:
        _begin_counts(around.metrics, changed.alerts)
        await alerting.change(changed.alerts, hold_s=changed.presence.longest_hold_s)

    return Part("alerts", alerting.run, drain=alerting.drain, heed=heed)


def _begin_counts(metrics: Metrics, section: AlertsSection) -> None:
    """Every rule's alerts from zero, so that a rate sees the first."""
    for rule in section.rules:
        for notice in rule.notices:
            metrics.alerts.labels(rule.name, notice)
