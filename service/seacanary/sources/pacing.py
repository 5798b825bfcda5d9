"""Real-time pace for audio that could come faster."""

import asyncio
import time
from collections.abc import Awaitable, Callable

Monotonic = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]


class Pacer:
    """Hold each block back until its last sample would have been recorded.

    Due times are counted from one anchor, so that waiting never drifts.
    """

    def __init__(self, monotonic: Monotonic = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._monotonic, self._sleep = monotonic, sleep
        self._anchor_s: float | None = None

    async def wait_until(self, audio_s: float) -> None:
        """Return when `audio_s` of audio are due since the pacer was first asked.

        The first call anchors the count at its own beginning: it waits for its audio too.
        """
        if self._anchor_s is None:
            self._anchor_s = self._monotonic()
        await self._sleep(max(0.0, self._anchor_s + audio_s - self._monotonic()))
