"""StreamClock: sample index to UTC, with the true rate fitted to the system clock.

How time is kept. Each block tells when its last sample arrived, which is late by a jitter but never
early. The lower envelope of arrival against index therefore runs parallel to the true time, a
constant latency above it: its slope gives the true rate, and its height keeps the clock from
drifting away from the system clock over months. What utc() answers is piecewise linear: a new
piece begins only behind every time already given out and every sample already heard, and begins
where the last one stands, so time given out never changes, never repeats and never jumps; an
error is slewed away at MAX_SLEW at most. The one exception is a forward step of the system
clock, which new time follows at once from a new anchor. After a backward step time would have to
repeat, so it is slewed: until that is done `error_bound_s` contains the rest of the step, and a
station that cannot wait begins a new epoch.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Self

from seacanary.audio import Arrival
from seacanary.clock_fit import Envelope, Line

STEP_S = 0.05  # a change of system against monotonic clock beyond this is a step
FIT_AFTER_S = 60.0
REFIT_EVERY_S = 30.0
MAX_SLEW = 500e-6  # as ntpd: far below anything an ear or a model could notice
SLEW_TIME_S = 120.0  # a phase error shrinks to 1/e in this time, if the slew limit allows
NOMINAL_TOLERANCE = 100e-6  # assumed of a crystal before the first fit
_PIECES_KEPT = 1024  # 8 h; older samples are placed by the oldest piece kept
_STEPS_KEPT = 100


@dataclass(frozen=True, slots=True)
class ClockStep:
    """The system clock jumped.

    Attributes:
        sample: first sample whose time can follow the corrected clock.
        size_s: how far it jumped, seconds, forward positive.
        applied: forward steps are followed at once, backward ones slewed.
    """

    sample: int
    size_s: float
    applied: Literal["jumped", "slewed"]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A straight stretch of time, in integers so that it can be reproduced exactly.

    Attributes:
        first_sample: where it begins.
        start_us: microseconds from the epoch to first_sample.
        rate_uhz: samples per second of UTC, in microhertz.
    """

    first_sample: int
    start_us: int
    rate_uhz: int

    def us(self, sample: int) -> int:
        """Microseconds from the epoch to a sample, rounded to the nearest."""
        count = sample - self.first_sample
        return self.start_us + (count * 10**12 + self.rate_uhz // 2) // self.rate_uhz


class _StepWatch:
    """Finds jumps of the system clock against the monotonic one."""

    def __init__(self, offset_s: float) -> None:
        self._followed_s = offset_s
        self._suspect_s: float | None = None
        self.creep_s = 0.0  # moved since, but too little for a step

    def observe(self, offset_s: float) -> float | None:
        """Size of a step once two observations agree on it, else None.

        One alone may be this process being held up between reading its two clocks.
        """
        size_s = offset_s - self._followed_s
        if abs(size_s) <= STEP_S:
            self.creep_s, self._suspect_s = size_s, None
            return None
        if self._suspect_s is None or abs(offset_s - self._suspect_s) > STEP_S:
            self._suspect_s = offset_s
            return None
        self._followed_s, self._suspect_s, self.creep_s = offset_s, None, 0.0
        return size_s


@dataclass(slots=True)
class _SystemTime:
    """The envelope as system time: what utc() is held against.

    Attributes:
        monotonic_origin_s: monotonic time at which sample 0 would have arrived.
        first_s: nominal time of the first observation.
        base_s: system time of that origin since the epoch, steps followed.
        first_base_s: base_s before any step.
        watch: finds the steps.
        envelope: the arrivals.
        line: the fit, None in the first minute.
        latency_s: constant way of the samples to this machine, None before the fit.
    """

    monotonic_origin_s: float
    first_s: float
    base_s: float
    first_base_s: float
    watch: _StepWatch
    envelope: Envelope
    line: Line | None = None
    latency_s: float = 0.0

    @classmethod
    def begin(cls, epoch: datetime, nominal_s: float, arrival: Arrival) -> Self:
        """Start from the first observation."""
        base_s = arrival.system_s - nominal_s - epoch.timestamp()
        watch = _StepWatch(arrival.system_s - arrival.monotonic_s)
        return cls(arrival.monotonic_s - nominal_s, nominal_s, base_s, base_s, watch, Envelope())

    def refit(self) -> Line | None:
        """Fit anew; the first fit also fixes the latency.

        A negative latency would mean samples that arrived before they were
        taken: then the epoch was stamped late, and the clock goes back to it.
        """
        line = self.envelope.line()
        if line is not None and self.line is None:
            self.latency_s = max(0.0, self.first_base_s + line.at(self.first_s))
        self.line = line or self.line
        return self.line

    def since_epoch_s(self, nominal_s: float, line: Line) -> float:
        """System time at which the sample of a nominal time was taken, since the epoch."""
        return self.base_s + nominal_s + line.at(nominal_s) - self.latency_s


class StreamClock:
    """The time of every sample of one epoch.

    Without arrivals (recorded audio) it is exactly epoch + index / nominal
    rate, to the microsecond. With them, the nominal rate holds for the first
    minute and the fitted one from then on.
    """

    def __init__(self, epoch: datetime, sample_rate_hz: int) -> None:
        self._epoch = epoch
        self._rate_hz = sample_rate_hz
        self._pieces = deque([_Piece(0, 0, sample_rate_hz * 10**6)], maxlen=_PIECES_KEPT)
        self._given_out = 0  # samples before this have a time that must not change
        self._heard = 0
        self._system: _SystemTime | None = None
        self._next_fit_s = FIT_AFTER_S
        self._steps: deque[ClockStep] = deque(maxlen=_STEPS_KEPT)
        self.step_count = 0

    def observe(self, end_sample: int, arrival: Arrival) -> None:
        """Learn when the sample before `end_sample` arrived.

        Raises:
            ValueError: end_sample is not beyond the last one observed.
        """
        if end_sample <= self._heard:
            raise ValueError(f"end_sample must ascend: {end_sample} after {self._heard}")
        self._heard = end_sample
        nominal_s = end_sample / self._rate_hz
        if self._system is None:
            self._system = _SystemTime.begin(self._epoch, nominal_s, arrival)
            self._next_fit_s = nominal_s + FIT_AFTER_S
        system = self._system
        system.envelope.add(nominal_s, arrival.monotonic_s - system.monotonic_origin_s - nominal_s)
        step_s = system.watch.observe(arrival.system_s - arrival.monotonic_s)
        if step_s is not None:
            self._follow_step(system, step_s)
        if nominal_s >= self._next_fit_s:
            self._next_fit_s = nominal_s + REFIT_EVERY_S
            self._refit(system)

    def utc(self, sample: int) -> datetime:
        """UTC of a sample of the stream; the same answer whenever it is asked."""
        self._given_out = max(self._given_out, sample + 1)
        return self._epoch + timedelta(microseconds=self._us(sample))

    @property
    def drift_ppm(self) -> float | None:
        """How much faster than nominal the true rate is; None while unknown."""
        line = self._system.line if self._system else None
        return None if line is None else (1.0 / (1.0 + line.slope) - 1.0) * 1e6

    @property
    def steps(self) -> Sequence[ClockStep]:
        """The last steps of the system clock; `step_count` counts all of them."""
        return tuple(self._steps)

    def error_bound_s(self, ntp_error_s: float | None = None) -> float | None:
        """How far utc() may be off for the newest samples, seconds.

        The sum of what jitter leaves open, what the fit may have missed since
        its last support, what is still to be slewed, steps too small to
        follow, and the system clock's own error. A constant latency between
        the water and this machine cannot be seen from here and is not in it.

        Args:
            ntp_error_s: the system clock's largest error, where known.

        Returns:
            None for recorded audio, whose error is that of its epoch.
        """
        if self._system is None:
            return None
        return self._fit_error_s(self._system) + abs(self._system.watch.creep_s) + (ntp_error_s or 0.0)

    def _fit_error_s(self, system: _SystemTime) -> float:
        heard_s = self._heard / self._rate_hz
        line = system.line
        if line is None:
            return system.envelope.range_s() + NOMINAL_TOLERANCE * (heard_s - system.first_s)
        return line.scatter_s + line.slope_error * (heard_s - line.support_s) + abs(self._ahead_s(system, line))

    def _us(self, sample: int) -> int:
        for piece in reversed(self._pieces):
            if sample >= piece.first_sample:
                return piece.us(sample)
        return self._pieces[0].us(sample)

    def _anchor(self, *, jump_us: int, rate_uhz: int) -> int:
        """Begin a new piece behind all that was heard or given out; return its first sample."""
        first = max(self._heard, self._given_out)
        self._pieces.append(_Piece(first, self._us(first) + jump_us, rate_uhz))
        return first

    def _follow_step(self, system: _SystemTime, size_s: float) -> None:
        system.base_s += size_s
        self.step_count += 1
        if size_s > 0:
            first = self._anchor(jump_us=round(size_s * 1e6), rate_uhz=self._pieces[-1].rate_uhz)
            self._steps.append(ClockStep(first, size_s, "jumped"))
        else:
            self._steps.append(ClockStep(self._heard, size_s, "slewed"))

    def _refit(self, system: _SystemTime) -> None:
        line = system.refit()
        if line is None:
            return
        slew = min(max(-self._ahead_s(system, line) / SLEW_TIME_S, -MAX_SLEW), MAX_SLEW)
        seconds_per_nominal = (1.0 + line.slope) * (1.0 + slew)
        self._anchor(jump_us=0, rate_uhz=round(self._rate_hz * 1e6 / seconds_per_nominal))

    def _ahead_s(self, system: _SystemTime, line: Line) -> float:
        """How far utc() is ahead of the system clock at the newest sample, seconds."""
        return self._us(self._heard) * 1e-6 - system.since_epoch_s(self._heard / self._rate_hz, line)
