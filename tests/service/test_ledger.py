"""Ledger: compared, sample by sample, with a list that remembers everything."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seacanary.ledger import Ledger, LedgerTotals, Outcome

EPOCH = datetime(2026, 7, 1, tzinfo=UTC)


@dataclass
class Brute:
    """One entry per captured sample: the best outcome of the windows that held it."""

    lost: int = 0
    fate: dict[tuple[datetime, int], Outcome] = field(default_factory=dict)

    def totals(self) -> LedgerTotals:
        fates = list(self.fate.values())
        return LedgerTotals(
            elapsed=len(fates) + self.lost,
            captured=len(fates),
            lost=self.lost,
            **{outcome.name.lower(): fates.count(outcome) for outcome in Outcome},
        )


@dataclass(frozen=True)
class Open:
    epoch: datetime
    first: int
    end: int
    outcome: Outcome


@st.composite
def runs(draw: st.DrawFn) -> list[tuple[int, int, bool]]:
    """(samples lost before, samples captured, whether a new epoch begins)."""
    piece = st.tuples(st.integers(0, 9), st.integers(1, 40), st.booleans())
    return draw(st.lists(piece, min_size=1, max_size=6))


def starts_in(length: int, window: int, hop: int) -> list[int]:
    starts = list(range(0, length - window + 1, hop))
    if length > window and starts[-1] + window < length:
        starts.append(length - window)
    return starts


def shapes() -> st.SearchStrategy[tuple[int, int]]:
    """(window, hop), hop at most a window."""
    return st.integers(1, 12).flatmap(lambda window: st.tuples(st.just(window), st.integers(1, window)))


@settings(deadline=None)
@given(
    runs=runs(),
    shape=shapes(),
    fates=st.tuples(st.lists(st.sampled_from(Outcome), min_size=1, max_size=9), st.randoms(use_true_random=False)),
    backlog=st.integers(0, 20),
)
def test_every_sample_ends_where_the_brute_force_count_puts_it(
    runs: list[tuple[int, int, bool]],
    shape: tuple[int, int],
    fates: tuple[list[Outcome], Random],
    backlog: int,
) -> None:
    (window, hop), (outcomes, order) = shape, fates
    ledger, brute = Ledger("h"), Brute()
    epoch, position = EPOCH, 0
    ledger.new_epoch(epoch, 0)
    waiting: list[Open] = []
    count = 0
    for lost, length, anew in runs:
        if anew:
            epoch, position = epoch + timedelta(days=1), 0
            ledger.new_epoch(epoch, 0, lost=lost)
        else:
            ledger.lost(lost)
            position += lost
        brute.lost += lost
        ledger.captured(position, length)
        brute.fate.update({(epoch, i): Outcome.UNOBSERVED for i in range(position, position + length)})
        starts = [position + start for start in starts_in(length, window, hop)]
        for start in starts:
            ledger.window_cut(start, start + window)
            ledger.settle_before(start + 1)
            waiting.append(Open(epoch, start, start + window, outcomes[count % len(outcomes)]))
            count += 1
        ledger.settle_before(position + length)
        position += length
        order.shuffle(waiting)
        while len(waiting) > backlog:
            settle(ledger, brute, waiting.pop())
    order.shuffle(waiting)
    while waiting:
        settle(ledger, brute, waiting.pop())
    assert ledger.totals == brute.totals()
    assert ledger.totals.balanced


def settle(ledger: Ledger, brute: Brute, window: Open) -> None:
    ledger.resolve(window.epoch, window.first, end_sample=window.end, outcome=window.outcome)
    for sample in range(window.first, window.end):
        key = (window.epoch, sample)
        brute.fate[key] = max(brute.fate[key], window.outcome)
    assert ledger.totals.balanced


def test_samples_wait_for_every_window_that_may_still_hold_them() -> None:
    ledger = Ledger("h")
    ledger.new_epoch(EPOCH, 0)
    ledger.captured(0, 12)
    ledger.window_cut(0, 8)
    ledger.settle_before(1)
    ledger.resolve(EPOCH, 0, end_sample=8, outcome=Outcome.SHED)
    assert ledger.totals == LedgerTotals(elapsed=12, captured=12, shed=1, pending=11)
    ledger.window_cut(4, 12)
    ledger.settle_before(12)
    ledger.resolve(EPOCH, 4, end_sample=12, outcome=Outcome.ANALYSED)
    assert ledger.totals == LedgerTotals(elapsed=12, captured=12, shed=4, analysed=8)


def test_a_call_type_the_rate_cannot_carry_is_counted_in_analysed_samples_only() -> None:
    ledger = Ledger("h")
    ledger.new_epoch(EPOCH, 0)
    ledger.captured(0, 20)
    ledger.window_cut(0, 8)
    ledger.window_cut(4, 12)
    ledger.window_cut(12, 20)
    ledger.settle_before(20)
    outcomes = {0: Outcome.ANALYSED, 4: Outcome.ANALYSED, 12: Outcome.SHED}
    for first, outcome in outcomes.items():
        ledger.resolve(EPOCH, first, end_sample=first + 8, outcome=outcome, unobservable={"porpoise_click"})
    assert ledger.unobserved_by_call_type == {"porpoise_click": 12}


def test_samples_are_settled_as_windows_resolve_not_at_the_end() -> None:
    ledger = Ledger("h")
    ledger.new_epoch(EPOCH, 0)
    for first, end in pairwise(range(0, 4_000_000, 4_000)):
        ledger.captured(first, end - first)
        ledger.window_cut(first, end)
        ledger.settle_before(first + 1)
        ledger.resolve(EPOCH, first, end_sample=end, outcome=Outcome.ANALYSED)
    assert ledger.totals.pending <= 4_000


def test_faults_of_the_caller_are_refused() -> None:
    ledger = Ledger("h")
    with pytest.raises(ValueError, match="captured"):
        ledger.captured(0, 5)
    ledger.new_epoch(EPOCH, 3)
    ledger.captured(3, 5)
    with pytest.raises(ValueError, match="next is 8"):
        ledger.captured(9, 1)
    with pytest.raises(ValueError, match="lost or settled"):
        ledger.window_cut(2, 6)
    ledger.window_cut(3, 6)
    with pytest.raises(ValueError, match="open already"):
        ledger.window_cut(3, 6)
    with pytest.raises(KeyError):
        ledger.resolve(EPOCH, 3, end_sample=7, outcome=Outcome.ANALYSED)
    with pytest.raises(ValueError, match="negative"):
        ledger.lost(-1)


def test_an_unbalanced_book_is_seen() -> None:
    assert LedgerTotals(elapsed=3, captured=2, lost=1, analysed=1, pending=1).balanced
    assert not LedgerTotals(elapsed=3, captured=2, lost=1, analysed=1).balanced
    assert not LedgerTotals(elapsed=4, captured=2, lost=1, analysed=2).balanced
