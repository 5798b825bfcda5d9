"""Real-time pace for audio that could come faster."""

import asyncio
import time
from collections.abc import Awaitable, Callable

# Woken this much later than asked, the process itself was held up: stopped, suspended, or short of a processor.
HELD_UP_S = 0.5

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


def was_held_up(loop: asyncio.AbstractEventLoop, due_s: float) -> bool:
    """Whether a wait ended so much later than it was due that what came meanwhile has not been looked at yet.

    Args:
        loop: that waited.
        due_s: when the wait was to end, by the loop's clock.
    """
    return loop.time() - due_s > HELD_UP_S
