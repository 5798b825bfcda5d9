"""Judges the process: how it ended, and whether memory, file handles or threads grew. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.soaking.records import Life, Struck, Verdict, Vitals

WARM_UP_S, WARM_UP_SHARE = 60.0, 0.2
LONG_ENOUGH_S = 1200.0  # after the warm-up; a slope over less says what was going on, not what grows
SHOWN_S = 60.0
LIMITS_PER_H = {"rss_mb": 24.0, "handles": 6.0, "threads": 3.0}
EXCUSED = ("journal_full", "reload_bad")  # a station that begins meanwhile cannot, and says so
EXCUSED_AFTER_S = 10.0


@dataclass(frozen=True, slots=True)
class Trend:
    """One quantity over one life, after its warm-up.

    Attributes:
        life: number.
        what: rss_mb, handles or threads.
        minutes: that were looked at.
        first, last: means of the first and last tenth.
        per_h: slope of a least-squares line.
    """

    life: int
    what: str
    minutes: float
    first: float
    last: float
    per_h: float


def trends(life: Life) -> list[Trend]:
    """Each quantity's trend; none of a life too short to have one."""
    steady = _steady(life.vitals)
    if len(steady) < 2 or steady[-1].at_s - steady[0].at_s < SHOWN_S:
        return []
    times_s = np.array([vitals.at_s for vitals in steady])
    tenth = max(1, len(steady) // 10)
    found = []
    for what in LIMITS_PER_H:
        values = np.array([getattr(vitals, what) for vitals in steady], float)
        slope_per_h = float(np.polyfit(times_s - times_s[0], values, 1)[0] * 3600)
        minutes = (times_s[-1] - times_s[0]) / 60
        found.append(Trend(life.number, what, minutes, values[:tenth].mean(), values[-tenth:].mean(), slope_per_h))
    return found


def judge_growth(lives: Sequence[Life]) -> Verdict:
    """Nothing may grow in a life that is long enough to tell."""
    all_trends = [trend for life in lives for trend in trends(life)]
    long = [trend for trend in all_trends if trend.minutes * 60 >= LONG_ENOUGH_S]
    violations = [
        f"life {trend.life}: {trend.what} grows by {trend.per_h:.1f} per hour, {LIMITS_PER_H[trend.what]:g} allowed"
        for trend in long
        if trend.per_h > LIMITS_PER_H[trend.what]
    ]
    return Verdict("growth", tuple(violations), {"lives_long_enough": len({trend.life for trend in long})})


def judge_ends(lives: Sequence[Life], struck: Sequence[Struck]) -> Verdict:
    """Every life ended because it was ended, the last one in order; no window went unanswered, no event undelivered."""
    violations = []
    for life in lives:
        if life.asked == "none" and not _excused(life, struck):
            violations.append(
                f"life {life.number} ended by itself after {life.ended_s - life.began_s:.0f} s: {life.code}"
            )
        violations += [f"life {life.number}: {name} is {value:.0f}" for name, value in life.failures.items() if value]
    last = lives[-1]
    if last.asked != "stopped" or last.code != 0 or not last.closed:
        violations.append(f"the last life did not end in order: {last.asked}, exit code {last.code}")
    figures = {"lives": len(lives), "killed": sum(life.asked == "killed" for life in lives)}
    return Verdict("process", tuple(violations), figures)


def _excused(life: Life, struck: Sequence[Struck]) -> bool:
    return any(
        fault.kind in EXCUSED and fault.began_s <= life.ended_s and life.began_s <= fault.ended_s + EXCUSED_AFTER_S
        for fault in struck
    )


def _steady(vitals: Sequence[Vitals]) -> list[Vitals]:
    if not vitals:
        return []
    lasts_s = vitals[-1].at_s - vitals[0].at_s
    from_s = vitals[0].at_s + max(WARM_UP_S, WARM_UP_SHARE * lasts_s)
    return [each for each in vitals if each.at_s >= from_s]
