"""What is made of a clip once it is there, such as its picture: behind the clips, at its own pace.

A second consumer of the journal follows the first: it looks at no event before its clip is written,
and after a restart goes on where it was. However slow it is, no clip waits for it.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Never, TypeAlias

from seacanary.events import JournalEntry, PresenceEvent
from seacanary.evidence.clips import ClipAudio
from seacanary.evidence.consumer import CURSOR as CLIPS
from seacanary.evidence.files import read_facts, write_whole
from seacanary.evidence.names import Part, file_of, stem_of
from seacanary.journal import Journal
from seacanary.journal_patience import patiently

log = logging.getLogger(__name__)

Maker: TypeAlias = Callable[[ClipAudio, PresenceEvent], bytes | None]

CURSOR = "@evidence_extras"
BATCH = 100
RETRY_S = 10.0  # a disk that takes nothing is tried again this often


class Extras:
    """Makes what is missing beside the clips, for as long as run() runs."""

    def __init__(
        self, journal: Journal, folder: Path, makers: Mapping[Part, Maker], *, retry_s: float = RETRY_S
    ) -> None:
        """Prepare.

        Args:
            journal: of events; its cursor "@evidence_extras" is this consumer's.
            folder: of all evidence.
            makers: by the file they make: from a clip to the file's content, or None where there is
                nothing to make; called on a thread that does nothing else, and may be slow.
            retry_s: pause after the disk did not take a file.
        """
        self._journal, self._folder, self._makers, self._retry_s = journal, folder, dict(makers), retry_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="evidence-extras")

    async def run(self) -> Never:
        """Make files until cancelled."""
        sequence = await patiently(lambda: self._journal.cursor(CURSOR), who=CURSOR)
        while True:
            await patiently(partial(self._journal.wait_delivered, CLIPS, sequence + 1), who=CURSOR)
            clips = await patiently(lambda: self._journal.cursor(CLIPS), who=CURSOR)
            for entry in await patiently(partial(self._journal.read_after, sequence, BATCH), who=CURSOR):
                if entry.sequence > clips:
                    break
                sequence = await self._pass(entry)

    async def drain(self, timeout_s: float) -> bool:
        """Wait until all clips there are have been passed; False if the time was too short."""
        try:
            async with asyncio.timeout(timeout_s):
                clips = await patiently(lambda: self._journal.cursor(CLIPS), who=CURSOR)
                await patiently(lambda: self._journal.wait_delivered(CURSOR, clips), who=CURSOR)
        except TimeoutError:
            return False
        return True

    async def aclose(self) -> None:
        """Let a file in progress be finished."""
        await asyncio.to_thread(self._thread.shutdown)

    async def _pass(self, entry: JournalEntry) -> int:
        """Make what an event's clip lacks, and move behind it."""
        if isinstance(entry.event, PresenceEvent):
            for part in self._makers:
                await self._make(part, entry.event)
        await patiently(lambda: self._journal.move_cursor(CURSOR, entry.sequence), who=CURSOR)
        return entry.sequence

    async def _make(self, part: Part, event: PresenceEvent) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                return await loop.run_in_executor(self._thread, self._make_file, part, event)
            except OSError as exc:
                log.warning("%s of event %s waits for the disk: %s", part, event.id, exc)
                await asyncio.sleep(self._retry_s)

    def _make_file(self, part: Part, event: PresenceEvent) -> None:
        """Make one file if it is not there; a maker's failure is logged, and its file stays away.

        Raises:
            OSError: the disk does not take it.
        """
        stem = stem_of(event)
        path, facts = self._folder / file_of(stem, part), read_facts(self._folder, stem)
        clip = facts and facts.clip_audio(self._folder, stem)
        if not clip or path.exists() or not clip.path.exists():
            return
        try:
            content = self._makers[part](clip, event)
        except Exception:  # whatever a plotting library raises: the clip itself is there, the next one goes on
            log.exception("%s of event %s cannot be made", part, event.id)
            return
        if content is not None:
            write_whole(path, content)
