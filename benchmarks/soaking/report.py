"""What a soak came to: figures for programs, a page for people."""

import os
import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from benchmarks.run import _cpu
from benchmarks.soaking.gaps import Gap
from benchmarks.soaking.judging_process import LIMITS_PER_H, trends
from benchmarks.soaking.records import Struck, Verdict
from benchmarks.soaking.soak_run import Soaked
from benchmarks.soaking.station_tree import LIVE

LEDGER_COLUMNS = (
    "span_s", "analysed_s", "lost_s", "shed_s", "unobserved_s", "pending_s", "silent_s", "nobody_listened_s",
    "residual_s",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Report:
    """A soak and its judgement."""

    soaked: Soaked
    verdicts: Sequence[Verdict]
    gaps: Sequence[Gap]
    command: str

    @property
    def passed(self) -> bool:
        """Whether no judge found anything."""
        return all(verdict.passed for verdict in self.verdicts)

    def figures(self) -> dict[str, Any]:
        """For benchmarks/soak.json."""
        soaked = self.soaked
        return {
            "passed": self.passed,
            "command": self.command,
            "seed": soaked.seed,
            "hours": round(soaked.seconds / 3600, 3),
            "machine": machine(),
            "date": datetime.now(UTC).date().isoformat(),
            "load_average_15_min": round(os.getloadavg()[2], 1),
            "faults": dict(sorted(Counter(fault.kind for fault in soaked.struck).items())),
            "without": soaked.without,
            "verdicts": {
                v.name: {"passed": v.passed, "violations": list(v.violations), **v.figures} for v in self.verdicts
            },
            "gaps": {"found": len(self.gaps), "unexplained": sum(gap.cause is None for gap in self.gaps)},
            "trends": [
                {"life": t.life, "what": t.what, "minutes": round(t.minutes, 1), "first": round(float(t.first), 1),
                 "last": round(float(t.last), 1), "per_h": round(t.per_h, 2)}
                for life in soaked.lives
                for t in trends(life)
            ],
            "metrics_pages": {"torn": soaked.torn, "missed": soaked.missed},
            "prometheus": soaked.prometheus,
        }  # fmt: skip

    def page(self, pictures: Mapping[str, str]) -> str:
        """For docs/soak.md; pictures are file names by what they show."""
        return "\n".join([*self._head(), *self._verdicts(), *self._ledger(), *self._events(), *self._process(pictures),
                          *self._gaps(), *self._storm(), ""])  # fmt: skip

    def _head(self) -> Iterator[str]:
        soaked = self.soaked
        yield "# Soak"
        yield ""
        yield (
            "A full station (`seacanary run`, started again whenever it ends) with four sources of different kinds - "
            "simulated at 384 kHz, PCM over TCP at 96 kHz, RTP at 48 kHz, a folder of recordings at 96 kHz that "
            "grows - a real Redis, a webhook receiver that writes down what it is sent, a real Prometheus, and a "
            "storm of faults drawn from a seed. All audio is simulated."
        )
        yield ""
        yield f"**{'Passed' if self.passed else 'FAILED'}** · `{self.command}` · seed {soaked.seed} · "
        yield f"{soaked.seconds / 3600:.2f} h · {sum(f.kind != 'busy' for f in soaked.struck)} faults · "
        yield f"{len(soaked.lives)} lives of the station · {machine()} · {datetime.now(UTC):%Y-%m-%d} · "
        yield f"load average at the end {os.getloadavg()[2]:.1f}"
        if soaked.without:
            yield ""
            yield "Left out: " + "; ".join(f"{kind} ({reason})" for kind, reason in soaked.without.items()) + "."

    def _verdicts(self) -> Iterator[str]:
        yield from _heading("Verdicts")
        yield from _table(("judged", "verdict"), [(v.name, "passed" if v.passed else "FAILED") for v in self.verdicts])
        wrong = [f"- {v.name}: {text}" for v in self.verdicts for text in v.violations]
        if wrong:
            yield ""
            yield from wrong

    def _ledger(self) -> Iterator[str]:
        by_name = {verdict.name: verdict.figures for verdict in self.verdicts}
        yield from _heading("Where every second went")
        yield (
            "Seconds from a hydrophone's first sample to its last. What the station counted is exact to the sample "
            "in each reading (captured + lost = elapsed; analysed + shed + unobserved + pending = captured); the "
            "time between a killed life's last reading and the next life's first sample is known to about a second. "
            "Residual: what is in none of these places."
        )
        yield ""
        rows = [(name, *(by_name[f"ledger of {name}"].get(what, "") for what in LEDGER_COLUMNS)) for name in LIVE]
        yield from _table(("hydrophone", *(what.removesuffix("_s").replace("_", " ") for what in LEDGER_COLUMNS)), rows)
        yield ""
        recorder = by_name["ledger of recorder"]
        yield (
            f"Recordings wait for the station: {recorder.get('recordings')} of them "
            f"({recorder.get('recordings_s')} s) were made; those that the last life heard are accounted for to the "
            "sample, pauses between them included."
        )

    def _events(self) -> Iterator[str]:
        by_name = {verdict.name: verdict.figures for verdict in self.verdicts}
        yield from _heading("Events")
        delivery = by_name["delivery"]
        yield from _table(("where", "events"), [(what.replace("_", " "), count) for what, count in delivery.items()])
        yield ""
        yield f"Presences: {by_name['presences']}. Alerts: {by_name['alerts']}. Prometheus: {self.soaked.prometheus}."

    def _process(self, pictures: Mapping[str, str]) -> Iterator[str]:
        yield from _heading("Memory, file handles, threads")
        limits = ", ".join(f"{what} {limit:g}" for what, limit in LIMITS_PER_H.items())
        yield f"Slopes after each life's warm-up; judged from 20 minutes on (most allowed per hour: {limits})."
        yield ""
        rows = [
            (t.life, t.what, f"{t.minutes:.0f}", f"{t.first:.1f}", f"{t.last:.1f}", f"{t.per_h:+.1f}")
            for life in self.soaked.lives
            for t in trends(life)
        ]
        yield from _table(("life", "what", "minutes", "first", "last", "per hour"), rows)
        for what, name in pictures.items():
            yield ""
            yield f"![{what}]({name})"

    def _gaps(self) -> Iterator[str]:
        yield from _heading("Gaps, one by one")
        rows = [(f"{g.began_s:.0f}", g.hydrophone, g.kind, f"{g.lasts_s:.3f}", g.samples or "", _because(g.cause))
                for g in self.gaps]  # fmt: skip
        yield from _table(("at, s", "hydrophone", "what", "seconds", "samples", "cause"), rows)

    def _storm(self) -> Iterator[str]:
        yield from _heading("The storm")
        rows = [(f"{f.began_s:.1f}", f"{f.ended_s:.1f}", f.kind, f.detail) for f in self.soaked.struck]
        yield from _table(("from, s", "to, s", "fault", "what was done"), rows)


def machine() -> str:
    """What it ran on."""
    return f"{_cpu()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def _because(cause: Struck | None) -> str:
    return f"{cause.kind} at {cause.began_s:.0f} s" if cause else "**none**"


def _heading(text: str) -> Sequence[str]:
    return ("", f"## {text}", "")


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield "| " + " | ".join(str(cell) for cell in row) + " |"
