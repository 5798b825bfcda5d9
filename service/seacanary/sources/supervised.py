"""A source that is reopened whenever it breaks or falls silent."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field
from tenacity import AsyncRetrying, RetryCallState, wait_random_exponential

from seacanary.audio import AudioBlock
from seacanary.errors import SourceLost, SourceUnusable
from seacanary.sources import Source
from seacanary.sources.pacing import Monotonic, Sleep, was_held_up

SourceState = Literal["opening", "running", "stalled", "lost", "unusable", "ended"]

_CLOSE_S = 5.0  # a driver that hangs in closing must not keep the others from running


class SupervisionPolicy(BaseModel):
    """When a source is given up, and how soon it is opened again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stall_s: float | None = Field(
        2.0, gt=0, description="a running source that delivers nothing for this long is stalled, seconds; null: never"
    )
    opening_s: float = Field(10.0, gt=0, description="longest wait for the first block after opening, seconds")
    first_wait_s: float = Field(0.5, gt=0, description="wait before the first reopening, seconds, before jitter")
    longest_wait_s: float = Field(30.0, gt=0, description="the wait doubles up to this, seconds")
    healthy_s: float = Field(60.0, gt=0, description="after running this long, the waits begin anew, seconds")

    def patient(self) -> "SupervisionPolicy":
        """The same policy for a source that may rightly be idle."""
        return self.model_copy(update={"stall_s": None})


@dataclass(frozen=True, slots=True)
class SourceChange:
    """A source came into another state.

    Attributes:
        state: what it is now; "stalled" and "lost" are followed by "opening",
            "unusable" and "ended" by nothing.
        reason: what went wrong, as the source says it, or None.
        restarts: how often it has been given up so far.
        next_try_s: seconds until it is opened again, or None if it is not.
    """

    state: SourceState
    reason: str | None = None
    restarts: int = 0
    next_try_s: float | None = None


@runtime_checkable
class LiveSource(Source, Protocol):
    """A source that cannot wait for us, and counts what that costs."""

    @property
    def shed_blocks(self) -> int:
        """Blocks or datagrams that its full hand-off shed, oldest first, since it was opened."""

    @property
    def overflows(self) -> int:
        """How often its driver lost audio, since it was opened."""


class _Stalled(SourceLost):
    """The feed is open but delivers nothing."""


class SupervisedSource:
    """Passes a source's blocks through; reopens it when it is lost or stalls.

    What can never work (SourceUnusable) passes up; a clean end ends it.
    """

    def __init__(
        self,
        open_source: Callable[[], Source],
        policy: SupervisionPolicy,
        *,
        on_change: Callable[[SourceChange], None],
        monotonic: Monotonic = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Set up; nothing is opened yet.

        Args:
            open_source: makes a fresh source; called once per opening.
            policy: when to give up, how soon to try again.
            on_change: told of every change of state, on the loop.
            monotonic: clock that tells how long a source has run.
            sleep: waits between openings.
        """
        self._open_source, self._policy, self._on_change = open_source, policy, on_change
        self._monotonic, self._sleep = monotonic, sleep
        self._backoff = _Backoff(policy)
        self._source: Source | None = None
        self._restarts = 0
        self._shed_before = self._overflows_before = 0  # of the sources closed by now

    @property
    def shed_blocks(self) -> int:
        """Blocks or datagrams that the source's hand-off shed, over all openings."""
        return self._shed_before + (self._source.shed_blocks if isinstance(self._source, LiveSource) else 0)

    @property
    def overflows(self) -> int:
        """How often the source's driver lost audio, over all openings."""
        return self._overflows_before + (self._source.overflows if isinstance(self._source, LiveSource) else 0)

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        """Yield blocks of one opening after the other; each reopening begins a new epoch.

        Raises:
            SourceUnusable: the source can never work as configured.
        """
        while True:
            self._tell("opening")
            running_since: float | None = None
            try:
                async for block in self._opened():
                    if running_since is None:
                        running_since = self._monotonic()
                        self._tell("running")
                    yield block
                self._tell("ended")
                return
            except SourceUnusable as exc:
                self._tell("unusable", reason=str(exc))
                raise
            except SourceLost as exc:
                await self._close()
                await self._wait(exc, running_since)
            finally:
                await self._close()

    async def aclose(self) -> None:
        """Close the source that is open now; safe to call twice."""
        await self._close()

    async def _opened(self) -> AsyncIterator[AudioBlock]:
        """Blocks of one opening.

        Raises:
            _Stalled: nothing came for too long.
        """
        self._source = source = self._open_source()
        blocks = aiter(source.blocks())
        patience_s = None if self._policy.stall_s is None else self._policy.opening_s
        while (block := await _next_within(blocks, patience_s)) is not None:
            yield block
            patience_s = self._policy.stall_s

    async def _wait(self, reason: SourceLost, running_since: float | None) -> None:
        if running_since is not None and self._monotonic() - running_since >= self._policy.healthy_s:
            self._backoff.reset()
        self._restarts += 1
        next_try_s = self._backoff.next_s()
        state: SourceState = "stalled" if isinstance(reason, _Stalled) else "lost"
        self._tell(state, reason=str(reason), next_try_s=next_try_s)
        await self._sleep(next_try_s)

    async def _close(self) -> None:
        self._shed_before, self._overflows_before = self.shed_blocks, self.overflows
        source, self._source = self._source, None
        if source is None:
            return
        limit = asyncio.timeout(_CLOSE_S)
        try:
            async with limit:
                await source.aclose()
        except TimeoutError:
            if not limit.expired():
                raise

    def _tell(self, state: SourceState, *, reason: str | None = None, next_try_s: float | None = None) -> None:
        self._on_change(SourceChange(state, reason, self._restarts, next_try_s))


async def _next_within(blocks: AsyncIterator[AudioBlock], patience_s: float | None) -> AudioBlock | None:
    """The next block, None at the end.

    Raises:
        _Stalled: nothing came for too long, while this process was there to see it come.
    """
    loop = asyncio.get_running_loop()
    coming = asyncio.ensure_future(anext(blocks, None))
    try:
        while True:
            due_s = loop.time() + (patience_s or 0.0)
            await asyncio.wait({coming}, timeout=patience_s)
            if coming.done():
                return coming.result()
            if not was_held_up(loop, due_s):
                raise _Stalled(f"no audio for {patience_s:g} s")
    finally:
        if not coming.done():
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


class _Backoff:
    """Jittered, exponentially widening waits, by tenacity's rule."""

    def __init__(self, policy: SupervisionPolicy) -> None:
        self._first_s = policy.first_wait_s
        self._rule = wait_random_exponential(multiplier=2 * policy.first_wait_s, max=policy.longest_wait_s)
        self.reset()

    def reset(self) -> None:
        """Begin anew with short waits."""
        self._state = RetryCallState(AsyncRetrying(), None, (), {})

    def next_s(self) -> float:
        """The next wait, at least half the first one, so that a dead source costs nothing."""
        wait_s = self._rule(self._state)
        self._state.attempt_number += 1
        return max(self._first_s / 2, wait_s)
