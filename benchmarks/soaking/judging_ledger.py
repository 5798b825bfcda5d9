"""Judges whether every sample is accounted for: by the station, to the sample, and by the clock, to seconds. Pure."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from benchmarks.soaking.gaps import BEHIND_S, Gap, explained, gaps_of, heard_from_s, misplaced_s
from benchmarks.soaking.hydrophones import FILE_RATE_HZ, FILE_S
from benchmarks.soaking.records import LEDGER, Counts, Life, Struck, Verdict

COUNTED = tuple(what for what in LEDGER if what != "pending")
FILE_SAMPLES = FILE_S * FILE_RATE_HZ
FILES_ON_THE_WAY = 2  # may be heard and marked between the last reading and a kill


def judge_account(hydrophone: str, lives: Sequence[Life]) -> list[str]:
    """What is wrong with a hydrophone's own account: out of balance, or running backwards."""
    wrong = []
    for life in lives:
        counts = life.counts.get(hydrophone, [])
        wrong += [f"life {life.number}, {c.at_s:.0f} s: {c} is out of balance" for c in counts if not c.balanced]
        for earlier, later in pairwise(counts):
            back = [what for what in COUNTED if getattr(later, what) < getattr(earlier, what)]
            wrong += [f"life {life.number}, {later.at_s:.0f} s: {what} ran backwards" for what in back]
        if life.closed and counts and counts[-1].pending:
            wrong.append(f"life {life.number} ended with {counts[-1].pending} samples pending")
    return [f"{hydrophone}: {text}" for text in wrong]


def judge_live(
    hydrophone: str, lives: Sequence[Life], struck: Sequence[Struck], *, rate_hz: int
) -> tuple[Verdict, list[Gap]]:
    """Judge a live hydrophone: its account, its account against the clock, each gap against the faults."""
    violations = judge_account(hydrophone, lives)
    for life in lives:
        counts = life.counts.get(hydrophone, [])
        off_s = misplaced_s(counts, rate_hz=rate_hz)
        if abs(off_s) > BEHIND_S:
            what = "passed that are in no account" if off_s > 0 else "are said to be lost that never were"
            violations.append(f"{hydrophone}: life {life.number}: {abs(off_s):.1f} s {what}")
    gaps = explained(gaps_of(hydrophone, lives, rate_hz=rate_hz), struck)
    violations += [
        f"{hydrophone}: {gap.lasts_s:.2f} s {gap.kind} at {gap.began_s:.0f} s, with no fault to explain it"
        for gap in gaps
        if gap.cause is None
    ]
    figures = _figures(hydrophone, lives, gaps, rate_hz=rate_hz)
    if not lives[-1].counts.get(hydrophone):
        violations.append(f"{hydrophone}: nothing was heard in the last life")
    residual_s = float(str(figures.get("residual_s", 0.0)))
    if abs(residual_s) > BEHIND_S * len(lives):
        violations.append(f"{hydrophone}: {residual_s:.1f} s from first to last sample are in no account")
    return Verdict(f"ledger of {hydrophone}", tuple(violations), figures), gaps


def judge_recorder(
    hydrophone: str, lives: Sequence[Life], files: Sequence[tuple[str, int]], *, done_at_end: frozenset[str]
) -> Verdict:
    """Judge a hydrophone of recordings, which wait: of them nothing may be lost, whatever happened.

    Args:
        hydrophone: whose.
        lives: of the station; the last one ended in order, after all files were complete.
        files: path and start, seconds since 1970, of every recording made, in order; FILE_S long each.
        done_at_end: recordings that the journal knows as heard after the last life.
    """
    violations = judge_account(hydrophone, lives)
    last = lives[-1]
    if not last.closed:
        return Verdict(f"ledger of {hydrophone}", (*violations, f"{hydrophone}: there is no closing account"))
    heard_last = [(path, start) for path, start in files if path not in last.done_before]
    closing = last.counts.get(hydrophone, [Counts(last.ended_s, 0, 0, 0, 0, 0, 0, 0)])[-1]
    for what, expected in _expected(heard_last).items():
        got = getattr(closing, what)
        if got != expected:
            violations.append(f"{hydrophone}: {got} samples {what} in the last life, the recordings say {expected}")
    violations += [
        f"{hydrophone}: {len(unknown)} recordings are marked as heard that were never made"
        for unknown in [done_at_end - {path for path, _ in files}]
        if unknown
    ]
    for life, after in pairwise((*(life.done_before for life in lives), done_at_end)):
        if life - after:
            violations.append(f"{hydrophone}: {len(life - after)} recordings marked as heard were forgotten")
    violations += _marked_unheard(hydrophone, lives)
    figures = {
        "recordings": len(files),
        "recordings_s": len(files) * FILE_S,
        "heard_in_last_life": len(heard_last),
        "captured_over_all_lives_s": _summed(hydrophone, lives, "captured") / FILE_RATE_HZ,
    }
    return Verdict(f"ledger of {hydrophone}", tuple(violations), figures)


def _expected(files: Sequence[tuple[str, int]]) -> dict[str, int]:
    """What an account of these recordings must say: pauses between them are lost, by their dates."""
    paused_s = sum(later - earlier - FILE_S for (_, earlier), (_, later) in pairwise(files))
    captured = len(files) * FILE_SAMPLES
    return {"captured": captured, "lost": paused_s * FILE_RATE_HZ, "analysed": captured, "shed": 0, "unobserved": 0}


def _marked_unheard(hydrophone: str, lives: Sequence[Life]) -> list[str]:
    """Recordings marked as heard in a life that ended without an account: it must have captured as much."""
    wrong = []
    for life, following in pairwise(lives):
        marked = len(following.done_before - life.done_before)
        captured = max((counts.captured for counts in life.counts.get(hydrophone, [])), default=0)
        if captured < (marked - FILES_ON_THE_WAY) * FILE_SAMPLES:
            wrong.append(f"{hydrophone}: life {life.number} marked {marked} recordings of {captured} samples")
    return wrong


def _figures(hydrophone: str, lives: Sequence[Life], gaps: Sequence[Gap], *, rate_hz: int) -> Mapping[str, object]:
    """Where the time from first to last sample went, seconds."""
    heard = [life.counts[hydrophone] for life in lives if life.counts.get(hydrophone)]
    if not heard:
        return {}
    spent = {f"{what}_s": round(_summed(hydrophone, lives, what) / rate_hz, 2) for what in LEDGER}
    nobody_s = sum(gap.lasts_s for gap in gaps if gap.kind == "nobody listened")
    silent_s = sum(gap.lasts_s for gap in gaps if gap.kind == "silent")
    off_s = [misplaced_s(counts, rate_hz=rate_hz) for counts in heard]
    span_s = heard[-1][-1].at_s - heard_from_s(heard[0], rate_hz=rate_hz)
    return {
        "span_s": round(span_s, 2),
        **spent,
        "nobody_listened_s": round(nobody_s, 2),
        "silent_s": round(silent_s, 2),
        "residual_s": round(span_s - spent_total(spent) - nobody_s - silent_s, 2),
        "worst_misplaced_s": round(max(off_s, key=abs), 2),
    }


def spent_total(spent: Mapping[str, float]) -> float:
    """Seconds that the station's own account holds."""
    return sum(spent[f"{what}_s"] for what in ("analysed", "shed", "unobserved", "pending", "lost"))


def _summed(hydrophone: str, lives: Sequence[Life], what: str) -> int:
    return sum(getattr(life.counts[hydrophone][-1], what) for life in lives if life.counts.get(hydrophone))
