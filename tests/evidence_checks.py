"""Evidence in tests: the parts as a station wires them; is an event's evidence what it says it is?"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
import soundfile

from known_audio import sample_values
from seacanary.events import Event, PresenceEvent
from seacanary.evidence.clips import ClipOutcome, Range, Stream, overlaps, subtract
from seacanary.evidence.consumer import CURSOR, Evidence, EvidenceCallbacks, EvidenceState
from seacanary.evidence.files import ClipFacts, read_facts
from seacanary.evidence.names import stem_of
from seacanary.evidence.section import EvidenceSection
from seacanary.evidence.spool import Spool
from seacanary.journal import Journal

Heard = Mapping[Stream, Sequence[Range]]


def check_evidence(folder: Path, event: PresenceEvent, heard: Heard) -> ClipFacts:
    """Check everything that an event's facts claim, and that they claim enough.

    Args:
        folder: of the evidence.
        event: it must be about.
        heard: what the station heard of each stream: samples a clip may lack are none of these.
    """
    base = folder / stem_of(event)
    facts = ClipFacts.model_validate_json(base.with_name(f"{base.name}.json").read_bytes())
    assert facts.event == event
    own = Stream(event.hydrophone, event.epoch, event.sample_rate_hz)
    unheard = subtract([facts.part], list(heard.get(own, [])))
    assert facts.part[0] >= event.onset_sample
    assert event.offset_sample is not None
    assert facts.part[1] <= max(event.offset_sample, event.onset_sample + 1)
    lost = overlaps(facts.missing, facts.part)
    assert all(subtract([gap], unheard) == [] for gap in lost)
    if facts.audio is None or facts.clip is None:
        assert facts.outcome == "missed"
        assert unheard == [facts.part]
        assert not base.with_name(f"{base.name}.flac").exists()
        return facts
    assert facts.outcome == ("partial" if lost else "complete")
    path = base.with_name(facts.audio.name)
    assert sha256(path.read_bytes()).hexdigest() == facts.audio.sha256
    samples, rate_hz = soundfile.read(path, dtype="float32")
    first, end = facts.clip
    assert (rate_hz, samples.size) == (event.sample_rate_hz, end - first)
    assert first <= facts.part[0] < facts.part[1] <= end
    expected = np.zeros(end - first, np.float32)
    for source in facts.sources:
        stream = Stream(event.hydrophone, source.epoch, event.sample_rate_hz)
        at = source.at - first
        truth = sample_values(stream, source.first_sample, source.end_sample)
        assert not expected[at : at + truth.size].any()
        expected[at : at + truth.size] = truth
    np.testing.assert_array_equal(samples, expected)
    # The event's own samples lie at their own indices, whatever the sources say.
    for low, high in overlaps(heard.get(own, []), facts.part):
        np.testing.assert_array_equal(samples[low - first : high - first], sample_values(own, low, high))
    silent = np.flatnonzero(samples == 0)
    listed = np.concatenate([np.arange(low, high) - first for low, high in facts.missing] or [np.empty(0, np.int64)])
    np.testing.assert_array_equal(silent, listed)
    return facts


@dataclass
class EvidenceStation:
    """Journal, spool and evidence as a station wires them, and what its callbacks were told."""

    folder: Path
    section: EvidenceSection
    refusal: list[str] = field(default_factory=list)
    clips: Counter[tuple[str, ClipOutcome]] = field(default_factory=Counter)
    states: list[tuple[EvidenceState, str | None]] = field(default_factory=list)
    shed: Counter[str] = field(default_factory=Counter)
    journal: Journal = field(init=False)
    spool: Spool = field(init=False)
    evidence: Evidence = field(init=False)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """One process: what the next one finds is on the disk."""
        callbacks = EvidenceCallbacks(
            on_clip=lambda hydrophone, outcome: self.clips.update([(hydrophone, outcome)]),
            on_shed=lambda hydrophone, samples: self.shed.update({hydrophone: samples}),
            on_state=lambda state, reason: self.states.append((state, reason)),
            refusal=lambda: next(iter(self.refusal), None),
        )
        async with await Journal.open(self.folder / "journal.db") as self.journal:
            self.spool = Spool(self.section.spool_path, self.section.spool)
            self.evidence = Evidence(self.journal, self.spool, self.section, callbacks=callbacks)
            task = asyncio.create_task(self.evidence.run())
            try:
                yield
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                await self.evidence.aclose()
                self.spool.close()

    async def tell(self, *events: Event) -> None:
        await self.journal.append(events)

    async def done(self, *, within_s: float = 10.0) -> None:
        """Wait until everything in the journal has its evidence."""
        async with asyncio.timeout(within_s):
            await self.journal.wait_delivered(CURSOR, self.journal.head)

    def facts(self, event: PresenceEvent) -> ClipFacts | None:
        return read_facts(self.section.path, stem_of(event))


def evidence_station(folder: Path, **changes: object) -> EvidenceStation:
    section = EvidenceSection.model_validate({"path": folder / "evidence", "silence_s": 60} | changes)
    return EvidenceStation(folder, section)
