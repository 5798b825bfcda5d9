"""Evidence: follows the journal and has each presence event's clip written once its audio is there.

The journal's cursor passes an event only when its clip, or the fact that it was missed, is on the
disk; so a crash at any instant loses none. Events wait for their post-roll side by side. A disk that
takes nothing stops evidence, never events: it is tried again, and the audio waits as long as the
spool has room.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal, Never, TypeAlias

import soundfile

from seacanary.events import JournalEntry, PresenceEvent
from seacanary.evidence.clips import ClipOutcome, ClipSpan
from seacanary.evidence.section import EvidenceSection
from seacanary.evidence.spool import Spool
from seacanary.evidence.writer import ClipWriter
from seacanary.journal import Journal
from seacanary.journal_patience import patiently

log = logging.getLogger(__name__)

EvidenceState: TypeAlias = Literal["recording", "stopped"]

CURSOR = "@evidence"
MOST_WAITING = 500  # events that wait at once; later ones wait in the journal
POLL_S = 0.1
IDLE_S = 1.0  # how often it looks after the spool while nothing happens
FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 30.0


@dataclass(frozen=True, slots=True)
class EvidenceCallbacks:
    """Who is told, on the loop.

    Attributes:
        on_clip: a clip's hydrophone and outcome, when it is written.
        on_late: a hydrophone, when a clip lacks audio that was gone before its event was known.
        on_shed: a hydrophone, and how many samples more the spool could not keep.
        on_state: the state, and why it stopped; told at the start and at every change.
        refusal: why nothing may be written now, such as too little room on the disk; None if it may.
    """

    on_clip: Callable[[str, ClipOutcome], None] = lambda _hydrophone, _outcome: None
    on_late: Callable[[str], None] = lambda _hydrophone: None
    on_shed: Callable[[str, int], None] = lambda _hydrophone, _samples: None
    on_state: Callable[[EvidenceState, str | None], None] = lambda _state, _reason: None
    refusal: Callable[[], str | None] = lambda: None


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An event whose clip is not written yet."""

    entry: JournalEntry
    event: PresenceEvent
    span: ClipSpan
    since_s: float


