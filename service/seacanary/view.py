"""The live terminal view: hydrophones, what is heard, and the ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from seacanary.events import PresenceEvent
from seacanary.ledger import LedgerTotals

PHASE_STYLES = {"absent": "dim", "candidate": "yellow", "present": "bold green", "fading": "cyan"}
BAR_CELLS = 12


@dataclass(frozen=True, slots=True)
class HydrophoneView:
    """What there is to see of one hydrophone.

    Attributes:
        probability: latest, by call type; call types its rate cannot carry are absent.
        phases: by species.
        totals: its ledger.
        sample_rate_hz: of the stream, None before the first block.
        persistent: call types held back as a persistent source.
    """

    probability: Mapping[str, float]
    phases: Mapping[str, str]
    totals: LedgerTotals
    sample_rate_hz: int | None
    persistent: frozenset[str] = frozenset()


def station_panel(
    title: str,
    *,
    hydrophones: Mapping[str, HydrophoneView],
    events: Sequence[PresenceEvent],
    footer: str,
) -> Panel:
    """Draw a station: one row per hydrophone, then its latest events."""
    return Panel(
        Group(_hydrophone_table(hydrophones), _event_table(events), Text(footer, style="dim")),
        title=f"[bold]{title}[/]",
        border_style="blue",
    )


def _hydrophone_table(hydrophones: Mapping[str, HydrophoneView]) -> Table:
    call_types = sorted({name for view in hydrophones.values() for name in view.probability})
    table = Table(expand=True, box=None, padding=(0, 1))
    table.add_column("hydrophone", style="bold")
    for call_type in call_types:
        table.add_column(call_type.replace("_", " "))
    for heading in ("presence", "analysed", "lost", "shed"):
        table.add_column(heading)
    for name, view in sorted(hydrophones.items()):
        bars = [_bar(view.probability.get(call_type)) for call_type in call_types]
        table.add_row(name, *bars, _phases(view.phases), *_ledger_cells(view))
    return table


def _bar(probability: float | None) -> Text:
    if probability is None:
        return Text("not observable", style="dim italic")
    cells = round(probability * BAR_CELLS)
    style = "green" if probability >= 0.5 else "dim"
    return Text(f"{'█' * cells}{'·' * (BAR_CELLS - cells)} {probability:4.2f}", style=style)


def _phases(phases: Mapping[str, str]) -> Text:
    parts = [Text(f"{species} {phase}", style=PHASE_STYLES[phase]) for species, phase in phases.items()]
    return Text("\n").join(parts)


def _ledger_cells(view: HydrophoneView) -> tuple[str, str, str]:
    if not view.sample_rate_hz:
        return "-", "-", "-"
    seconds = [n / view.sample_rate_hz for n in (view.totals.analysed, view.totals.lost, view.totals.shed)]
    return f"{seconds[0]:,.1f} s", f"{seconds[1]:,.2f} s", f"{seconds[2]:,.2f} s"


def _event_table(events: Sequence[PresenceEvent]) -> Table:
    table = Table(expand=True, box=None, padding=(0, 1), title="events", title_justify="left", title_style="bold")
    for heading in ("UTC", "kind", "species", "hydrophone", "calls", "peak", "reason"):
        table.add_column(heading)
    for event in events:
        table.add_row(
            f"{event.onset if event.kind == 'started' else event.offset or event.onset:%H:%M:%S.%f}"[:-3],
            Text(event.kind, style="bold green" if event.kind == "started" else "cyan"),
            event.species,
            event.hydrophone,
            ", ".join(name.replace("_", " ") for name in event.call_types),
            f"{event.peak_probability:.2f}",
            event.reason or "",
        )
    return table


def ledger_account(totals: Mapping[str, LedgerTotals]) -> Table:
    """The closing account, in samples: the two sums that must come out, for every hydrophone."""
    table = Table(title="ledger, in samples", title_justify="left", box=None, show_header=False, padding=(0, 1))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    for name, t in sorted(totals.items()):
        verdict = Text("balanced", style="green") if t.balanced else Text("DOES NOT BALANCE", style="bold red")
        pending = f" + pending {t.pending:,}" if t.pending else ""
        settled = f"= analysed {t.analysed:,} + shed {t.shed:,} + unobserved {t.unobserved:,}{pending}"
        table.add_row(name, f"elapsed {t.elapsed:,}", f"= captured {t.captured:,} + lost {t.lost:,}")
        table.add_row(verdict, f"captured {t.captured:,}", settled)
    return table
