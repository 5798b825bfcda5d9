"""Ledger: where every sample of a hydrophone went, to the sample."""

from bisect import bisect_left
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from types import MappingProxyType


class Outcome(IntEnum):
    """What became of a window; of several windows over a sample the highest counts."""

    UNOBSERVED = 0
    SHED = 1
    ANALYSED = 2


@dataclass(frozen=True, slots=True)
class LedgerTotals:
    """Samples since the ledger began, at the stream's own rate.

    Attributes:
        elapsed: stream positions passed, lost ones counted.
        captured: samples that arrived.
        lost: samples that never arrived.
        analysed: captured samples that an analysed window holds.
        shed: the rest of those that a shed window held.
        unobserved: captured samples that no analysed or shed window holds.
        pending: captured samples whose fate is open.
    """

    elapsed: int = 0
    captured: int = 0
    lost: int = 0
    analysed: int = 0
    shed: int = 0
    unobserved: int = 0
    pending: int = 0

    @property
    def balanced(self) -> bool:
        """Whether every sample is in exactly one place."""
        settled = self.analysed + self.shed + self.unobserved
        return self.captured + self.lost == self.elapsed and settled + self.pending == self.captured


@dataclass(slots=True)
class _Stretch:
    """Captured samples [first, end) that share one fate so far."""

    first: int
    end: int
    open_windows: int = 0
    best: Outcome = Outcome.UNOBSERVED
    unobservable: frozenset[str] = frozenset()


class Ledger:
    """Accounts for one hydrophone over all its epochs.

    Samples are kept as stretches, split where a window begins or ends, from
    capture until no window can change their fate: memory grows with the
    windows still open, not with time. Positions given are those of the
    current epoch; inside, epochs follow one another on one axis, so windows
    of an ended epoch may still be resolved. Not safe to share among threads.
    """

    def __init__(self, hydrophone: str) -> None:
        self.hydrophone = hydrophone
        self._epoch: datetime | None = None
        self._origin = 0  # where the epoch's sample 0 lies on the axis
        self._end = 0  # end of what has passed, on the axis
        self._no_window_before = 0
        self._stretches: list[_Stretch] = []
        self._open: dict[tuple[datetime, int, int], int] = {}  # to the origin of its epoch
        self._captured = self._lost = 0
        self._settled = dict.fromkeys(Outcome, 0)
        self._unobserved_by_call_type: dict[str, int] = {}

    @property
    def totals(self) -> LedgerTotals:
        """The balance now."""
        pending = sum(stretch.end - stretch.first for stretch in self._stretches)
        return LedgerTotals(
            elapsed=self._end,
            captured=self._captured,
            lost=self._lost,
            analysed=self._settled[Outcome.ANALYSED],
            shed=self._settled[Outcome.SHED],
            unobserved=self._settled[Outcome.UNOBSERVED],
            pending=pending,
        )

    @property
    def unobserved_by_call_type(self) -> Mapping[str, int]:
        """Analysed samples in which a call type could not be heard, by call type."""
        return MappingProxyType(self._unobserved_by_call_type)

    def new_epoch(self, epoch: datetime, first_sample: int, *, lost: int = 0) -> None:
        """Begin counting positions from another epoch.

        Args:
            epoch: UTC that names it.
            first_sample: position of its first captured sample.
            lost: samples that passed unheard since the epoch before.
        """
        self._settle_up_to(self._end)
        self.lost(lost)
        self._epoch, self._origin = epoch, self._end - first_sample

    def captured(self, first_sample: int, count: int) -> None:
        """Enter samples that arrived, next in order.

        Raises:
            ValueError: they do not follow what was captured or lost before.
        """
        first = self._origin + first_sample
        if first != self._end or self._epoch is None:
            raise ValueError(f"sample {first_sample} captured, next is {self._end - self._origin}")
        last = self._stretches[-1] if self._stretches else None
        self._end += count
        self._captured += count
        if last and last.end == first and _untouched(last):
            last.end = self._end
        else:
            self._stretches.append(_Stretch(first, self._end))

    def lost(self, count: int) -> None:
        """Enter samples that never arrived, next in order."""
        if count < 0:
            raise ValueError(f"lost samples cannot be negative, got {count}")
        self._end += count
        self._lost += count

    def window_cut(self, first_sample: int, end_sample: int) -> None:
        """Enter a window over [first, end) of the current epoch; its samples wait for it.

        Raises:
            ValueError: it is open already, or holds samples not captured or already settled.
        """
        if self._epoch is None or (self._epoch, first_sample, end_sample) in self._open:
            raise ValueError(f"window [{first_sample}, {end_sample}) is open already or before any epoch")
        held = self._over(self._origin + first_sample, self._origin + end_sample)
        if sum(stretch.end - stretch.first for stretch in held) != end_sample - first_sample:
            raise ValueError(f"window [{first_sample}, {end_sample}) holds samples lost or settled")
        self._open[self._epoch, first_sample, end_sample] = self._origin
        for stretch in held:
            stretch.open_windows += 1

    def resolve(
        self,
        epoch: datetime,
        first_sample: int,
        *,
        end_sample: int,
        outcome: Outcome,
        unobservable: Collection[str] = (),
    ) -> None:
        """Enter what became of a window, in any order.

        Args:
            epoch: the window's epoch, which may have ended since.
            first_sample: the window's first sample in it.
            end_sample: the window's end in it.
            outcome: its fate.
            unobservable: call types the stream's rate cannot carry.

        Raises:
            KeyError: no such window is open.
        """
        origin = self._open.pop((epoch, first_sample, end_sample))
        for stretch in self._over(origin + first_sample, origin + end_sample):
            stretch.open_windows -= 1
            stretch.best = max(stretch.best, outcome)
            if outcome is Outcome.ANALYSED:
                stretch.unobservable |= frozenset(unobservable)
        self._settle_up_to(self._no_window_before)

    def settle_before(self, sample: int) -> None:
        """Promise that no window to come begins before this position of the current epoch."""
        self._settle_up_to(self._origin + sample)

    def _over(self, first: int, end: int) -> list[_Stretch]:
        """Stretches inside [first, end), after splitting those that cross its edges."""
        self._split(first)
        self._split(end)
        begin = bisect_left(self._stretches, first, key=lambda stretch: stretch.first)
        stop = bisect_left(self._stretches, end, key=lambda stretch: stretch.first)
        return self._stretches[begin:stop]

    def _split(self, at: int) -> None:
        index = bisect_left(self._stretches, at, key=lambda stretch: stretch.first) - 1
        if index >= 0 and self._stretches[index].end > at:
            left = self._stretches[index]
            self._stretches.insert(index + 1, replace(left, first=at))
            left.end = at

    def _settle_up_to(self, bound: int) -> None:
        """Close the stretches before `bound` that no open window holds."""
        self._no_window_before = max(self._no_window_before, bound)
        self._split(self._no_window_before)
        waiting = []
        for stretch in self._stretches:
            if stretch.open_windows or stretch.end > self._no_window_before:
                waiting.append(stretch)
            else:
                self._close(stretch)
        self._stretches = waiting

    def _close(self, stretch: _Stretch) -> None:
        count = stretch.end - stretch.first
        self._settled[stretch.best] += count
        for call_type in stretch.unobservable:
            self._unobserved_by_call_type[call_type] = self._unobserved_by_call_type.get(call_type, 0) + count


def _untouched(stretch: _Stretch) -> bool:
    """Whether no window has held the stretch yet, so that it may still grow."""
    return not stretch.open_windows and stretch.best is Outcome.UNOBSERVED
