"""Intake: the blocks of one hydrophone in; its windows, gaps, time and ledger out."""

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

import numpy as np

from seacanary.audio import Arrival, AudioBlock, Window
from seacanary.clock import STEP_S, StreamClock
from seacanary.ledger import Ledger
from seacanary.resampling import StreamResampler
from seacanary.windowing import Cut, RollingWindows

# More files than a window can reach back over, however short they are joined.
FILES_REMEMBERED = 1024


@dataclass(frozen=True, slots=True)
class Gap:
    """A break in what was heard; no window straddles it.

    Attributes:
        hydrophone: name of the hydrophone.
        epoch: the epoch that was running when it began.
        first_sample: end of what was heard before, in `epoch`.
        end_sample: first_sample plus the samples lost; the same if none was,
            as when a new epoch follows without a pause.
        reason: samples missing within the epoch, or a new epoch or rate.
    """

    hydrophone: str
    epoch: datetime
    first_sample: int
    end_sample: int
    reason: Literal["lost_samples", "new_epoch", "rate_changed"]


@dataclass(frozen=True, slots=True)
class IntakeResult:
    """What a block completed, each in stream order."""

    windows: tuple[Window, ...] = ()
    gaps: tuple[Gap, ...] = ()

    def __add__(self, later: "IntakeResult") -> "IntakeResult":
        return IntakeResult(self.windows + later.windows, self.gaps + later.gaps)


@dataclass(slots=True)
class _Run:
    """Audio without a gap: where it began, its way to the model's rate, how far its windows go."""

    first_sample: int
    resampler: StreamResampler
    windows_end: int


@dataclass(slots=True)
class _Stream:
    """One epoch at one rate, as far as it was heard."""

    epoch: datetime
    sample_rate_hz: int
    clock: StreamClock
    run: _Run
    end_sample: int
    time_known: bool
    arrival: Arrival | None = None  # of the sample before end_sample
    files: deque[tuple[int, str | None]] = field(default_factory=lambda: deque(maxlen=FILES_REMEMBERED))

    def reads(self, block: AudioBlock) -> None:
        """Note where a file begins in the stream."""
        if not self.files or self.files[-1][1] != block.source_file:
            self.files.append((block.first_sample, block.source_file))

    def file_at(self, sample: int) -> str | None:
        """The file a sample was read from."""
        return next((file for first, file in reversed(self.files) if first <= sample), None)


