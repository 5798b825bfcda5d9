"""All judges together."""

from collections.abc import Sequence

from benchmarks.soaking.gaps import Gap
from benchmarks.soaking.judging_events import judge_alerts, judge_delivery, judge_presences
from benchmarks.soaking.judging_ledger import judge_live, judge_recorder
from benchmarks.soaking.judging_process import judge_ends, judge_growth
from benchmarks.soaking.records import Verdict
from benchmarks.soaking.soak_run import Soaked
from benchmarks.soaking.station_tree import LIVE, RATES_HZ


def judge(soaked: Soaked) -> tuple[list[Verdict], list[Gap]]:
    """Every verdict on a soak, and every gap of its live hydrophones."""
    verdicts: list[Verdict] = []
    gaps: list[Gap] = []
    for hydrophone in LIVE:
        verdict, found = judge_live(hydrophone, soaked.lives, soaked.struck, rate_hz=RATES_HZ[hydrophone])
        verdicts.append(verdict)
        gaps += found
    done_at_end = soaked.journalled.done_files
    verdicts.append(judge_recorder("recorder", soaked.lives, soaked.files, done_at_end=done_at_end))
    events = soaked.journalled.events
    delivered = judge_delivery(
        [str(event.id) for event in events],
        soaked.stream,
        soaked.receipts,
        dead_letters=soaked.journalled.dead_letters,
        unsigned=soaked.unsigned,
    )
    verdicts += [delivered, judge_presences(events), judge_alerts(events), judge_growth(soaked.lives)]
    verdicts += [judge_ends(soaked.lives, soaked.struck), _judge_storm(soaked)]
    return verdicts, sorted(gaps, key=lambda gap: gap.began_s)


def _judge_storm(soaked: Soaked) -> Verdict:
    """A soak in which nothing struck, or nothing was heard, proves nothing."""
    kinds = sorted({fault.kind for fault in soaked.struck} - {"busy"})
    missing = sorted({fault.kind for fault in soaked.faults} - set(kinds) - {"reload_good", "reload_bad"})
    violations = [f"planned, but never struck: {', '.join(missing)}"] if missing else []
    violations += soaked.wrong_answers
    violations += ["no event was journalled"] if not soaked.journalled.events else []
    violations += [] if soaked.prometheus.get("scrapes") else ["Prometheus scraped nothing"]
    figures: dict[str, object] = {kind: _count(soaked.struck, kind) for kind in kinds}
    return Verdict("storm", tuple(violations), figures)


def _count(struck: Sequence[object], kind: str) -> int:
    return sum(getattr(fault, "kind", None) == kind for fault in struck)
