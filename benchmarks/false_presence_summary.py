"""Pieces without animals summed up to false presence events per day, by kind of noise."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field
from rich.table import Table
from scipy import stats

from benchmarks.animal_free import OTHER_SPECIES, Recipe
from benchmarks.false_alarms import NOISE_ONLY, FalseEvent, PieceResult, WindowCount
from seacanary.simulation import NEGATIVES

DAY_S = 86_400.0
TARGET_PER_DAY = 1.0
LEAST_TIMES_A_DAY = 120  # every kind is heard five times an hour at least, or the day is not fair


class KindSummary(BaseModel):
    """One kind of hard negative over all pieces, or noise alone."""

    model_config = ConfigDict(frozen=True)

    events_per_day: float = Field(description="an event in which n kinds sounded counts 1/n for each")
    scenes: int
    times_heard: int = Field(description="sounds that overlap are one")
    heard_hours: float
    windows_over_enter: dict[str, int] = Field(description="call type -> windows in which the kind sounded")
    highest_probability: dict[str, float] = Field(description="call type -> highest of any such window")


class CallTypeSummary(BaseModel):
    """One call type over all windows."""

    model_config = ConfigDict(frozen=True)

    windows: int
    windows_over_enter: int
    false_windows_per_hour: float
    highest_probability: float


class Summary(BaseModel):
    """False presence events of one model over simulated noise without animals."""

    model_config = ConfigDict(frozen=True)

    what: str = "simulated noise without animals; events are presences that the service would have reported"
    model_id: str
    hours: float
    false_events: int
    false_events_per_day: float = Field(description="over all kinds together, other species included")
    per_day_95: tuple[float, float] = Field(description="95 % interval of the rate (Poisson, Garwood 1936)")
    other_species_per_day: float = Field(description=f"of these, over {' and '.join(OTHER_SPECIES)}")
    machines_and_noises_per_day: float = Field(description="of these, over everything else")
    target_per_day: float
    target_met: bool
    by_species: dict[str, float]
    by_call_types: dict[str, float]
    by_kind: dict[str, KindSummary]
    by_call_type: dict[str, CallTypeSummary]
    background_hours: dict[str, float]
    heard_too_rarely: tuple[str, ...] = Field(description=f"kinds heard below {LEAST_TIMES_A_DAY} times a day")
    seeds: tuple[int, ...] = Field(description="numbers of the pieces")
    recipe: Recipe
    cpu_core_minutes: float
    machines: tuple[str, ...]


def summarise(pieces: Sequence[PieceResult]) -> Summary:
    """Add pieces up.

    Raises:
        ValueError: there are none, or they are of different models or recipes.
    """
    if len({(piece.model_id, piece.recipe.model_dump_json()) for piece in pieces}) != 1:
        raise ValueError(f"expected pieces of one model and recipe, got {len(pieces)} of several or none")
    days = sum(piece.seconds for piece in pieces) / DAY_S
    events = [event for piece in pieces for event in piece.events]
    shares = event_shares(events)
    others = sum(shares[kind] for kind in OTHER_SPECIES)
    by_kind = {kind: _kind(kind, pieces, share=shares[kind] / days) for kind in (*sorted(NEGATIVES), NOISE_ONLY)}
    least = LEAST_TIMES_A_DAY * days
    return Summary(
        model_id=pieces[0].model_id,
        hours=round(days * 24, 3),
        false_events=len(events),
        false_events_per_day=round(len(events) / days, 2),
        per_day_95=_poisson_95(len(events), days),
        other_species_per_day=round(others / days, 2),
        machines_and_noises_per_day=round((len(events) - others) / days, 2),
        target_per_day=TARGET_PER_DAY,
        target_met=len(events) <= TARGET_PER_DAY * days,
        by_species=_per_day(Counter(event.species for event in events), days),
        by_call_types=_per_day(Counter("+".join(event.call_types) for event in events), days),
        by_kind=by_kind,
        by_call_type=_call_types(pieces, hours=days * 24),
        background_hours=_background_hours(pieces),
        heard_too_rarely=tuple(kind for kind in sorted(NEGATIVES) if by_kind[kind].times_heard < least),
        seeds=tuple(piece.piece for piece in pieces),
        recipe=pieces[0].recipe,
        cpu_core_minutes=round(sum(piece.cpu_s for piece in pieces) / 60, 1),
        machines=tuple(sorted({piece.machine for piece in pieces})),
    )


def event_shares(events: Sequence[FalseEvent]) -> dict[str, float]:
    """Events by kind; where several sounded each has an equal share, where none, noise alone has it."""
    shares: dict[str, float] = defaultdict(float)
    for event in events:
        kinds = event.kinds or (NOISE_ONLY,)
        for kind in kinds:
            shares[kind] += 1 / len(kinds)
    return shares


def _per_day(counts: Mapping[str, int], days: float) -> dict[str, float]:
    return {name: round(count / days, 2) for name, count in sorted(counts.items())}


def _poisson_95(count: int, days: float) -> tuple[float, float]:
    low = float(stats.chi2.ppf(0.025, 2 * count)) / 2 if count else 0.0
    return round(low / days, 2), round(float(stats.chi2.ppf(0.975, 2 * count + 2)) / 2 / days, 2)


def _kind(kind: str, pieces: Sequence[PieceResult], *, share: float) -> KindSummary:
    counts = [piece.kinds[kind] for piece in pieces if kind in piece.kinds]
    windows = _windows(pieces, kind)
    return KindSummary(
        events_per_day=round(share, 2),
        scenes=sum(count.scenes for count in counts),
        times_heard=sum(count.stretches for count in counts),
        heard_hours=round(sum(count.heard_s for count in counts) / 3600, 3),
        windows_over_enter={name: count.over_enter for name, count in windows.items()},
        highest_probability={name: count.highest for name, count in windows.items()},
    )


def _windows(pieces: Sequence[PieceResult], kind: str) -> dict[str, WindowCount]:
    """Call type -> count while a kind sounded, over all pieces."""
    total: dict[str, WindowCount] = {}
    for piece in pieces:
        for name, count in piece.windows.get(kind, {}).items():
            total.setdefault(name, WindowCount()).merge(count)
    return total


def _call_types(pieces: Sequence[PieceResult], *, hours: float) -> dict[str, CallTypeSummary]:
    return {
        name: CallTypeSummary(
            windows=count.windows,
            windows_over_enter=count.over_enter,
            false_windows_per_hour=round(count.over_enter / hours, 2),
            highest_probability=count.highest,
        )
        for name, count in _windows(pieces, "all").items()
    }


def _background_hours(pieces: Sequence[PieceResult]) -> dict[str, float]:
    names = sorted({name for piece in pieces for name in piece.background_s})
    return {name: round(sum(piece.background_s.get(name, 0.0) for piece in pieces) / 3600, 2) for name in names}


def table(summary: Summary) -> Table:
    """What a person wants to see."""
    made = Table(title=_title(summary), caption=_caption(summary))
    call_types = list(summary.by_call_type)
    made.add_column("kind", no_wrap=True)
    for heading in ("a day", "heard", "minutes", *call_types):
        made.add_column(heading, justify="right")
    for kind, count in sorted(summary.by_kind.items(), key=lambda item: -item[1].events_per_day):
        heard = ("", "") if kind == NOISE_ONLY else (str(count.times_heard), f"{60 * count.heard_hours:.1f}")
        made.add_row(_label(kind), f"{count.events_per_day:.2f}", *heard, *(_cell(count, name) for name in call_types))
    return made


def _label(kind: str) -> str:
    return f"{kind} *" if kind in OTHER_SPECIES else kind


def _cell(count: KindSummary, call_type: str) -> str:
    if call_type not in count.highest_probability:
        return ""
    return f"{count.windows_over_enter[call_type]}, {count.highest_probability[call_type]:.2f}"


def _title(summary: Summary) -> str:
    low, high = summary.per_day_95
    return (
        f"{summary.model_id}, {summary.hours:g} h of simulated noise without animals: "
        f"{summary.false_events_per_day:g} false presence events per day (95 %: {low:g} to {high:g}), "
        f"target {summary.target_per_day:g}: {'met' if summary.target_met else 'missed'}"
    )


def _caption(summary: Summary) -> str:
    windows = ", ".join(f"{name} {c.false_windows_per_hour:g}" for name, c in summary.by_call_type.items())
    others, rest = summary.other_species_per_day, summary.machines_and_noises_per_day
    return (
        f"By call type: windows over enter, highest probability. * another species: {others:g}/day, all else "
        f"{rest:g}/day. False windows per hour: {windows}. {summary.cpu_core_minutes:g} core-minutes."
    )