class Intake:
    """Turns the blocks of one hydrophone into windows, and accounts for every sample.

    The same audio gives the same windows whatever the block sizes. A sample
    counts as elapsed from the first block on. Not safe to share among threads.
    """

    def __init__(
        self,
        hydrophone: str,
        *,
        sample_rate_hz: int,
        window_samples: int,
        hop_samples: int,
        pad_at_end: bool,
    ) -> None:
        """Prepare an intake.

        Args:
            hydrophone: the only one whose blocks are taken.
            sample_rate_hz: the model's rate, in which the next two count.
            window_samples: length of a window.
            hop_samples: distance between windows.
            pad_at_end: whether an epoch that ends with a run shorter than a
                window has that run filled up with zeros (recordings) or left
                unobserved (live streams).
        """
        self.hydrophone = hydrophone
        self.ledger = Ledger(hydrophone)
        self.repeated_samples = 0
        self._model_rate_hz = sample_rate_hz
        self._pad_at_end = pad_at_end
        self._windows = RollingWindows(window_samples, hop_samples)
        self._stream: _Stream | None = None
        self._ended = False

    @property
    def clock(self) -> StreamClock | None:
        """The clock of the current epoch, None before the first block."""
        return self._stream.clock if self._stream else None

    @property
    def sample_rate_hz(self) -> int | None:
        """The stream's own rate, None before the first block."""
        return self._stream.sample_rate_hz if self._stream else None

    def push(self, block: AudioBlock) -> IntakeResult:
        """Take the next block.

        Samples heard before (the block begins before the end of the last one
        of its epoch) are dropped and counted in `repeated_samples`.

        Raises:
            ValueError: the block breaks its contract or comes after end().
        """
        self._check(block)
        unheard = self._without_repeats(block)
        if unheard is None:
            return IntakeResult()
        result, stream = self._continued(unheard)
        if unheard.arrival is not None:
            stream.clock.observe(unheard.end_sample, unheard.arrival)
            stream.arrival = unheard.arrival
        stream.reads(unheard)
        self.ledger.captured(unheard.first_sample, unheard.samples.size)
        stream.end_sample = unheard.end_sample
        cuts = self._windows.push(stream.run.resampler.push(unheard.samples))
        windows = tuple(self._window(cut, stream) for cut in cuts)
        self.ledger.settle_before(_floor(self._windows.earliest_next, stream, self._model_rate_hz))
        return result + IntakeResult(windows)

    def end(self) -> IntakeResult:
        """End the stream: cut its last windows and settle all that no window holds."""
        self._ended = True
        return self._end_run(self._stream, pad=self._pad_at_end) if self._stream else IntakeResult()

    def _check(self, block: AudioBlock) -> None:
        if self._ended:
            raise ValueError(f"{self.hydrophone}: a block came after end()")
        if block.hydrophone != self.hydrophone:
            raise ValueError(f"block of {block.hydrophone!r} given to the intake of {self.hydrophone!r}")
        samples = block.samples
        if samples.ndim != 1 or samples.size == 0 or samples.dtype != np.float32:
            raise ValueError(
                f"{self.hydrophone}: samples must be float32 [n >= 1], got {samples.dtype} {samples.shape}"
            )
        if block.sample_rate_hz <= 0:
            raise ValueError(f"{self.hydrophone}: sample_rate_hz must be positive, got {block.sample_rate_hz}")

    def _without_repeats(self, block: AudioBlock) -> AudioBlock | None:
        """The part of the block not heard before, None if nothing is."""
        stream = self._stream
        if stream is None or not _continues(block, stream) or block.first_sample >= stream.end_sample:
            return block
        repeated = min(stream.end_sample - block.first_sample, block.samples.size)
        self.repeated_samples += repeated
        if repeated == block.samples.size:
            return None
        return replace(block, samples=block.samples[repeated:], first_sample=stream.end_sample)

    def _continued(self, block: AudioBlock) -> tuple[IntakeResult, _Stream]:
        """The stream the block belongs to, and what ended if it does not simply go on."""
        stream = self._stream
        if stream is None:
            return IntakeResult(), self._begin(block, lost=0)
        if not _continues(block, stream):
            return self._change_epoch(block, stream)
        if block.first_sample > stream.end_sample:
            return self._pass_gap(block, stream), stream
        return IntakeResult(), stream

    def _begin(self, block: AudioBlock, *, lost: int) -> _Stream:
        self.ledger.new_epoch(block.epoch, block.first_sample, lost=lost)
        self._stream = _Stream(
            epoch=block.epoch,
            sample_rate_hz=block.sample_rate_hz,
            clock=StreamClock(block.epoch, block.sample_rate_hz),
            run=self._new_run(block),
            end_sample=block.first_sample,
            time_known=block.time_known,
        )
        return self._stream

    def _new_run(self, block: AudioBlock) -> _Run:
        resampler = StreamResampler(block.sample_rate_hz, self._model_rate_hz)
        return _Run(block.first_sample, resampler, windows_end=block.first_sample)

    def _change_epoch(self, block: AudioBlock, stream: _Stream) -> tuple[IntakeResult, _Stream]:
        """End the epoch; what was lost up to the next is measured in time, for want of a common count."""
        ended = self._end_run(stream, pad=self._pad_at_end)
        lost = _lost_between(stream, block)
        same_epoch = block.epoch == stream.epoch
        gap = Gap(
            self.hydrophone,
            stream.epoch,
            stream.end_sample,
            stream.end_sample + lost,
            "rate_changed" if same_epoch else "new_epoch",
        )
        return ended + IntakeResult(gaps=(gap,)), self._begin(block, lost=lost)

    def _pass_gap(self, block: AudioBlock, stream: _Stream) -> IntakeResult:
        ended = self._end_run(stream, pad=False)
        gap = Gap(self.hydrophone, stream.epoch, stream.end_sample, block.first_sample, "lost_samples")
        self.ledger.lost(block.first_sample - stream.end_sample)
        stream.end_sample = block.first_sample
        stream.run = self._new_run(block)
        return ended + IntakeResult(gaps=(gap,))

    def _end_run(self, stream: _Stream, *, pad: bool) -> IntakeResult:
        cuts = self._windows.push(stream.run.resampler.flush())
        windows = [self._window(cut, stream) for cut in cuts]
        for cut in self._windows.end_run(pad=pad):
            # At a higher model rate a cut may reach further than the last window
            # by less than one sample of the stream: nothing new was heard.
            if self._span(cut, stream)[1] > stream.run.windows_end:
                windows.append(self._window(cut, stream))
        self.ledger.settle_before(stream.end_sample)
        return IntakeResult(tuple(windows))

    def _span(self, cut: Cut, stream: _Stream) -> tuple[int, int]:
        """The stream samples [first, end) that a cut touches."""
        first = _floor(cut.first_sample, stream, self._model_rate_hz)
        end = _ceil(cut.first_sample + cut.heard_samples, stream, self._model_rate_hz)
        return first, min(end, stream.end_sample)

    def _window(self, cut: Cut, stream: _Stream) -> Window:
        """Place a cut in its stream and enter it in the ledger."""
        first, end = self._span(cut, stream)
        stream.run.windows_end = end
        self.ledger.window_cut(first, end)
        return Window(
            hydrophone=self.hydrophone,
            pcm=cut.pcm,
            start=stream.clock.utc(first),
            epoch=stream.epoch,
            first_sample=first,
            end_sample=end,
            sample_rate_hz=stream.sample_rate_hz,
            missing_fraction=cut.missing_fraction,
            clipped_fraction=cut.clipped_fraction,
            source_file=stream.file_at(first),
        )


