"""The disk that evidence lies on: looked at once a minute, kept within its limits, its troubles told."""

import asyncio
import logging
import os
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Never

from seacanary.conditions import ConditionLog
from seacanary.errors import SeaCanaryError
from seacanary.evidence.place import Place
from seacanary.evidence.retention import Deletion, DiskSpace, DiskVerdict, EvidenceRetention, FillRate, Kept, deletions
from seacanary.evidence.shelf import Shelf

log = logging.getLogger(__name__)

DISK_LOW, EVIDENCE_STOPPED = "disk_low", "evidence_stopped"
PROBE = ".probe"


@dataclass(frozen=True, slots=True)
class DiskRound:
    """What one look at the disk gave.

    Attributes:
        verdict: whether the disk is low, and whether evidence may be written.
        free_bytes: after the deletions; None if the folder cannot even be read.
        headroom_hours: until only the least free space is left; infinite while the disk does not fill.
        kept_bytes: evidence left, by species, 0 for those that lost all; empty if it cannot be read.
        deleted: what went.
    """

    verdict: DiskVerdict
    free_bytes: int | None
    headroom_hours: float
    kept_bytes: dict[str, int]
    deleted: tuple[Deletion, ...]


class EvidenceDisk:
    """Applies retention for as long as run() runs; whatever the disk does, run() goes on."""

    def __init__(
        self,
        folder: Path,
        rule: EvidenceRetention,
        *,
        conditions: ConditionLog,
        on_round: Callable[[DiskRound], None] = lambda _: None,
        utc_now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            folder: of all evidence; made if it is missing on the disk where it was.
            rule: how much of it is kept.
            conditions: told of disk_low and evidence_stopped.
            on_round: told of each look, on the loop.
            utc_now: against which age counts.
            monotonic_s: a clock for rates.
        """
        self._shelf, self._rule = Shelf(folder), rule
        self._place = Place(folder)
        self._conditions, self._on_round = conditions, on_round
        self._utc_now, self._monotonic_s = utc_now, monotonic_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="retention")
        self._now = asyncio.Event()
        self._fill = FillRate()
        self._deleted_bytes = 0
        self.verdict = DiskVerdict()

    def refusal(self) -> str | None:
        """Why no evidence may be written now; None if it may. From any thread."""
        return self.verdict.detail if self.verdict.stopped else None

    def look_soon(self) -> None:
        """Do not wait out the interval: a write has just failed."""
        self._now.set()

    async def run(self) -> Never:
        """Look, delete and tell until cancelled."""
        while True:
            self._now.clear()
            await self.look()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._rule.interval_s):
                    await self._now.wait()

    async def look(self) -> DiskRound:
        """Look at the disk once, delete what is to go, and tell of it."""
        seen = await asyncio.get_running_loop().run_in_executor(self._thread, self._round)
        self._log_change(seen.verdict)
        self.verdict = seen.verdict
        self._on_round(seen)
        try:
            await self._tell(seen.verdict)
        except SeaCanaryError as exc:  # the journal is on a disk too; the next look tells again
            log.warning("the state of the evidence disk could not be told: %s", exc)
        return seen

    async def aclose(self) -> None:
        """Let a look in progress end."""
        await asyncio.to_thread(self._thread.shutdown)

    async def _tell(self, verdict: DiskVerdict) -> None:
        at = self._utc_now()
        await self._conditions.note(DISK_LOW, holds=verdict.low, at=at, detail=verdict.detail)
        await self._conditions.note(EVIDENCE_STOPPED, holds=verdict.stopped, at=at, detail=verdict.detail)

    def _log_change(self, verdict: DiskVerdict) -> None:
        if verdict.stopped and not self.verdict.stopped:
            log.error("evidence stops, events go on: %s", verdict.detail)
        elif self.verdict.stopped and not verdict.stopped:
            log.info("evidence may be written again: %s", verdict.detail)
        if verdict.low and not self.verdict.low:
            log.warning("the disk of the evidence is low: %s", verdict.detail)

    def _round(self) -> DiskRound:
        """On the disk's thread; an OSError becomes the verdict's reason."""
        deleted: list[Deletion] = []
        try:
            self._place.make_sure()
            kept = [clip for shelved in self._shelf.contents() if (clip := shelved.kept())]
            space = self._space()
        except OSError as exc:
            verdict = DiskVerdict(self.verdict.low, stopped=True, detail=_fault(self._shelf.folder, exc))
            return DiskRound(verdict, None, 0.0, {}, ())
        fault = self._trouble_with(lambda: self._delete(kept, space, deleted))
        fault = fault or self._trouble_with(lambda: _probe(self._shelf.folder))
        return self._concluded(kept, deleted, space, fault)

    def _trouble_with(self, use: Callable[[], None]) -> str | None:
        try:
            use()
        except OSError as exc:
            return _fault(self._shelf.folder, exc)
        return None

    def _delete(self, kept: list[Kept], space: DiskSpace, deleted: list[Deletion]) -> None:
        for deletion in deletions(kept, space, rule=self._rule, now=self._utc_now()):
            self._shelf.delete(deletion.clip.stem)
            deleted.append(deletion)
            self._deleted_bytes += deletion.clip.size_bytes

    def _space(self) -> DiskSpace:
        free_bytes = self._place.free_bytes()
        rate = self._fill.observe(self._monotonic_s(), free_bytes=free_bytes, deleted_bytes=self._deleted_bytes)
        self._deleted_bytes = 0
        return DiskSpace(free_bytes, rate, self._place.disk_bytes())

    def _concluded(self, kept: list[Kept], deleted: list[Deletion], space: DiskSpace, fault: str | None) -> DiskRound:
        with suppress(OSError):  # then what was measured before the deletions stands
            space = replace(space, free_bytes=self._place.free_bytes())
        gone = {deletion.clip.stem for deletion in deleted}
        by_species: Counter[str] = Counter()
        for clip in kept:
            by_species[clip.species] += clip.size_bytes if clip.stem not in gone else 0
        verdict = self.verdict.after(space, rule=self._rule, fault=fault)
        headroom_hours = space.headroom_hours(self._rule)
        return DiskRound(verdict, space.free_bytes, headroom_hours, dict(by_species), tuple(deleted))


def _probe(folder: Path) -> None:
    """Write a byte to the disk: full, read-only and broken ones all refuse it in their own way."""
    path = folder / PROBE
    try:
        with path.open("wb") as file:
            file.write(b"\0")
            file.flush()
            os.fsync(file.fileno())
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _fault(folder: Path, exc: OSError) -> str:
    return f"{folder}: {exc.strerror or exc}"
