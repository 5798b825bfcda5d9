"""What an edge does besides shipping images: evidence, archive, signal quality, and pages to ask for clips.

A station's own parts, over a journal of the events that workers made of this station's audio.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from seacanary.beside import Beside, Part, Surroundings
from seacanary.beside_watching import open_watching
from seacanary.beside_web import web_part
from seacanary.cluster.edge_config import EdgeConfig
from seacanary.cluster.edge_events import StationEvents
from seacanary.cluster.edge_events_topic import events_of
from seacanary.contract import ModelContract
from seacanary.evidence.makers import makers_without_model
from seacanary.journal import Journal
from seacanary.journal_patience import patiently
from seacanary.journalling import Journalling
from seacanary.metrics import Metrics
from seacanary.wiring import newcomers


@dataclass(frozen=True, slots=True)
class EdgeBeside:
    """The parts of an edge.

    Attributes:
        beside: they themselves.
        events: of this station, from the workers; None: nothing here needs them.
    """

    beside: Beside
    events: StationEvents | None


@asynccontextmanager
async def open_edge_beside(
    config: EdgeConfig, *, contract: ModelContract, metrics: Metrics, give_up: Callable[[], bool]
) -> AsyncIterator[EdgeBeside]:
    """Open what the configuration asks for; close it in reverse order.

    Args:
        config: the edge's whole configuration.
        contract: of its T.
        metrics: what to count on.
        give_up: whether a failing journal is not to be tried again (the edge stops).

    Raises:
        ConfigError: a port is in use.
        JournalError: the journal is in use, damaged, or of a newer version.
    """
    config = config.with_edge_defaults()
    journalling = Journalling(metrics, on_events=lambda _: None, give_up=give_up)
    async with await Journal.open(config.journal.path) as journal, AsyncExitStack() as opened:
        await journal.begin(newcomers(config))  # before the first event
        around = Surroundings(config, journal, metrics, partial(journalling.record, journal))
        watching = await opened.enter_async_context(open_watching(around, makers_without_model(contract)))
        events, parts = None, watching.beside.parts
        if config.evidence is not None or config.web is not None:
            events = _events(config, around)
            parts.insert(0, Part("events", events.run, drain=events.drain))  # drained before those that wait for events
        if config.web is not None and config.web.enabled:
            parts.append(await web_part(around, config.web, links=None, spool=watching.spool, opened=opened))
        yield EdgeBeside(watching.beside, events)


def _events(config: EdgeConfig, around: Surroundings) -> StationEvents:
    station = config.station.name
    return StationEvents(
        station,
        partial(events_of, config.kafka, station),
        states=partial(patiently, around.journal.states, who="events"),
        record=around.record,
        on_reach=around.metrics.events_reached.set,
    )