def _continues(block: AudioBlock, stream: _Stream) -> bool:
    return block.epoch == stream.epoch and block.sample_rate_hz == stream.sample_rate_hz


def _lost_between(stream: _Stream, block: AudioBlock) -> int:
    """Samples of the block's rate between an epoch and the next; none can be told of undated recordings.

    UTC measures a pause best, as late arrivals do not disturb it; but not across a step of the system
    clock, which would be taken for a loss, or hide one: then the arrivals' monotonic clock does.
    """
    if not (stream.time_known and block.time_known):
        return 0
    if stream.arrival and block.arrival and _clock_stepped(stream.clock, stream.arrival, block.arrival):
        pause_s = block.arrival.monotonic_s - stream.arrival.monotonic_s
        return max(0, round(pause_s * block.sample_rate_hz) - block.samples.size)
    pause = block.epoch - stream.clock.utc(stream.end_sample)
    return max(0, round(pause.total_seconds() * block.sample_rate_hz) + block.first_sample)


def _clock_stepped(clock: StreamClock, before: Arrival, after: Arrival) -> bool:
    """Whether the system clock stepped while the stream was heard, or in the pause behind it."""
    moved_s = (after.system_s - after.monotonic_s) - (before.system_s - before.monotonic_s)
    return clock.step_count > 0 or abs(moved_s) > STEP_S


def _floor(model_sample: int, stream: _Stream, model_rate_hz: int) -> int:
    """Stream index of the last sample at or before a model sample of the run."""
    return stream.run.first_sample + model_sample * stream.sample_rate_hz // model_rate_hz


def _ceil(model_sample: int, stream: _Stream, model_rate_hz: int) -> int:
    """Stream index of the first sample at or after a model sample of the run."""
    return stream.run.first_sample - (-model_sample * stream.sample_rate_hz // model_rate_hz)
