"""Colours that tell apart under every colour vision, and what states are called.

Colours are those of Okabe and Ito (2008), Color Universal Design.
"""

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model

ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#7F7F7F"

GOOD, DOUBTFUL, BAD, NEUTRAL = GREEN, ORANGE, VERMILLION, GREY

# Codes of the presence timeline; "not listening" is a state, never absence.
NOT_LISTENING, ABSENT, CANDIDATE, FADING, PRESENT = 0, 1, 2, 3, 4
PRESENCE = {
    NOT_LISTENING: ("not listening", PURPLE),
    ABSENT: ("absent", GREY),
    CANDIDATE: ("candidate", YELLOW),
    FADING: ("fading", SKY),
    PRESENT: ("present", BLUE),
}
SOURCE = {
    1: ("running", GREEN),
    2: ("ended", GREY),
    3: ("opening", SKY),
    4: ("stalled", ORANGE),
    5: ("lost", VERMILLION),
    6: ("unusable", PURPLE),
}
CIRCUIT = {1: ("closed: delivering", GREEN), 2: ("half open: trying", ORANGE), 3: ("open: waiting", VERMILLION)}
EVIDENCE = {1: ("recording", GREEN), 2: ("stopped", VERMILLION)}
HOLDS = {0: ("no", GREY), 1: ("holds", VERMILLION)}
HELD_BACK = {0: ("free", GREY), 1: ("held back", ORANGE)}
# Of series, by a word in their legend; sets of words that open-ended names do not belong to.
SPECIES = {"beluga": BLUE, "porpoise": ORANGE}
NOTICES = {"heard": BLUE, "still_here": SKY, "gone": GREY, "digest": PURPLE}
CAUSES = {"cooldown": SKY, "quiet_hours": BLUE, "rate_limit": ORANGE, "unconfirmed": PURPLE, "late": VERMILLION}
VERDICTS = {"confirmed": GREEN, "rejected": VERMILLION}
QUANTILES = {"p50": SKY, "p95": ORANGE, "p99": VERMILLION}
STAGES = {"intake": SKY, "queue": ORANGE, "inference": BLUE, "presence": GREEN, "journal": PURPLE}
LEDGER = {"analysed": BLUE, "shed": ORANGE, "unobserved": PURPLE, "lost": VERMILLION}
UP = {0: ("unreachable", VERMILLION), 1: ("up", GREEN)}
REACHED = {0: ("away", VERMILLION), 1: ("answer", GREEN)}
FIRING = {1: ("pending", ORANGE), 2: ("firing", VERMILLION)}
SYNCHRONISED = {0: ("not synchronised", VERMILLION), 1: ("synchronised", GREEN)}


def mapping(names: Mapping[int, tuple[str, str]]) -> list[model.ValueMapping]:
    """A value mapping from codes to names and colours."""
    results = {
        str(code): model.ValueMappingResult(text=text, color=colour, index=place)
        for place, (code, (text, colour)) in enumerate(names.items())
    }
    return [model.ValueMap(options=results)]


def steps(base: str, *above: tuple[float, str]) -> build.ThresholdsConfig:
    """Thresholds: a base colour, and another from each value on."""
    first: Sequence[model.Threshold] = [model.Threshold(value=None, color=base)]
    rest = [model.Threshold(value=value, color=colour) for value, colour in above]
    return build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps([*first, *rest])


def more_is_worse(doubtful: float, bad: float) -> build.ThresholdsConfig:
    """Good below `doubtful`, bad from `bad` on."""
    return steps(GOOD, (doubtful, DOUBTFUL), (bad, BAD))


def less_is_worse(bad: float, doubtful: float) -> build.ThresholdsConfig:
    """Bad below `bad`, good from `doubtful` on."""
    return steps(BAD, (bad, DOUBTFUL), (doubtful, GOOD))
