"""Listening: feeds through windows, batches and the detector to conclusions, in order."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

from seacanary.audio import AudioBlock, Window
from seacanary.batching import Batch, Batcher, BatchingSection, FeedEnded, FileDone, StreamEnded
from seacanary.errors import SeaCanaryError, SourceUnusable, first_of
from seacanary.events import EndReason, PresenceEvent
from seacanary.hydrophone import Hydrophone
from seacanary.metrics import Metrics
from seacanary.observations import Detection, Imaged, Unobserved
from seacanary.sources import Source

log = logging.getLogger(__name__)

# One batch is awaited, the next is already with the detector.
BATCHES_UNDER_WAY = 2
# How often a feed that can wait looks whether those who listen along have caught up.
ROOM_LOOK_S = 0.02


class Answering(Protocol):
    """What answers for windows: the detector, or at an edge T alone."""

    def detect(self, windows: Sequence[Window]) -> Sequence[Detection | Imaged]:
        """One answer for each window, in order; blocks."""


class Audience(Protocol):
    """Others who listen along."""

    @property
    def has_room(self) -> bool:
        """Whether a feed that can wait may go on."""

    def hear(self, block: AudioBlock, *, live: bool) -> None:
        """Take a block of a live feed or of one that can wait; in microseconds, and without raising."""


class _Nobody:
    has_room = True

    def hear(self, block: AudioBlock, *, live: bool) -> None:
        pass


NOBODY: Audience = _Nobody()


@dataclass(frozen=True, slots=True)
class Feed:
    """A source with the hydrophones it carries.

    Attributes:
        name: of the source, for metrics and logs.
        source: where blocks come from, supervised.
        make: makes the stages of a hydrophone when its first block comes.
        patient: whether the source can wait (a recording), so that nothing is shed.
        live: whether silence of the source means that nobody is listening.
        names: of the hydrophones that it should deliver, as far as they are known before it is opened.
        hydrophones: those heard so far, by name.
    """

    name: str
    source: Source
    make: Callable[[str], Hydrophone]
    patient: bool
    live: bool = False
    names: Sequence[str] = ()
    hydrophones: dict[str, Hydrophone] = field(default_factory=dict)

    def hydrophone(self, name: str) -> Hydrophone:
        """The stages of one hydrophone."""
        if name not in self.hydrophones:
            self.hydrophones[name] = self.make(name)
        return self.hydrophones[name]


@dataclass(frozen=True, slots=True)
class Owing:
    """A hydrophone that should deliver.

    Attributes:
        silent_s: how long it has delivered nothing, seconds; at most since listening began.
        was_heard: whether it has delivered anything since then.
    """

    silent_s: float
    was_heard: bool


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What became of one window, stretch or marker, with the events it led to."""

    item: Detection | Imaged | Unobserved | FileDone | StreamEnded | FeedEnded
    events: list[PresenceEvent]


@dataclass(frozen=True, slots=True)
class _Answer:
    batch: Batch
    detections: asyncio.Task[Sequence[Detection | Imaged | Unobserved]]


