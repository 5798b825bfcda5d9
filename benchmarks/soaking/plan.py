"""Which fault strikes when: drawn from a seed, every kind at least once."""

import random
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault.

    Attributes:
        lane: what it strikes; faults of one lane never overlap.
        every_s: mean seconds between two.
        lasts_s: shortest and longest.
        silences: hydrophones of which it may cost samples that never arrive ("*": all live ones).
        sheds: whether it may cost analysis of what was captured.
    """

    lane: str
    every_s: float
    lasts_s: tuple[float, float]
    silences: tuple[str, ...] = ()
    sheds: bool = False


KINDS: dict[str, Kind] = {
    "kill": Kind("process", 1200, (0, 0), ("*",), sheds=True),
    "freeze": Kind("process", 600, (1, 8), ("*",), sheds=True),
    "tcp_stall": Kind("tcp", 420, (3, 20), ("tcp",)),
    "tcp_gone": Kind("tcp", 600, (3, 30), ("tcp",)),
    "rtp_lossy": Kind("rtp", 240, (0.2, 1.2), ("rtp",)),
    "rtp_gone": Kind("rtp", 600, (3, 30), ("rtp",)),
    "recorder_off": Kind("recorder", 600, (12, 40)),
    "redis_down": Kind("redis", 480, (2, 25)),
    "redis_frozen": Kind("redis", 900, (2, 15)),
    "receiver_down": Kind("receiver", 480, (2, 25)),
    "receiver_500": Kind("receiver", 480, (2, 20)),
    "receiver_slow": Kind("receiver", 600, (5, 20)),
    "evidence_full": Kind("evidence", 900, (5, 25)),
    "journal_full": Kind("journal", 1200, (3, 12), sheds=True),
    "clock_step": Kind("clock", 900, (0, 0)),
    "reload_good": Kind("config", 300, (0, 0)),
    "reload_bad": Kind("config", 480, (0, 0)),
}
APART_S = 4.0  # between two faults of one lane
CALM = (0.4, 0.92)  # of a long storm: no kill in here, so that one life is long enough for slopes
CALM_FROM_S = 1800.0


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault to come."""

    kind: str
    at_s: float
    lasts_s: float
    draw: float  # in [0, 1), for what else a fault has to choose


def plan(seed: int, *, begin_s: float, end_s: float, kinds: Collection[str] = tuple(KINDS)) -> list[Fault]:
    """Draw a storm: each kind strikes once in each of its strata; what finds no room in its lane is left out.

    Args:
        seed: the same seed gives the same storm.
        begin_s: no fault before.
        end_s: all are over by then.
        kinds: that this machine can make.
    """
    chance = random.Random(seed)
    drawn = [fault for kind in KINDS for fault in _drawn(kind, chance, begin_s=begin_s, end_s=end_s)]
    free_s: dict[str, float] = {}
    faults = []
    for fault in sorted(drawn, key=lambda fault: fault.at_s):
        lane = KINDS[fault.kind].lane
        at_s = max(fault.at_s, free_s.get(lane, begin_s))
        if fault.kind in kinds and at_s + fault.lasts_s <= end_s:
            faults.append(Fault(fault.kind, at_s, fault.lasts_s, fault.draw))
            free_s[lane] = at_s + fault.lasts_s + APART_S
    return sorted(faults, key=lambda fault: fault.at_s)


def _drawn(kind: str, chance: random.Random, *, begin_s: float, end_s: float) -> list[Fault]:
    """Faults of one kind, one in each of equal strata of the storm."""
    what, storm_s = KINDS[kind], end_s - begin_s
    strata = max(1, round(storm_s / what.every_s))
    spared = kind == "kill" and storm_s >= CALM_FROM_S
    faults = []
    for number in range(strata):
        share = (number + chance.random()) / strata
        lasts_s = chance.uniform(*what.lasts_s)
        draw = chance.random()
        if not spared or not CALM[0] <= share <= CALM[1]:
            faults.append(Fault(kind, begin_s + share * (storm_s - lasts_s), lasts_s, draw))
    return faults
