"""The web server as a part beside listening: of a station with reviews, of an edge without."""

import logging
from contextlib import AsyncExitStack

from seacanary.beside import Part, Surroundings
from seacanary.evidence.recent_audio import RecentAudio
from seacanary.evidence.spool import Spool
from seacanary.web.review_links import ReviewLinks
from seacanary.web.section import WebSection

log = logging.getLogger(__name__)


async def web_part(
    around: Surroundings,
    section: WebSection,
    *,
    links: ReviewLinks | None,
    spool: Spool | None,
    opened: AsyncExitStack,
) -> Part:
    """The server, listening.

    Args:
        around: what the parts share.
        section: where to listen.
        links: signs and checks the links of reviews; None: nobody answers here.
        spool: the audio of the last minutes; None: none is kept.
        opened: closes what the server uses.

    Raises:
        ConfigError: the port is in use, or the address is not this machine's.
    """
    from seacanary.web.server import (
        WebServer,  # takes a third of a second, which only those with pages have to wait for
    )

    config, audio = around.config, None
    if config.evidence is not None and spool is not None:
        audio = RecentAudio(spool, config.evidence, station=config.station.name, location=around.location)
        opened.push_async_callback(audio.aclose)
    server = await opened.enter_async_context(
        WebServer.open(
            section,
            station=config.station.name,
            journal=config.journal.path,
            links=links,
            evidence=config.evidence.path if config.evidence else None,
            audio=audio,
            tell=around.tell,
            metrics=around.metrics,
        )
    )
    log.info("pages at %s", server.url)
    return Part("web", server.run)
