"""Outlet: what goes to a person or a pipe, from a thread of its own."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Outlet(Generic[T]):
    """Hands items to a sink that may block for ever: a full pipe, a terminal stopped with Ctrl-S.

    Whoever puts never waits. Full: the oldest is dropped and counted.
    """

    def __init__(self, sink: Callable[[T], None], *, most: int) -> None:
        """Start the thread.

        Args:
            sink: takes one item; may block, and may raise OSError when nobody listens any more.
            most: items kept while the sink is busy.
        """
        self._sink = sink
        self._items = deque[T](maxlen=most)
        self._changed = threading.Condition()
        self._over = self._gone = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="outlet", daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Hand over from any thread; never blocks."""
        with self._changed:
            self.dropped += self._gone or len(self._items) == self._items.maxlen
            if not self._gone:
                self._items.append(item)
            self._changed.notify()

    def close(self, timeout_s: float) -> None:
        """Let what is left go out, but wait no longer than this."""
        with self._changed:
            self._over = True
            self._changed.notify()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (item := self._next()) is not None:
            try:
                self._sink(item)
            except OSError:  # the reader has gone away
                with self._changed:
                    self._gone = True
                    self.dropped += 1 + len(self._items)
                    self._items.clear()

    def _next(self) -> T | None:
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._over)
            return self._items.popleft() if self._items else None
