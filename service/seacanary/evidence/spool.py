"""Spool: the audio of the last minutes on disk, so that a clip can reach back before its event.

Blocks are handed over on the loop and written by one thread of the spool's own. Neither capture nor
the loop ever waits for the disk: what it has no time for is shed, oldest first, and counted.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from seacanary.audio import AudioBlock
from seacanary.clock import StreamClock
from seacanary.evidence.clips import Held, Range, Stream
from seacanary.evidence.segments import SegmentStore

log = logging.getLogger(__name__)

# More than the recordings that can be read while a clip waits.
STREAMS_REMEMBERED = 1024


class SpoolSection(BaseModel):
    """Where raw audio waits for the events in it.

    One hydrophone at 384 kHz writes 1.5 MB/s without pause, which wears an SD card out. A folder in
    memory (tmpfs: /dev/shm, or below /run) spares it, and costs memory: `keep_s` times 4 bytes times the
    rate per hydrophone. Killing the process loses nothing in either; with tmpfs, a power cut or a
    reboot loses the audio of events whose clips were not written yet, and they are noted as missed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path | None = Field(None, description="folder; default: .spool in the evidence folder; may be on tmpfs")
    keep_s: float = Field(
        150.0, gt=0, description="audio kept per hydrophone, seconds; longer if hold_s needs it, and while a clip waits"
    )
    segment_s: float = Field(5.0, gt=0, le=60, description="length of a raw file, seconds")
    max_bytes: int = Field(4 << 30, ge=1 << 20, description="the spool never takes more than this; oldest go first")
    min_free_bytes: int | None = Field(
        None,
        ge=0,
        description="free space that the spool leaves, whatever waits in it: the journal may be on the same disk; "
        "null: 512 MiB, but a fortieth of a disk under 20 GiB",
    )
    older_bytes: int = Field(
        0,
        ge=0,
        description="what is older than keep_s stays nevertheless while the spool takes no more than this, "
        "max_bytes at most: for requests, and at an edge for events that come late",
    )
    queue_bytes: int = Field(64 << 20, ge=1 << 16, description="audio in memory on its way to the disk, at most")


@dataclass(frozen=True, slots=True)
class Heard:
    """How far the spool has come with a hydrophone, written or shed.

    Attributes:
        stream: the one that runs now.
        end_sample: index after the newest sample.
        end: UTC of that index; None for an undated recording.
    """

    stream: Stream
    end_sample: int
    end: datetime | None


