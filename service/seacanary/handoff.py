"""The bounded queue from a capture thread to the loop."""

import asyncio
import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Handoff(Generic[T]):
    """From a thread to the loop. Full: sheds the oldest, and counts it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, size: int) -> None:
        self._loop, self._lock = loop, threading.Lock()
        self._items, self._ready = deque[T](maxlen=size), asyncio.Event()
        self.shed = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        """Hand over from any thread; never blocks."""
        with self._lock:
            was_empty = not self._items
            self.shed += len(self._items) == self._items.maxlen
            self._items.append(item)
        if was_empty:
            self._loop.call_soon_threadsafe(self._ready.set)

    async def get(self) -> T:
        """Wait for the oldest item."""
        while True:
            with self._lock:
                if self._items:
                    return self._items.popleft()
                self._ready.clear()
            await self._ready.wait()
