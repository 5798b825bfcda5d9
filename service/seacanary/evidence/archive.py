"""The continuous archive: all audio as FLAC files of a minute, written by a thread of its own.

Whoever hands audio over never waits: what the disk has no time or room for is shed, oldest first,
counted, and shows as a gap between two files.
"""

import asyncio
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import soundfile
from pydantic import BaseModel, ConfigDict, Field

from seacanary.audio import AudioBlock
from seacanary.clock import StreamClock
from seacanary.evidence.archive_file import ArchiveFile, ArchiveSpan
from seacanary.evidence.archive_shelf import ArchiveShelf
from seacanary.evidence.clips import Stream

log = logging.getLogger(__name__)

# No file is cut shorter than this for the sake of a round time.
SHORTEST_S = 0.5
RETRY_S = 10.0
_1970 = datetime(1970, 1, 1, tzinfo=UTC)


class ArchiveSection(BaseModel):
    """Continuous recording of all hydrophones."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    path: Path = Field(description="folder of the archive; made if missing")
    file_s: float = Field(60.0, ge=1, le=86_400, description="length of a file, seconds; files begin at round UTC")
    max_age_days: float | None = Field(None, gt=0, description="older files are deleted; null: none for its age")
    max_bytes: int | None = Field(None, gt=0, description="most bytes of archive; null: as much as the disk holds")
    min_free_bytes: int = Field(
        4 << 30, ge=0, description="free space to leave: the oldest files go for it, then the archive stops"
    )
    queue_bytes: int = Field(64 << 20, ge=1 << 16, description="audio in memory on its way to the disk, at most")


class Archive:
    """Takes every block a station hears and writes it down."""

    def __init__(
        self,
        section: ArchiveSection,
        *,
        station: str,
        on_bytes: Callable[[int], None] = lambda _: None,
        utc_now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the thread.

        Args:
            section: where and how much.
            station: its name, for the files' metadata.
            on_bytes: told what the archive holds whenever that changes, on the archive's thread.
            utc_now: against which age counts.
            monotonic_s: a clock for intervals.
        """
        self._section, self._on_bytes = section, on_bytes
        self._writer = ArchiveWriter(section, station=station, utc_now=utc_now, monotonic_s=monotonic_s)
        self._changed = threading.Condition()
        self._blocks = deque[AudioBlock]()
        self._waiting_bytes = 0
        self._over = False
        self._shed = Counter[str]()
        self._thread = threading.Thread(target=self._run, name="archive", daemon=True)
        self._thread.start()

    def hear(self, block: AudioBlock) -> None:
        """Hand over a block of any hydrophone; never blocks. Undated recordings are not archived."""
        if not block.time_known:
            return
        with self._changed:
            self._blocks.append(block)
            self._waiting_bytes += block.samples.nbytes
            while self._waiting_bytes > self._section.queue_bytes and len(self._blocks) > 1:
                oldest = self._blocks.popleft()
                self._waiting_bytes -= oldest.samples.nbytes
                self._shed[oldest.hydrophone] += oldest.samples.size
            self._changed.notify()

    def shed_samples(self) -> Counter[str]:
        """By hydrophone, samples that are not in the archive, since the start."""
        with self._changed:
            return self._shed + Counter(self._writer.lost_samples)  # a copy: its thread may be counting

    @property
    def trouble(self) -> str | None:
        """Why nothing is written now; None if it is."""
        return self._writer.trouble

    async def aclose(self, timeout_s: float = 10.0) -> None:
        """Write what waits and finish the files, but wait no longer than this."""
        with self._changed:
            self._over = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join, timeout_s)

    def _run(self) -> None:
        while (block := self._next()) is not None:
            try:
                self._writer.write(block)
            except Exception:  # what nobody foresaw costs this block, not the archive
                log.exception("a block of %s cannot be archived", block.hydrophone)
                with self._changed:
                    self._shed[block.hydrophone] += block.samples.size
            self._on_bytes(self._writer.size_bytes)
        self._writer.close()
        self._on_bytes(self._writer.size_bytes)

    def _next(self) -> AudioBlock | None:
        with self._changed:
            self._changed.wait_for(lambda: self._blocks or self._over)
            if not self._blocks:
                return None
            block = self._blocks.popleft()
            self._waiting_bytes -= block.samples.nbytes
            return block


