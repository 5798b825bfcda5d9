"""Micro-batches across hydrophones, under a deadline."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

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
    """Everything of a file stands before this point of the queue."""

    path: str


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """A hydrophone's feed is over; nothing of it follows."""

    hydrophone: str
    reason: EndReason


BatchItem = Window | Unobserved | FileDone | StreamEnded


@dataclass(frozen=True, slots=True)
class Batch:
    """What leaves the queue together.

    Attributes:
        items: at most max_windows windows, with what stands between them, in order.
        waited_s: how long the oldest of the windows waited, seconds.
    """

    items: list[BatchItem]
    waited_s: float


class Batcher:
    """An ordered queue in front of the detector; bounded in windows.

    Everything that concerns a hydrophone leaves in the order it came, what was
    shed included: a shed window leaves as an Unobserved in its own place.
    """

    def __init__(self, section: BatchingSection) -> None:
        self._section = section
        self._items = deque[BatchItem]()
        self._since = deque[float]()  # when each waiting window came, loop time
        self._arrived, self._room = asyncio.Event(), asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        """Windows waiting."""
        return len(self._since)

    def put(self, item: BatchItem) -> Window | None:
        """Queue at once, for live sources; returns the oldest window if it had to be shed."""
        shed = None
        if isinstance(item, Window):
            if len(self) >= self._section.queue_windows:
                shed = self._shed_oldest()
            self._since.append(asyncio.get_running_loop().time())
        self._items.append(item)
        self._arrived.set()
        return shed

    async def put_patiently(self, item: BatchItem) -> None:
        """Queue when there is room, for recordings that can wait: nothing is shed."""
        while isinstance(item, Window) and len(self) >= self._section.queue_windows:
            self._room.clear()
            await self._room.wait()
        self.put(item)

    def close(self) -> None:
        """Let batches() end once the queue is empty."""
        self._closed = True
        self._arrived.set()

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield batches of at most max_windows windows, with what stands between them."""
        while await self._wait_for_items():
            await self._wait_for_company()
            yield self._take()

    def _shed_oldest(self) -> Window:
        place, oldest = next((i, item) for i, item in enumerate(self._items) if isinstance(item, Window))
        del self._items[place]
        self._since.popleft()
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
            self._items.insert(place, lost)
        else:
            index, older = continued
            self._items[index] = replace(older, end_sample=lost.end_sample)
        return oldest

    def _shed_stretch_before(self, place: int, lost: Unobserved) -> tuple[int, Unobserved] | None:
        """The waiting shed stretch that `lost` continues: joined, the queue stays bounded."""
        for index in range(place - 1, -1, -1):
            older = self._items[index]
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
        waited_s = 0.0
        windows = 0
        while self._items:
            is_window = isinstance(self._items[0], Window)
            if is_window and windows == self._section.max_windows:
                break
            if is_window:
                windows += 1
                waited_s = max(waited_s, asyncio.get_running_loop().time() - self._since.popleft())
            items.append(self._items.popleft())
        self._room.set()
        return Batch(items, waited_s)