class Listening:
    """Runs the stages from feeds to conclusions, for a station or for recordings alike."""

    def __init__(
        self,
        feeds: Sequence[Feed],
        *,
        detector: Answering,
        batching: BatchingSection,
        metrics: Metrics,
        tell: Callable[[Conclusion], Awaitable[None]],
        audience: Audience = NOBODY,
    ) -> None:
        """Prepare to listen.

        Args:
            feeds: what to listen to; hydrophone names are unique over all of them.
            detector: the model, or the part of it that runs here.
            batching: how windows wait for it.
            metrics: what to count on.
            tell: called with each conclusion, one at a time, in order per hydrophone.
            audience: hears each block before it is analysed.
        """
        self._feeds = feeds
        self._detector, self._metrics, self._tell, self._audience = detector, metrics, tell, audience
        self._batcher = Batcher(batching)
        self._answers = asyncio.Queue[_Answer | None](BATCHES_UNDER_WAY - 1)
        self._stop = asyncio.Event()
        self._heard_at_s: dict[str, float] = {}
        self._ended: set[str] = set()
        self._began_s = 0.0
        self.failed: dict[str, SourceUnusable] = {}
        self.windows_failed = 0

    @property
    def hydrophones(self) -> dict[str, Hydrophone]:
        """All hydrophones heard so far, by name."""
        return {name: hydrophone for feed in self._feeds for name, hydrophone in feed.hydrophones.items()}

    def silent_s(self) -> dict[str, float]:
        """How long each hydrophone of a live feed has delivered nothing, seconds."""
        now_s = time.monotonic()
        live = [name for feed in self._feeds if feed.live for name in feed.hydrophones]
        return {name: now_s - self._heard_at_s.get(name, self._began_s) for name in live}

    def owing(self) -> dict[str, Owing]:
        """Each hydrophone that a live feed should deliver, while listening; a feed that has ended owes nothing."""
        if not self._began_s:
            return {}
        now_s, heard = time.monotonic(), self._heard_at_s
        due = [feed for feed in self._feeds if feed.live and not feed.patient and feed.name not in self._ended]
        names = {name for feed in due for name in (*feed.names, *feed.hydrophones)}
        return {name: Owing(now_s - heard.get(name, self._began_s), was_heard=name in heard) for name in names}

    @property
    def waiting(self) -> int:
        """Windows waiting for inference."""
        return len(self._batcher)

    def stop(self) -> None:
        """End all feeds here; what was captured is still analysed."""
        self._stop.set()

    def file_done(self, done: FileDone) -> None:
        """Mark in the queue that all of a file has been read."""
        self._batcher.put(done)

    async def run(self) -> None:
        """Listen until every feed has ended or stop() was called, and all is concluded.

        Raises:
            SourceUnusable: no feed could be used at all.
        """
        self._began_s = time.monotonic()
        try:
            await self._run_stages()
        except* SeaCanaryError as group:
            raise first_of(group) from group
        if self.failed and len(self.failed) == len(self._feeds):
            raise next(iter(self.failed.values()))

    async def _run_stages(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._infer())
            group.create_task(self._conclude())
            pumps = [group.create_task(self._pump(feed)) for feed in self._feeds]
            await asyncio.wait(pumps)
            self._batcher.close()

    async def _pump(self, feed: Feed) -> None:
        try:
            async with aclosing(self._until_stopped(feed)) as blocks:
                async for block in blocks:
                    await self._hear(feed, block)
            self._ended.add(feed.name)
        except SourceUnusable as exc:
            log.error("source %s cannot be used: %s", feed.name, exc)
            self.failed[feed.name] = exc
        finally:
            await feed.source.aclose()
        reason: EndReason = "station_stopped" if self._stop.is_set() else "stream_ended"
        for hydrophone in feed.hydrophones.values():
            await self._queue(feed, hydrophone.end())
            self._batcher.put(StreamEnded(hydrophone.name, reason))
        self._batcher.put(FeedEnded(feed.name, reason))

    async def _until_stopped(self, feed: Feed) -> AsyncGenerator[AudioBlock]:
        blocks = aiter(feed.source.blocks())
        stopped = asyncio.ensure_future(self._stop.wait())
        try:
            while not stopped.done():
                step = asyncio.ensure_future(anext(blocks, None))
                await asyncio.wait({step, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if not step.done():
                    step.cancel()
                    await asyncio.wait({step})
                    return
                block = step.result()
                if block is None:
                    return
                yield block
        finally:
            stopped.cancel()

    async def _hear(self, feed: Feed, block: AudioBlock) -> None:
        hydrophone = feed.hydrophone(block.hydrophone)
        self._heard_at_s[block.hydrophone] = time.monotonic()
        self._audience.hear(block, live=feed.live and not feed.patient)
        while feed.patient and not self._audience.has_room:  # noqa: ASYNC110  # threads make the room
            await asyncio.sleep(ROOM_LOOK_S)
        began = time.perf_counter()
        windows = hydrophone.hear(block)
        self._metrics.stage_duration.labels("intake").observe(time.perf_counter() - began)
        await self._queue(feed, windows)

    async def _queue(self, feed: Feed, windows: Sequence[Window]) -> None:
        for window in windows:
            if feed.patient:
                await self._batcher.put_patiently(window)
                continue
            shed = self._batcher.put(window)
            if shed is not None:
                self.hydrophones[shed.hydrophone].shed(shed)
                self._metrics.windows_shed.labels(shed.hydrophone).inc()

    async def _infer(self) -> None:
        """Keep two batches with the detector, so that none of its sessions waits for the loop."""
        with ThreadPoolExecutor(BATCHES_UNDER_WAY, thread_name_prefix="detector") as executor:
            async for batch in self._batcher.batches():
                self._metrics.stage_duration.labels("queue").observe(batch.waited_s)
                windows = [item for item in batch.items if isinstance(item, Window)]
                asked = asyncio.create_task(self._ask(executor, windows))
                await self._answers.put(_Answer(batch, asked))
            await self._answers.put(None)

    async def _ask(
        self, executor: ThreadPoolExecutor, windows: Sequence[Window]
    ) -> Sequence[Detection | Imaged | Unobserved]:
        if not windows:
            return []
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            return await loop.run_in_executor(executor, self._detector.detect, windows)
        except Exception:  # whatever the runtime raises: the windows are unobserved, the station goes on
            if not self.windows_failed:
                log.exception("the model could not answer; further failures are counted, not logged")
            self.windows_failed += len(windows)
            self._metrics.inference_failures.inc()
            return [self.hydrophones[window.hydrophone].fail(window) for window in windows]
        finally:
            self._metrics.batch_windows.observe(len(windows))
            took_s = loop.time() - began
            self._metrics.inference_duration.observe(took_s)
            self._metrics.stage_duration.labels("inference").observe(took_s)

    async def _conclude(self) -> None:
        while (answer := await self._answers.get()) is not None:
            detections = iter(await answer.detections)
            began = time.perf_counter()
            for item in answer.batch.items:
                await self._conclude_item(next(detections) if isinstance(item, Window) else item)
            self._metrics.stage_duration.labels("presence").observe(time.perf_counter() - began)

    async def _conclude_item(self, item: Detection | Imaged | Unobserved | FileDone | StreamEnded | FeedEnded) -> None:
        events: list[PresenceEvent] = []
        if isinstance(item, StreamEnded):
            events = self.hydrophones[item.hydrophone].close(item.reason)
        elif not isinstance(item, FileDone | FeedEnded):
            events = self.hydrophones[item.hydrophone].conclude(item)
        await self._tell(Conclusion(item, events))
