import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from evidence_checks import check_evidence, evidence_station
from known_audio import EPOCH, known_block, presence
from seacanary.events import PresenceEvent
from seacanary.evidence.clips import ClipOutcome, Range, Stream
from seacanary.evidence.spool import Spool

RATE_HZ = 1000
HYDROPHONES = ("north", "south", "east", "west")
EVENTS = 1000
ROUNDS = 12  # processes, one after the other


@dataclass
class Tape:
    """One hydrophone's feed: random blocks, gaps, and epochs; remembers what it played."""

    hydrophone: str
    chance: random.Random
    stream: Stream = field(init=False)
    played: int = 0
    heard: dict[Stream, list[Range]] = field(default_factory=dict)
    straddling: list[PresenceEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stream = Stream(self.hydrophone, EPOCH, RATE_HZ)
        self.heard[self.stream] = []

    @property
    def position(self) -> int:
        """Where the stream stands."""
        return self.heard[self.stream][self.played - 1][1] if self.played else 0

    def play(self, spool: Spool) -> None:
        """One block of about a second, now and then behind a gap; what is read again is as it was."""
        blocks = self.heard[self.stream]
        if self.played == len(blocks):
            gap = self.chance.randint(1, 4000) if self.chance.random() < 0.06 else 0
            first = self.position + gap
            blocks.append((first, first + self.chance.randint(1, 2000)))
        spool.hear(known_block(self.stream, *blocks[self.played]))
        self.played += 1

    def restart(self) -> None:
        """As after a crash: a recording is read again, a live stream begins another epoch."""
        if self.chance.random() < 0.5:
            self.played = max(0, self.played - self.chance.randint(0, 30))
            return
        lead = self.chance.randint(0, 5000)
        pause = self.chance.randint(0, 3000)
        before, end = self.stream, self.position
        self.stream = replace(before, epoch=before.epoch + timedelta(milliseconds=end + pause))
        self.heard[self.stream], self.played = [], 0
        onset = max(0, end - lead)
        self.straddling.append(presence(before, onset, end + pause + 2000, kind="ended", revision=1))

    def event(self) -> PresenceEvent:
        """A presence in what was just played."""
        offset = self.position - self.chance.randint(0, 1500)
        length = self.chance.choice([0, 1, 30, 500, 3000, 15_000])
        onset = max(0, offset - length)
        kind = self.chance.choice(["started", "updated", "ended"])
        return presence(
            self.stream,
            onset,
            max(offset, onset),
            kind=kind,
            revision=self.chance.randint(0, 1 << 30),
            species=self.chance.choice(["beluga", "harbour porpoise"]),
        )


@pytest.mark.timeout(120)
async def test_a_thousand_events_across_gaps_and_restarts_each_have_their_samples(tmp_path: Path) -> None:
    """At 1 kHz and some hundred times real time: positions, not the rate, are what is at stake."""
    chance = random.Random(7)
    at = evidence_station(tmp_path, longest_clip_s=8, spool={"keep_s": 60, "segment_s": 5})
    tapes = [Tape(hydrophone, chance) for hydrophone in HYDROPHONES]
    told = list[PresenceEvent]()
    for _ in range(ROUNDS):
        async with at.running():
            goal = len(told) + EVENTS // ROUNDS + 1
            while len(told) < goal:
                for tape in tapes:
                    tape.play(at.spool)
                    fresh = [tape.event()] if chance.random() < 0.3 else []
                    if tape.position > 4000:
                        fresh += tape.straddling
                        tape.straddling = []
                    told += fresh
                    await at.tell(*fresh)
                await asyncio.sleep(0.005)
            if chance.random() < 0.5:
                await asyncio.sleep(0.3)
        for tape in tapes:
            tape.restart()
    async with at.running():
        assert await at.evidence.drain(60)
    heard = {stream: ranges for tape in tapes for stream, ranges in tape.heard.items()}
    outcomes = Counter[ClipOutcome]()
    for event in told:
        outcomes[check_evidence(at.section.path, event, heard).outcome] += 1
    assert len({event.id for event in told}) >= EVENTS
    assert len(list(at.section.path.rglob("*_*_*.json"))) == len({event.id for event in told})
    assert not list(at.section.path.rglob("*.part"))
    assert outcomes["complete"] > 0.7 * EVENTS
    assert outcomes["partial"] > 20  # the gaps were really met
