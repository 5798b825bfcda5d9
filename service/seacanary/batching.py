"""Micro-batches across hydrophones, under a deadline."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from seacanary.audio import Window
from seacanary.events import EndReason
from seacanary.observations import Unobserved


class BatchingSection(BaseModel):
    """How windows of several hydrophones are put together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_windows: int = Field(8, ge=1, le=256, description="windows in one batch, at most")
    deadline_s: float = Field(0.02, ge=0, le=5, description="how long a window may wait for company")
    queue_windows: int = Field(
        64,
        ge=1,
        description="windows waiting, at most; a live source's oldest are shed beyond it (1.5 MB each)",
    )


@dataclass(frozen=True, slots=True)
class FileDone:
    """Everything of a file stands before this point of the queue.

    Attributes:
        feed: name of the feed that read it.
        path: the file.
        epoch: the stream epoch it belongs to; None if it was refused.
    """

    feed: str
    path: str
    epoch: datetime | None


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """A hydrophone's feed is over; nothing of it follows."""

    hydrophone: str
    reason: EndReason


@dataclass(frozen=True, slots=True)
class FeedEnded:
    """All hydrophones of a feed are over."""

    feed: str
    reason: EndReason


BatchItem = Window | Unobserved | FileDone | StreamEnded | FeedEnded


@dataclass(frozen=True, slots=True)
class Batch:
    """What leaves the queue together.

    Attributes:
        items: at most max_windows windows, with what stands between them, in order.
        waited_s: how long the oldest of the windows waited, seconds.
    """

    items: list[BatchItem]
    waited_s: float


@dataclass(frozen=True, slots=True)
class _Queued:
    """An item that waits: whether it may be shed, and since when it waits (loop time)."""

    item: BatchItem
    live: bool
    since_s: float


class Batcher:
    """An ordered queue in front of the detector; bounded in windows.

    Everything that concerns a hydrophone leaves in the order it came, what was
    shed included: a shed window leaves as an Unobserved in its own place.
    """

    def __init__(self, section: BatchingSection) -> None:
        self._section = section
        self._items = deque[_Queued]()
        self._windows = 0
        self._arrived, self._room = asyncio.Event(), asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        """Windows waiting."""
        return self._windows

    def put(self, item: BatchItem) -> Window | None:
        """Queue at once, for live sources; returns the oldest live window if it had to be shed."""
        shed = None
        if isinstance(item, Window) and len(self) >= self._section.queue_windows:
            shed = self._shed_oldest()
        self._append(item, live=True)
        return shed

    async def put_patiently(self, item: BatchItem) -> None:
        """Queue when there is room, for recordings that can wait: nothing is shed.

        Recordings keep to two batches, so that live windows hardly wait for them.
        """
        room = min(2 * self._section.max_windows, self._section.queue_windows)
        while isinstance(item, Window) and len(self) >= room:
            self._room.clear()
            await self._room.wait()
        self._append(item, live=False)

    def _append(self, item: BatchItem, *, live: bool) -> None:
        self._windows += isinstance(item, Window)
        self._items.append(_Queued(item, live, asyncio.get_running_loop().time()))
        self._arrived.set()

    def close(self) -> None:
        """Let batches() end once the queue is empty."""
        self._closed = True
        self._arrived.set()

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield batches of at most max_windows windows, with what stands between them."""
        while await self._wait_for_items():
            await self._wait_for_company()
            yield self._take()

    def _shed_oldest(self) -> Window | None:
        for place, queued in enumerate(self._items):
            if isinstance(queued.item, Window) and queued.live:
                self._shed(place, queued.item)
                return queued.item
        return None  # only recordings wait, which keep to their two batches

    def _shed(self, place: int, oldest: Window) -> None:
        del self._items[place]
        self._windows -= 1
        lost = Unobserved(
            hydrophone=oldest.hydrophone,
            epoch=oldest.epoch,
            first_sample=oldest.first_sample,
            end_sample=oldest.end_sample,
            sample_rate_hz=oldest.sample_rate_hz,
            start=oldest.start,
            reason="shed",
        )
        continued = self._shed_stretch_before(place, lost)
        if continued is None:
            self._items.insert(place, _Queued(lost, live=True, since_s=0.0))
        else:
            index, older = continued
            self._items[index] = replace(self._items[index], item=replace(older, end_sample=lost.end_sample))

    def _shed_stretch_before(self, place: int, lost: Unobserved) -> tuple[int, Unobserved] | None:
        """The waiting shed stretch that `lost` continues: joined, the queue stays bounded."""
        for index in range(place - 1, -1, -1):
            older = self._items[index].item
            if isinstance(older, Unobserved) and older.hydrophone == lost.hydrophone:
                joins = older.reason == "shed" and older.epoch == lost.epoch
                return (index, older) if joins and older.end_sample >= lost.first_sample else None
        return None

    async def _wait_for_items(self) -> bool:
        while not self._items:
            if self._closed:
                return False
            self._arrived.clear()
            await self._arrived.wait()
        return True

    async def _wait_for_company(self) -> None:
        if len(self) >= self._section.max_windows or self._closed:
            return
        try:
            async with asyncio.timeout(self._section.deadline_s):
                while len(self) < self._section.max_windows and not self._closed:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            return

    def _take(self) -> Batch:
        items: list[BatchItem] = []
        windows, waited_s, now_s = 0, 0.0, asyncio.get_running_loop().time()
        while self._items:
            is_window = isinstance(self._items[0].item, Window)
            if is_window and windows == self._section.max_windows:
                break
            queued = self._items.popleft()
            if is_window:
                windows += 1
                waited_s = max(waited_s, now_s - queued.since_s)
            items.append(queued.item)
        self._windows -= windows
        self._room.set()
        return Batch(items, waited_s)
