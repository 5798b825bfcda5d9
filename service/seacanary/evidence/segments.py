"""SegmentStore: raw samples of every hydrophone on disk for a while, to be found again by index.

Samples are written by plain write(2): what has been written is in the kernel's hands, so that
killing the process loses none of it. A power cut loses what the kernel had not yet written back.
"""

import errno
import os
import threading
from bisect import bisect_left
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seacanary.audio import AudioBlock
from seacanary.evidence.clips import Held, Range, Stream, subtract
from seacanary.evidence.place import Place
from seacanary.evidence.segment_files import (
    SAMPLE_BYTES,
    Segment,
    create_segment,
    find_segments,
    read_samples,
    remove_segment,
    write_samples,
)

# Left free where the site says nothing: half of where evidence stops, so that clips end before the sound of clips does.
LEAST_FREE_BYTES, LEAST_FREE_PART = 512 << 20, 40


class SegmentStore:
    """What one thread writes, any thread may look up and read.

    Attributes:
        dropped_samples: by hydrophone, what had to go before its time because the store was full.
    """

    def __init__(
        self,
        folder: Path,
        *,
        segment_s: float,
        keep_s: float,
        max_bytes: int,
        min_free_bytes: int | None = 0,
        older_bytes: int = 0,
    ) -> None:
        """Take up what an earlier process left.

        Args:
            folder: of the store; made when it is first written.
            segment_s: length of a segment.
            keep_s: how much of a hydrophone's audio is kept, in seconds heard before the last release().
            max_bytes: never more than this is kept, whoever needs it.
            min_free_bytes: nor so much that less than this is free; None: what suits the disk.
            older_bytes: what may go stays nevertheless, while no more than this is kept in all.
        """
        self._folder, self._place, self._min_free_bytes = folder, Place(folder), min_free_bytes
        self._segment_s, self._keep_s, self._max_bytes = segment_s, keep_s, max_bytes
        self._older_bytes = older_bytes
        self._lock = threading.Lock()
        self._segments: dict[Stream, list[Segment]] = {}
        self._open: dict[str, tuple[Segment, int]] = {}  # with its file descriptor
        self._heard_s: dict[str, float] = {}
        self._touches = self._bytes = 0
        self._released_s: dict[str, float] = {}  # what had been heard at the last release
        self._needed_from: Mapping[str, datetime] = {}
        self.dropped_samples: dict[str, int] = {}
        for segment in find_segments(folder):
            self._enter(segment)

    @property
    def size_bytes(self) -> int:
        """Bytes of samples that are kept now."""
        return self._bytes

    def keep(self, seconds: float) -> None:
        """Keep so much of each hydrophone's audio from the next release on."""
        with self._lock:
            self._keep_s = seconds

    def append(self, block: AudioBlock, start: datetime | None) -> None:
        """Write what is not held yet of a block.

        Args:
            block: of any hydrophone.
            start: UTC of its first sample; None if unknown.

        Raises:
            OSError: the disk does not take it; what was written before stays whole.
        """
        stream = Stream(block.hydrophone, block.epoch, block.sample_rate_hz)
        with self._lock:
            before_s = self._heard_s.get(block.hydrophone, 0.0)
            self._heard_s[block.hydrophone] = before_s + block.samples.size / block.sample_rate_hz
            self._touches += 1
        for first, end in self._unheld(stream, (block.first_sample, block.end_sample)):
            into_block = first - block.first_sample
            begins = start and start + timedelta(seconds=into_block / stream.sample_rate_hz)
            self._write(stream, first, block.samples[into_block : end - block.first_sample], begins)

    def release(self, needed_from: Mapping[str, datetime]) -> None:
        """Let go, in time, of what was heard more than `keep_s` before now.

        What is heard later waits for the next release, however much it becomes: who makes clips may
        be slower than a recording is read.

        Args:
            needed_from: by hydrophone, the time from which its samples must stay whatever their age.
        """
        with self._lock:
            self._released_s, self._needed_from = dict(self._heard_s), dict(needed_from)

    def held(self, hydrophone: str) -> tuple[Held, ...]:
        """What there is of a hydrophone."""
        with self._lock:
            return tuple(
                Held(stream, segment.first_sample, segment.end_sample, segment.start)
                for stream, segments in self._segments.items()
                if stream.hydrophone == hydrophone
                for segment in segments
            )

    def reach_s(self) -> dict[str, float]:
        """By hydrophone, how much audio there is to be read, seconds."""
        reach = dict[str, float]()
        for segment in self._by_age():
            name, length_s = segment.stream.hydrophone, segment.samples / segment.stream.sample_rate_hz
            reach[name] = reach.get(name, 0.0) + length_s
        return reach

    def read(self, stream: Stream, first: int, end: int) -> tuple[NDArray[np.float32], list[Range]]:
        """The samples [first, end) of a stream.

        Returns:
            float32 [end - first], zeros where nothing is held, and the ranges that are not held.
        """
        samples, missing = np.zeros(end - first, np.float32), [(first, end)]
        with self._lock:
            overlapping = [
                (segment, max(first, segment.first_sample), min(end, segment.end_sample))
                for segment in self._segments.get(stream, [])
                if segment.first_sample < end and segment.end_sample > first
            ]
        for segment, low, high in overlapping:
            found = read_samples(segment, low, high)
            if found.size < high - low:
                self._forget(segment)  # what cannot be read is not held
            samples[low - first : low - first + found.size] = found
            missing = subtract(missing, [(low, low + found.size)])
        return samples, missing

    def close(self) -> None:
        """Close the files; what is held stays on disk. Of the writing thread only."""
        for hydrophone in list(self._open):
            self._close(hydrophone)

    def _unheld(self, stream: Stream, wanted: Range) -> list[Range]:
        with self._lock:
            segments = self._segments.get(stream, [])
            after = bisect_left(segments, wanted[1], key=lambda segment: segment.first_sample)
            held = list[Range]()
            for segment in reversed(segments[:after]):
                if segment.end_sample <= wanted[0]:
                    break  # segments are in order and never overlap
                self._touch(segment)
                held.append((segment.first_sample, segment.end_sample))
        return subtract([wanted], held)

    def _write(self, stream: Stream, first: int, samples: NDArray[np.float32], start: datetime | None) -> None:
        self._make_room(samples.size * SAMPLE_BYTES)
        segment, file = self._segment_for(stream, first, start)
        try:
            write_samples(file, samples)
        except OSError:
            with suppress(OSError):
                os.ftruncate(file, segment.size_bytes)
            self._close(stream.hydrophone)
            raise
        with self._lock:
            segment.end_sample += samples.size
            self._bytes += 0 if segment.gone else samples.size * SAMPLE_BYTES
            self._touch(segment)

    def _segment_for(self, stream: Stream, first: int, start: datetime | None) -> tuple[Segment, int]:
        """The open segment if the samples simply go on in it, else a new one."""
        segment, file = self._open.get(stream.hydrophone, (None, -1))
        if segment is not None:
            full = segment.gone or segment.samples >= self._segment_s * stream.sample_rate_hz
            if segment.stream == stream and segment.end_sample == first and not full:
                return segment, file
            self._close(stream.hydrophone)
            self._drop_old(stream.hydrophone)
        return self._begin(stream, first, start)

    def _begin(self, stream: Stream, first: int, start: datetime | None) -> tuple[Segment, int]:
        self._place.make_sure()
        self._leave_free()
        segment, file = create_segment(self._folder, stream, first, start)
        self._open[stream.hydrophone] = (segment, file)
        with self._lock:
            self._enter(segment)
        return segment, file

    def _close(self, hydrophone: str) -> None:
        segment, file = self._open.pop(hydrophone)
        os.close(file)
        if not segment.samples:
            self._drop(segment)

    def _enter(self, segment: Segment) -> None:
        segments = self._segments.setdefault(segment.stream, [])
        segments.insert(bisect_left(segments, segment.first_sample, key=lambda s: s.first_sample), segment)
        self._bytes += segment.size_bytes

    def _touch(self, segment: Segment) -> None:
        segment.touched = self._touches
        segment.heard_s = self._heard_s[segment.stream.hydrophone]

    def _drop_old(self, hydrophone: str) -> None:
        """Drop what was heard too long ago, unless somebody still needs it."""
        for segment in self._by_age():
            if self._bytes <= self._older_bytes:
                return
            if segment.stream.hydrophone == hydrophone and not self._is_due_to_stay(segment):
                self._drop(segment)

    def _is_due_to_stay(self, segment: Segment) -> bool:
        """Whether it was heard within `keep_s` of the last release, or somebody still needs it."""
        hydrophone = segment.stream.hydrophone
        with self._lock:
            before_s = self._released_s.get(hydrophone, 0.0) - self._keep_s
            needed_from = self._needed_from.get(hydrophone)
        needed = needed_from is not None and (segment.end is None or segment.end > needed_from)
        return needed or segment.heard_s >= before_s

    def _make_room(self, size_bytes: int) -> None:
        if self._bytes + size_bytes > self._max_bytes:
            self._shrink_to(self._max_bytes - size_bytes)

    def _leave_free(self) -> None:
        """Give back what others need of the disk: the journal may lie on it.

        Raises:
            OSError: they need all of it.
        """
        least = self._min_free_bytes
        if least is None:
            least = min(LEAST_FREE_BYTES, self._place.disk_bytes() // LEAST_FREE_PART)
        short = least - self._place.free_bytes()
        if short > 0:
            self._shrink_to(self._bytes - short)
        if short > 0 and self._place.free_bytes() < least:
            raise OSError(errno.ENOSPC, f"less than {least} bytes are free")

    def _shrink_to(self, most_bytes: int) -> None:
        """Drop what was heard longest ago until no more is held; what goes before its time is counted."""
        for segment in self._by_age():
            if self._bytes <= most_bytes:
                return
            hydrophone, samples = segment.stream.hydrophone, segment.samples
            if hydrophone in self._open and self._open[hydrophone][0] is segment:
                os.close(self._open.pop(hydrophone)[1])
            early = self._is_due_to_stay(segment)
            self._drop(segment)
            if early:
                self.dropped_samples[hydrophone] = self.dropped_samples.get(hydrophone, 0) + samples

    def _by_age(self) -> list[Segment]:
        """Those heard longest ago first."""
        with self._lock:
            segments = [segment for segments in self._segments.values() for segment in segments]
        return sorted(segments, key=lambda segment: segment.touched)

    def _drop(self, segment: Segment) -> None:
        self._forget(segment)
        remove_segment(segment)

    def _forget(self, segment: Segment) -> None:
        with self._lock:
            if segment.gone:
                return
            segment.gone = True
            self._bytes -= segment.size_bytes
            segments = self._segments[segment.stream]
            segments.remove(segment)
            if not segments:
                del self._segments[segment.stream]