class Spool:
    """Takes every block a station hears; gives samples back by index."""

    def __init__(
        self, folder: Path, section: SpoolSection, *, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Take up what an earlier process left, and start the writing thread.

        Args:
            folder: of the spool, of one process only; made when it is needed.
            section: how much to keep.
            monotonic_s: a clock for intervals.
        """
        self._store = SegmentStore(
            folder,
            segment_s=section.segment_s,
            keep_s=section.keep_s,
            max_bytes=section.max_bytes,
            min_free_bytes=section.min_free_bytes,
            older_bytes=section.older_bytes,
        )
        self._queue_bytes, self._monotonic_s = section.queue_bytes, monotonic_s
        self._changed = threading.Condition()
        self._blocks = deque[AudioBlock]()
        self._waiting_bytes = 0
        self._writing = self._over = False
        self._heard: dict[str, Heard] = {}
        self._left = deque[Stream](maxlen=STREAMS_REMEMBERED)
        self._began_s = monotonic_s()
        self._arrived_s: dict[str, float] = {}
        self._times: dict[str, _StreamTime] = {}
        self._shed = Counter[str]()
        self.trouble: str | None = None
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    def keep(self, seconds: float) -> None:
        """Keep so much audio of each hydrophone from now on; what is gone does not come back."""
        self._store.keep(seconds)

    def hear(self, block: AudioBlock) -> None:
        """Hand over a block of any hydrophone; never blocks."""
        with self._changed:
            self._arrived_s[block.hydrophone] = self._monotonic_s()
            self._blocks.append(block)
            self._waiting_bytes += block.samples.nbytes
            while self._waiting_bytes > self._queue_bytes and len(self._blocks) > 1:
                oldest = self._blocks.popleft()
                self._waiting_bytes -= oldest.samples.nbytes
                self._shed[oldest.hydrophone] += oldest.samples.size
            self._changed.notify_all()

    @property
    def has_room(self) -> bool:
        """Whether the queue is less than half full: who reads recordings faster than they were made may wait."""
        return self._waiting_bytes < self._queue_bytes / 2

    @property
    def is_idle(self) -> bool:
        """Whether all that was handed over is on disk, or given up."""
        return not self._blocks and not self._writing

    @property
    def size_bytes(self) -> int:
        """Bytes of samples on disk."""
        return self._store.size_bytes

    def shed_samples(self) -> Counter[str]:
        """By hydrophone, samples shed or dropped before their time, since the start."""
        with self._changed:
            return self._shed + Counter(self._store.dropped_samples)

    def heard(self, hydrophone: str) -> Heard | None:
        """How far a hydrophone has come in this process; None if nothing was heard."""
        return self._heard.get(hydrophone)

    def has_left(self, stream: Stream) -> bool:
        """Whether a hydrophone was heard in this stream, and went on in another."""
        return stream in tuple(self._left)

    def silent_s(self, hydrophone: str) -> float:
        """How long nothing has come from a hydrophone, seconds; since the start, if nothing has at all."""
        return self._monotonic_s() - self._arrived_s.get(hydrophone, self._began_s)

    def held(self, hydrophone: str) -> tuple[Held, ...]:
        """What there is of a hydrophone."""
        return self._store.held(hydrophone)

    def reach_s(self) -> dict[str, float]:
        """By hydrophone, how much audio there is to be read, seconds."""
        return self._store.reach_s()

    def read(self, stream: Stream, first: int, end: int) -> tuple[NDArray[np.float32], list[Range]]:
        """The samples [first, end) of a stream, exact by index.

        Returns:
            float32 [end - first], zeros where nothing is held, and the ranges that are not held.
        """
        return self._store.read(stream, first, end)

    def release(self, needed_from: Mapping[str, datetime]) -> None:
        """Let go, in time, of what was heard more than `keep_s` before now.

        Args:
            needed_from: by hydrophone, the time from which its samples must stay whatever their age.
        """
        self._store.release(needed_from)

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was handed over is on disk; False if the time was too short."""
        with self._changed:
            return self._changed.wait_for(lambda: self.is_idle, timeout_s)

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what waits, but wait no longer than this; what is held stays on disk."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (block := self._next()) is not None:
            try:
                self._write(block)
            except Exception:  # what nobody foresaw costs this block, not the spool
                log.exception("a block of %s cannot be kept", block.hydrophone)
                with self._changed:
                    self._shed[block.hydrophone] += block.samples.size
        self._store.close()

    def _next(self) -> AudioBlock | None:
        with self._changed:
            self._writing = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._blocks or self._over)
            if not self._blocks:
                return None
            block = self._blocks.popleft()
            self._waiting_bytes -= block.samples.nbytes
            self._writing = True
            return block

    def _write(self, block: AudioBlock) -> None:
        time_of = self._times.setdefault(block.hydrophone, _StreamTime())
        start, end = time_of.ends_of(block)
        try:
            self._store.append(block, start)
            self.trouble = None
        except OSError as exc:
            self.trouble = f"raw audio cannot be kept: {exc.strerror or exc}"
            with self._changed:
                self._shed[block.hydrophone] += block.samples.size
        stream = Stream(block.hydrophone, block.epoch, block.sample_rate_hz)
        before = self._heard.get(block.hydrophone)
        if before is not None and before.stream != stream:
            self._left.append(before.stream)
        self._heard[block.hydrophone] = Heard(stream, block.end_sample, end)


class _StreamTime:
    """UTC of one hydrophone's blocks, by the same clock as the analysis has it."""

    def __init__(self) -> None:
        self._stream: Stream | None = None
        self._clock: StreamClock | None = None
        self._observed = 0

    def ends_of(self, block: AudioBlock) -> tuple[datetime, datetime] | tuple[None, None]:
        """UTC of a block's first sample and after its last; None if nobody knows."""
        if not block.time_known:
            return None, None
        stream = Stream(block.hydrophone, block.epoch, block.sample_rate_hz)
        if self._clock is None or stream != self._stream:
            self._stream, self._observed = stream, 0
            self._clock = StreamClock(block.epoch, block.sample_rate_hz)
        if block.arrival is not None and block.end_sample > self._observed:
            self._observed = block.end_sample
            self._clock.observe(block.end_sample, block.arrival)
        return self._clock.utc(block.first_sample), self._clock.utc(block.end_sample)
