"""Finds every break in what one live hydrophone heard, and the fault that caused it. Pure.

A live stream passes as fast as time does, so that time at which nothing passes is a break whether or not the
station says so. Its own account is exact to the sample; when a break was is known to the second of a reading.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from benchmarks.soaking.plan import KINDS
from benchmarks.soaking.records import Counts, Life, Struck

GapKind = Literal["nobody listened", "lost", "silent", "shed", "unobserved"]

BEFORE_S = 3.0  # a reading is up to a second old, and a stall shows with the block that does not come
SILENT_S = 2.5  # nothing for so long at a life's end is a break that the station had no time to tell
BEHIND_S = 2.5  # what may be on its way when a reading is taken
AFTER_S = {"kill": 45.0, "freeze": 15.0, "journal_full": 25.0, "busy": 10.0}  # until all is as before
OTHERWISE_AFTER_S = 14.0  # the stall is noticed, the source reopened, its first block comes


@dataclass(frozen=True, slots=True)
class Gap:
    """A break.

    Attributes:
        hydrophone: whose.
        kind: no process (nobody listened), samples that never came (lost), the same as yet untold when the
            process ended (silent), captured but not analysed for want of time (shed), or because the stretch
            was too short (unobserved).
        began_s: when.
        lasts_s: how much was not heard, seconds.
        samples: that the station counted so; 0 where there was no process to count.
        cause: the fault that explains it.
    """

    hydrophone: str
    kind: GapKind
    began_s: float
    lasts_s: float
    samples: int = 0
    cause: Struck | None = None

    @property
    def ended_s(self) -> float:
        """When it was over."""
        return self.began_s + self.lasts_s


def gaps_of(hydrophone: str, lives: Sequence[Life], *, rate_hz: int) -> list[Gap]:
    """All breaks of one live hydrophone, from its first sample to its last."""
    gaps: list[Gap] = []
    until_s: float | None = None
    for life in lives:
        counts = life.counts.get(hydrophone, [])
        if not counts:
            continue
        from_s = heard_from_s(counts, rate_hz=rate_hz)
        if until_s is not None:
            gaps.append(Gap(hydrophone, "nobody listened", until_s, max(0.0, from_s - until_s)))
        gaps += _within(hydrophone, counts, rate_hz=rate_hz, life=life)
        until_s = counts[-1].at_s
    return sorted(gaps, key=lambda gap: gap.began_s)


def heard_from_s(counts: Sequence[Counts], *, rate_hz: int) -> float:
    """When the first sample of a life came; a hydrophone of an earlier life is known before it is heard."""
    first = next((count for count in counts if count.elapsed), counts[0])
    return first.at_s - first.elapsed / rate_hz


def explained(gaps: Sequence[Gap], struck: Sequence[Struck]) -> list[Gap]:
    """The same gaps with their causes, where there are any."""
    return [replace(gap, cause=_cause(gap, struck)) for gap in gaps]


def misplaced_s(counts: Sequence[Counts], *, rate_hz: int) -> float:
    """How much more time than samples passed in a life, at its last reading in which audio flowed.

    Much above zero: samples were missed and not said to be. Below: samples are said to be lost that never were.
    """
    flowing = [
        later
        for earlier, later in pairwise(counts)
        if abs((later.captured - earlier.captured) / rate_hz - (later.at_s - earlier.at_s)) < 0.5
        and later.at_s > earlier.at_s
    ]
    if not flowing:
        return 0.0
    first, last = flowing[0], flowing[-1]
    return last.at_s - first.at_s - (last.elapsed - first.elapsed) / rate_hz


def _within(hydrophone: str, counts: Sequence[Counts], *, rate_hz: int, life: Life) -> Iterator[Gap]:
    """Breaks of one life."""
    running = counts[:-1] if life.closed else counts
    nothing = Counts(counts[0].at_s, 0, 0, 0, 0, 0, 0, 0)
    shed: Gap | None = None
    for earlier, later in pairwise((nothing, *running)):
        yield from _lost_or_unobserved(hydrophone, earlier, later, rate_hz=rate_hz)
        if later.shed > earlier.shed:
            samples = later.shed - earlier.shed + (shed.samples if shed else 0)
            began_s = shed.began_s if shed else min(earlier.at_s, later.at_s)
            shed = Gap(hydrophone, "shed", began_s, samples / rate_hz, samples)
        elif shed:
            yield shed
            shed = None
    if shed:
        yield shed
    yield from _at_the_end(hydrophone, running, counts[-1], rate_hz=rate_hz, told_s=life.told_s)


def _lost_or_unobserved(hydrophone: str, earlier: Counts, later: Counts, *, rate_hz: int) -> Iterator[Gap]:
    lost, unobserved = later.lost - earlier.lost, later.unobserved - earlier.unobserved
    if lost:
        yield Gap(hydrophone, "lost", later.at_s - lost / rate_hz, lost / rate_hz, lost)
    if unobserved:
        yield Gap(hydrophone, "unobserved", earlier.at_s, unobserved / rate_hz, unobserved)


def _at_the_end(
    hydrophone: str, running: Sequence[Counts], last: Counts, *, rate_hz: int, told_s: float | None
) -> Iterator[Gap]:
    """Silence that no block has ended, so that the station could not count it; none counts once it was told to stop."""
    if not running:
        return
    heard = [later.at_s for earlier, later in pairwise(running) if later.captured > earlier.captured]
    since_s = heard[-1] if heard else running[0].at_s
    silent_s = min(running[-1].at_s, math.inf if told_s is None else told_s) - since_s
    if silent_s > SILENT_S:
        yield Gap(hydrophone, "silent", since_s, silent_s)
    if last is not running[-1] and last.lost > running[-1].lost:
        yield from _lost_or_unobserved(hydrophone, running[-1], last, rate_hz=rate_hz)


def _cause(gap: Gap, struck: Sequence[Struck]) -> Struck | None:
    """The fault nearest to where the gap began, of those that could have caused one as long as it."""
    near = [fault for fault in struck if _is_near(fault, gap)]
    able = [fault for fault in near if _could(fault.kind, gap)]
    # What is struck twice at once is whole again only after both.
    together = [fault for fault in near if fault in able or _could(fault.kind, replace(gap, kind="lost"))]
    longest_s = sum(fault.ended_s - fault.began_s + _after_s(fault) for fault in together) + BEFORE_S
    if gap.lasts_s > longest_s:
        return None
    return min(able, key=lambda fault: abs(fault.began_s - gap.began_s), default=None)


def _could(kind: str, gap: Gap) -> bool:
    if gap.kind == "nobody listened":
        return kind == "kill"
    if kind == "busy":
        return True
    what = KINDS[kind]
    return what.sheds if gap.kind == "shed" else bool({"*", gap.hydrophone} & set(what.silences))


def _is_near(fault: Struck, gap: Gap) -> bool:
    return gap.began_s <= fault.ended_s + _after_s(fault) and fault.began_s - BEFORE_S <= gap.ended_s


def _after_s(fault: Struck) -> float:
    return AFTER_S.get(fault.kind, OTHERWISE_AFTER_S)