class ArchiveWriter:
    """From blocks to files; for one thread. A disk that refuses costs audio, never more."""

    def __init__(
        self,
        section: ArchiveSection,
        *,
        station: str,
        utc_now: Callable[[], datetime],
        monotonic_s: Callable[[], float],
    ) -> None:
        """As Archive."""
        self._section, self._station = section, station
        self._utc_now, self._monotonic_s = utc_now, monotonic_s
        self._shelf = ArchiveShelf(section.path)
        self._known = False
        self._files: dict[str, ArchiveFile] = {}
        self._clocks: dict[str, tuple[Stream, StreamClock]] = {}
        self._observed: dict[str, int] = {}
        self._retry_at_s = 0.0
        self.lost_samples = Counter[str]()
        self.trouble: str | None = None

    @property
    def size_bytes(self) -> int:
        """Finished files."""
        return self._shelf.size_bytes

    def write(self, block: AudioBlock) -> None:
        """Write a block into its hydrophone's file, or files."""
        clock, first = self._clock(block), block.first_sample
        try:
            while first < block.end_sample:
                file = self._file_for(block, first, clock)
                count = min(block.end_sample, file.span.limit_sample) - first
                offset = first - block.first_sample
                file.write(block.samples[offset : offset + count])
                first += count
                if file.is_full:
                    self._finish(block.hydrophone)
        except (OSError, soundfile.SoundFileError) as exc:
            self._give_up(block, first, exc)

    def close(self) -> None:
        """Finish the files that are open."""
        for hydrophone in list(self._files):
            try:
                self._finish(hydrophone)
            except (OSError, soundfile.SoundFileError) as exc:
                log.error("the archive's last file of %s could not be finished: %s", hydrophone, exc)

    def _clock(self, block: AudioBlock) -> StreamClock:
        stream = Stream(block.hydrophone, block.epoch, block.sample_rate_hz)
        known, clock = self._clocks.get(block.hydrophone, (None, None))
        if clock is None or known != stream:
            clock = StreamClock(block.epoch, block.sample_rate_hz)
            self._clocks[block.hydrophone], self._observed[block.hydrophone] = (stream, clock), 0
        if block.arrival is not None and block.end_sample > self._observed[block.hydrophone]:
            clock.observe(block.end_sample, block.arrival)
            self._observed[block.hydrophone] = block.end_sample
        return clock

    def _file_for(self, block: AudioBlock, first: int, clock: StreamClock) -> ArchiveFile:
        """The open file if this sample follows in it, else a new one."""
        stream = Stream(block.hydrophone, block.epoch, block.sample_rate_hz)
        file = self._files.get(block.hydrophone)
        if file is not None and (file.span.stream, file.end_sample) == (stream, first):
            return file
        if file is not None:
            self._finish(block.hydrophone)
        self._make_room()
        start = clock.utc(first)
        limit = first + _samples_until_round(start, file_s=self._section.file_s, rate_hz=block.sample_rate_hz)
        span = ArchiveSpan(stream, first, limit, start)
        opened = self._files[block.hydrophone] = ArchiveFile(self._section.path, span, station=self._station)
        if self.trouble:
            log.info("the archive is recorded again")
        self.trouble = None
        return opened

    def _make_room(self) -> None:
        """Keep to the limits.

        Raises:
            OSError: there is no room, or the disk has just failed.
        """
        if self.trouble and self._monotonic_s() < self._retry_at_s:
            raise OSError(None, self.trouble)
        section = self._section
        section.path.mkdir(parents=True, exist_ok=True)
        if not self._known:
            self._shelf.take_stock()
            self._known = True
        self._shelf.prune(
            now=self._utc_now(),
            max_age_days=section.max_age_days,
            max_bytes=section.max_bytes,
            min_free_bytes=section.min_free_bytes,
        )
        if self._shelf.free_bytes() < section.min_free_bytes:
            raise OSError(None, f"less than min_free_bytes ({section.min_free_bytes}) are free")

    def _finish(self, hydrophone: str) -> None:
        file = self._files.pop(hydrophone)
        try:
            size_bytes = file.finish()
        except (OSError, soundfile.SoundFileError):
            self._drop(file)
            raise
        self._shelf.add(file.path, file.span.start, size_bytes)

    def _drop(self, file: ArchiveFile) -> None:
        file.abandon()
        self.lost_samples[file.span.stream.hydrophone] += file.end_sample - file.span.first_sample

    def _give_up(self, block: AudioBlock, first: int, exc: Exception) -> None:
        """Lose the rest of a block and what the open file had."""
        self.lost_samples[block.hydrophone] += block.end_sample - first
        file = self._files.pop(block.hydrophone, None)
        if file is not None:
            self._drop(file)
        if self.trouble and self._monotonic_s() < self._retry_at_s:
            return
        reason = (exc.strerror if isinstance(exc, OSError) else None) or str(exc)
        if not self.trouble:
            log.error("the archive has stopped, all else goes on: %s: %s", self._section.path, reason)
        self.trouble, self._retry_at_s = reason, self._monotonic_s() + RETRY_S


def _samples_until_round(start: datetime, *, file_s: float, rate_hz: int) -> int:
    """Samples until UTC is next a multiple of file_s, counted from 1970, and at least SHORTEST_S away."""
    file_us, start_us = round(file_s * 1e6), (start - _1970) // timedelta(microseconds=1)
    left_us = file_us - start_us % file_us
    if left_us < SHORTEST_S * 1e6:
        left_us += file_us
    return -(-left_us * rate_hz // 10**6)
