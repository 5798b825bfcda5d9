"""Deliveries: a station's publishers, each at its own pace and failing alone."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from seacanary.beside import Part
from seacanary.beside_evidence import picture_of
from seacanary.config import StationConfig
from seacanary.journal import Journal
from seacanary.publishers.delivery import Delivery, DeliveryStatus
from seacanary.web.review_links import ReviewLinks
from seacanary.wiring import delivery_policy, open_publisher


class Deliveries:
    """All publishers of a station. Get them with `async with Deliveries.open(...)`."""

    def __init__(self, journal: Journal, deliveries: Sequence[Delivery]) -> None:
        self._journal, self._deliveries = journal, deliveries

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        journal: Journal,
        config: StationConfig,
        *,
        links: ReviewLinks | None,
        on_change: Callable[[DeliveryStatus], None],
    ) -> "AsyncIterator[Deliveries]":
        """Open every publisher; close them at the end.

        Args:
            journal: what is delivered.
            config: of the station.
            links: makes the links in messages; None: there are none.
            on_change: learns of every step, on the loop.

        Raises:
            ConfigError: a secret cannot be read.
        """
        async with AsyncExitStack() as opened:
            deliveries = []
            for section in config.publishers:
                publisher = open_publisher(
                    section, links=links.links if links else lambda _: {}, picture=partial(picture_of, config)
                )
                opened.push_async_callback(publisher.aclose)
                policy = delivery_policy(section, config.delivery)
                deliveries.append(Delivery(journal, publisher, policy=policy, on_change=on_change))
            yield cls(journal, deliveries)

    @property
    def parts(self) -> list[Part]:
        """Each as a part that fails alone: a library's surprise at one channel must not end the listening."""
        return [Part(f"publisher_{delivery.status.publisher}", delivery.run) for delivery in self._deliveries]

    async def drain(self, timeout_s: float) -> bool:
        """Give them all a little time; False if it was too short for one."""
        return all(await asyncio.gather(*(delivery.drain(timeout_s) for delivery in self._deliveries)))

    async def unsent(self) -> dict[str, int]:
        """Events that each publisher has still to deliver."""
        names = [delivery.status.publisher for delivery in self._deliveries]
        return {name: self._journal.head - await self._journal.cursor(name) for name in names}
