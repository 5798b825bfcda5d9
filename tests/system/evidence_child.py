"""A process with journal, spool and evidence, to be killed.

    evidence_child.py FOLDER RUN PAUSE_S     plays and tells of presences until it is killed
    evidence_child.py FOLDER RUN finish      plays nothing, and ends when all evidence is written

Hydrophone "live" begins another epoch with each run; hydrophone "tape" is read again from its
beginning. After each round a line says how far both are in the kernel's hands.
"""

import asyncio
import json
import sys
from datetime import timedelta
from itertools import count
from pathlib import Path

from known_audio import EPOCH, known_block, presence
from seacanary.evidence.clips import Stream
from seacanary.evidence.consumer import Evidence
from seacanary.evidence.section import EvidenceSection
from seacanary.evidence.spool import Spool, SpoolSection
from seacanary.journal import Journal

RATE_HZ = 8000
BLOCK = 2000
TAPE = Stream("tape", EPOCH, RATE_HZ)
SECTION = EvidenceSection(
    pre_roll_s=1, post_roll_s=1, longest_clip_s=6, silence_s=2, spool=SpoolSection(segment_s=2, keep_s=600)
)


def live(run: int) -> Stream:
    """The live stream's epoch of a run."""
    return Stream("live", EPOCH + timedelta(hours=run), RATE_HZ)


async def play(journal: Journal, spool: Spool, run: int, pause_s: float) -> None:
    """Play both hydrophones; every few blocks a presence is told of what was played last."""
    for number in count(1):
        end = number * BLOCK
        for stream in (live(run), TAPE):
            spool.hear(known_block(stream, end - BLOCK, end))
            if number % 3 == 0:
                await journal.append([presence(stream, end - 2 * BLOCK - 77, end - 13)])
        if not await asyncio.to_thread(spool.flush, 5):
            raise SystemExit("the spool is stuck")
        sys.stdout.write(json.dumps({"end": end}) + "\n")
        sys.stdout.flush()
        await asyncio.sleep(pause_s)


async def main(folder: Path, run: int, pause: str) -> None:
    section = SECTION.model_copy(update={"path": folder / "evidence"})
    async with await Journal.open(folder / "journal.db") as journal:
        spool = Spool(section.spool_path, section.spool)
        evidence = Evidence(journal, spool, section)
        writing = asyncio.create_task(evidence.run())
        if pause == "finish":
            if not await evidence.drain(60):
                raise SystemExit("evidence is not done")
            writing.cancel()
            spool.close()
            await evidence.aclose()
            return
        await play(journal, spool, run, float(pause))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