class Evidence:
    """Writes the clips of a journal's presence events, for as long as run() runs."""

    def __init__(
        self,
        journal: Journal,
        spool: Spool,
        section: EvidenceSection,
        *,
        callbacks: EvidenceCallbacks | None = None,
        location: tuple[float, float] | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is read or written yet.

        Args:
            journal: of events; its cursor "@evidence" is this consumer's.
            spool: where the audio waits.
            section: what to keep.
            callbacks: who is told.
            location: latitude and longitude of the station, degrees.
            monotonic_s: a clock for intervals.
        """
        self._journal, self._spool, self._section = journal, spool, section
        self._told = callbacks or EvidenceCallbacks()
        self._writer = ClipWriter(section.path, spool, span_of=section.span_of, location=location)
        self._monotonic_s = monotonic_s
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="evidence")
        self._waiting: dict[int, _Waiting] = {}  # by sequence, ascending
        self._refused: dict[int, tuple[JournalEntry, str]] = {}
        self._read_until = self._cursor = 0
        self._shed: dict[str, int] = {}
        self._late: set[str] = set()
        self._over = False
        self._write_trouble: str | None = None
        self._retry_s, self._retry_at_s = FIRST_RETRY_S, 0.0
        self.state: EvidenceState | None = None

    async def run(self) -> Never:
        """Write clips until cancelled."""
        self._cursor = self._read_until = await patiently(lambda: self._journal.cursor(CURSOR), who=CURSOR)
        self._tell_state()
        while True:
            await self._read_more()
            worked = await self._cut_first_due()
            await self._move_cursor()
            self._release_audio()
            self._tell_state()
            self._tell_shed()
            if not worked:
                await self._pause()

    async def drain(self, timeout_s: float) -> bool:
        """The streams are over: write what is left with the audio there is; False if the time was too short."""
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.to_thread(self._spool.flush, timeout_s)
                self._over = True
                head = self._journal.head
                await patiently(lambda: self._journal.wait_delivered(CURSOR, head), who=CURSOR)
        except TimeoutError:
            return False
        return True

    async def aclose(self) -> None:
        """Let a clip in progress be finished."""
        await asyncio.to_thread(self._disk.shutdown)

    async def _read_more(self) -> None:
        room = MOST_WAITING - len(self._waiting)
        if room <= 0 or self._journal.head <= self._read_until:
            return
        after = self._read_until
        for entry in await patiently(lambda: self._journal.read_after(after, room), who=CURSOR):
            self._read_until = entry.sequence
            if isinstance(entry.event, PresenceEvent):
                self._wait_for(entry, entry.event)

    def _wait_for(self, entry: JournalEntry, event: PresenceEvent) -> None:
        try:
            span = self._section.span_of(event)
            span.utc(span.wanted[0]), span.utc(span.wanted[1])
        except (ValueError, OverflowError) as exc:
            self._refused[entry.sequence] = (entry, f"no clip can be placed: {exc}")
            return
        self._waiting[entry.sequence] = _Waiting(entry, event, span, self._monotonic_s())

    async def _cut_first_due(self) -> bool:
        """Write one clip, if one is due and the disk may take it; say whether that went on."""
        if self._write_trouble and self._monotonic_s() < self._retry_at_s:
            return False
        waiting = next((waiting for waiting in self._waiting.values() if self._is_due(waiting)), None)
        if waiting is None:
            return False
        refusal = self._told.refusal()
        if refusal:
            self._stopped(refusal)
            return False
        return await self._cut(waiting)

    async def _cut(self, waiting: _Waiting) -> bool:
        try:
            facts = await asyncio.get_running_loop().run_in_executor(self._disk, self._writer.write, waiting.event)
        except OSError as exc:
            self._stopped(f"{self._section.path}: {exc.strerror or exc}")
            return False
        except (soundfile.SoundFileError, ValueError) as exc:
            self._refused[waiting.entry.sequence] = (waiting.entry, f"the clip cannot be made: {exc}")
        else:
            self._told.on_clip(waiting.event.hydrophone, facts.outcome)
            self._tell_lateness(waiting.span, late=facts.outcome != "complete" and self._was_gone(waiting.span))
        del self._waiting[waiting.entry.sequence]
        self._write_trouble, self._retry_s = None, FIRST_RETRY_S
        return True

    def _is_due(self, waiting: _Waiting) -> bool:
        """Whether all the audio that will ever come for it has come."""
        if self._over or self._monotonic_s() - waiting.since_s >= self._section.longest_wait_s:
            return True
        span, hydrophone = waiting.span, waiting.event.hydrophone
        heard = self._spool.heard(hydrophone)
        if heard is None:
            return self._spool.silent_s(hydrophone) >= self._section.silence_s
        if heard.stream == span.stream:
            passed = heard.end_sample >= span.wanted[1]
        elif heard.end is None or heard.end <= span.utc(span.part[0]):
            passed = self._spool.has_left(span.stream)
        else:
            passed = heard.end >= span.utc(span.wanted[1])
        return passed or self._spool.silent_s(hydrophone) >= self._section.silence_s

    def _stopped(self, reason: str) -> None:
        self._write_trouble = reason
        self._retry_at_s = self._monotonic_s() + self._retry_s
        self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)

    async def _move_cursor(self) -> None:
        """Move behind every event that is done with, those that were refused put aside in their turn."""
        until = min(self._waiting, default=self._read_until + 1) - 1
        for sequence in sorted(sequence for sequence in self._refused if sequence <= until):
            entry, reason = self._refused.pop(sequence)
            log.error("event %d has no evidence: %s", sequence, reason)
            await patiently(partial(self._journal.dead_letter, CURSOR, entry, reason), who=CURSOR)
            self._cursor = sequence
        if until > self._cursor:
            await patiently(lambda: self._journal.move_cursor(CURSOR, until), who=CURSOR)
            self._cursor = until

    def _release_audio(self) -> None:
        """Let the spool drop what no event can need: while there are events not read yet, nothing more."""
        if self._journal.head > self._read_until:
            return
        needed = dict[str, datetime]()
        for waiting in self._waiting.values():
            start = waiting.span.utc(waiting.span.wanted[0])
            needed[waiting.event.hydrophone] = min(start, needed.get(waiting.event.hydrophone, start))
        self._spool.release(needed)

    def _tell_state(self) -> None:
        trouble = self._write_trouble or self._spool.trouble
        state: EvidenceState = "stopped" if trouble else "recording"
        if state == self.state:
            return
        if trouble:
            log.error("evidence has stopped, events go on: %s", trouble)
        elif self.state:
            log.info("evidence is recorded again")
        self.state = state
        self._told.on_state(state, trouble)

    def _tell_shed(self) -> None:
        for hydrophone, samples in self._spool.shed_samples().items():
            more = samples - self._shed.get(hydrophone, 0)
            if more:
                self._shed[hydrophone] = samples
                self._told.on_shed(hydrophone, more)

    def _was_gone(self, span: ClipSpan) -> bool:
        """Whether the spool has let go of where the event began: that was heard once, or there were no event."""
        held = self._spool.held(span.stream.hydrophone)
        return not any(stretch.stream == span.stream and stretch.first_sample <= span.part[0] for stretch in held)

    def _tell_lateness(self, span: ClipSpan, *, late: bool) -> None:
        hydrophone = span.stream.hydrophone
        if late:
            self._told.on_late(hydrophone)
        if late and hydrophone not in self._late:
            log.warning(
                "%s: audio of %s was gone before its event came; spool.max_bytes bounds how long it stays",
                hydrophone,
                span.utc(span.part[0]),
            )
            self._late.add(hydrophone)
        elif not late and hydrophone in self._late:
            log.info("%s: audio is there again when its events come", hydrophone)
            self._late.discard(hydrophone)

    async def _pause(self) -> None:
        if self._waiting:
            await asyncio.sleep(POLL_S)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(IDLE_S):
                await self._journal.wait_beyond(self._read_until)
