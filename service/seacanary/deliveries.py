"""Deliveries: a station's publishers, each at its own pace and failing alone."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import BaseModel

from seacanary.beside import Beside, Part
from seacanary.beside_evidence import picture_of
from seacanary.config import PublisherSection, StationConfig
from seacanary.journal import Journal
from seacanary.publishers import Publisher
from seacanary.publishers.delivery import Delivery, DeliveryPolicy, DeliveryStatus
from seacanary.web.review_links import ReviewLinks
from seacanary.wiring import delivery_policy, open_publisher

log = logging.getLogger(__name__)

# An attempt lasts as long as its policy's timeout_s, and the cursor's move a moment more.
LEAVE_MORE_S = 5.0


@dataclass(frozen=True, slots=True)
class Channel:
    """One publisher at work.

    Attributes:
        section: that describes it.
        policy: how patiently it is asked.
        files: digests of the files that its section names, by path.
        publisher: the destination.
        delivery: brings it the journal.
    """

    section: PublisherSection
    policy: DeliveryPolicy
    files: Mapping[Path, str]
    publisher: Publisher
    delivery: Delivery

    @property
    def part(self) -> Part:
        """As a part that fails alone: a library's surprise at one channel must not end the listening."""
        return Part(f"publisher_{self.publisher.name}", self.delivery.run, leave=self.delivery.leave)


Channels = dict[str, Channel]


class Deliveries:
    """All publishers of a station. Get them with `async with Deliveries.open(...)`."""

    def __init__(
        self,
        journal: Journal,
        config: StationConfig,
        *,
        links: ReviewLinks | None,
        on_change: Callable[[DeliveryStatus], None],
        on_gone: Callable[[str], None],
    ) -> None:
        self._journal, self._config, self._links = journal, config, links
        self._on_change, self._on_gone = on_change, on_gone
        self._channels: Channels = {}
        self._opened: list[Publisher] = []

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        journal: Journal,
        config: StationConfig,
        *,
        links: ReviewLinks | None,
        on_change: Callable[[DeliveryStatus], None],
        on_gone: Callable[[str], None] = lambda _: None,
    ) -> "AsyncIterator[Deliveries]":
        """Open every publisher; close them at the end.

        Args:
            journal: what is delivered.
            config: of the station.
            links: makes the links in messages; None: there are none.
            on_change: learns of every step, on the loop.
            on_gone: told the name of a publisher whose delivery is over while the station goes on.

        Raises:
            ConfigError: a secret cannot be read.
        """
        deliveries = cls(journal, config, links=links, on_change=on_change, on_gone=on_gone)
        try:
            deliveries._channels = await deliveries.prepare(config)
            yield deliveries
        finally:
            await deliveries._close()

    @property
    def parts(self) -> list[Part]:
        """Each publisher as a part."""
        return [channel.part for channel in self._channels.values()]

    async def renewed(self) -> list[str]:
        """Publishers that name a file whose content has changed since they were opened."""
        return [
            name
            for name, channel in self._channels.items()
            if channel.files != await asyncio.to_thread(_files_of, channel.section)
        ]

    async def prepare(self, config: StationConfig) -> Channels:
        """The publishers of a configuration, by name: those at work where they serve it, else new ones, not begun.

        Raises:
            ConfigError: a secret cannot be read; nothing stays open that was opened for it.
        """
        channels: Channels = {}
        async with AsyncExitStack() as undo:
            for section in config.publishers:
                policy = delivery_policy(section, config.delivery)
                files = await asyncio.to_thread(_files_of, section)
                known = self._channels.get(section.name)
                if known is None or (known.section, known.policy, known.files) != (section, policy, files):
                    known = self._made(section, policy, files)
                    undo.push_async_callback(known.publisher.aclose)
                channels[section.name] = known
            undo.pop_all()
        self._opened += [channel.publisher for channel in channels.values() if channel.publisher not in self._opened]
        return channels

    async def discard(self, channels: Channels) -> None:
        """Close what prepare() has opened for nothing."""
        for name, channel in channels.items():
            if self._channels.get(name) is not channel:
                await channel.publisher.aclose()
                self._opened.remove(channel.publisher)

    async def switch(self, channels: Channels, beside: Beside) -> None:
        """Go on with other publishers: each takes over where the last one of its name has come to.

        Args:
            channels: as prepare() made them.
            beside: runs them.
        """
        before, self._channels = self._channels, channels
        names = [name for name in {**before, **channels} if before.get(name) is not channels.get(name)]
        await asyncio.gather(*(self._replace(before.get(name), channels.get(name), beside) for name in names))

    async def drain(self, timeout_s: float) -> bool:
        """Give them all a little time; False if it was too short for one."""
        return all(await asyncio.gather(*(channel.delivery.drain(timeout_s) for channel in self._channels.values())))

    async def unsent(self) -> dict[str, int]:
        """Events that each publisher has still to deliver."""
        return {name: self._journal.head - await self._journal.cursor(name) for name in self._channels}

    def _made(self, section: PublisherSection, policy: DeliveryPolicy, files: Mapping[Path, str]) -> Channel:
        links = self._links.links if self._links else lambda _: {}
        publisher = open_publisher(section, links=links, picture=partial(picture_of, self._config))
        delivery = Delivery(self._journal, publisher, policy=policy, on_change=self._on_change)
        return Channel(section, policy, files, publisher, delivery)

    async def _replace(self, before: Channel | None, after: Channel | None, beside: Beside) -> None:
        try:
            if before is not None:
                await self._end(before, beside)
        finally:
            if after is not None:
                beside.add(after.part)

    async def _end(self, channel: Channel, beside: Beside) -> None:
        name, within_s = channel.publisher.name, channel.policy.timeout_s + LEAVE_MORE_S
        if not await beside.remove(channel.part.name, within_s=within_s):
            log.warning("publisher %s was cut off in the middle of a request; it may repeat that one event", name)
        self._opened.remove(channel.publisher)
        try:
            await channel.publisher.aclose()
        except Exception:  # whatever a library says at parting, it is not used any more
            log.exception("publisher %s could not be closed in order", name)
        self._on_gone(name)

    async def _close(self) -> None:
        async with AsyncExitStack() as closing:
            for publisher in self._opened:
                closing.push_async_callback(publisher.aclose)


def _files_of(section: BaseModel) -> dict[Path, str]:
    """Digests of the secrets and certificates that a section names; of one that cannot be read, "" ."""
    return {path: _digest(path) for path in _named_files(section)}


def _named_files(section: BaseModel) -> Iterator[Path]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _named_files(value)
        elif isinstance(value, Path) and name.endswith("_file"):
            yield value


def _digest(path: Path) -> str:
    with suppress(OSError):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return ""
