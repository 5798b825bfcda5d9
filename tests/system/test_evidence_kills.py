import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from evidence_checks import check_evidence
from known_audio import EPOCH
from seacanary.events import PresenceEvent
from seacanary.evidence.clips import ClipOutcome, Range, Stream
from seacanary.evidence.consumer import CURSOR
from seacanary.journal import Journal

CHILD = Path(__file__).with_name("evidence_child.py")
TESTS = CHILD.parents[1]
RATE_HZ = 8000
KILLS = 20

pytestmark = [pytest.mark.system, pytest.mark.slow]


def start(folder: Path, run: int, pause: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(CHILD), str(folder), str(run), pause]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


async def journalled(folder: Path) -> tuple[list[PresenceEvent], int]:
    """Events of the journal, and how many of them are behind the evidence's cursor."""
    async with await Journal.open_to_read(folder / "journal.db") as journal:
        events = [entry.event async for entry in journal.entries()]
        return [event for event in events if isinstance(event, PresenceEvent)], await journal.cursor(CURSOR)


def played(folder: Path, run: int, chance: random.Random) -> int:
    """Let a process play for a while and kill it; return how far it said it had come."""
    with start(folder, run, f"{chance.uniform(0.005, 0.05):.3f}") as process:
        assert process.stdout is not None
        said = [process.stdout.readline()]
        time.sleep(chance.uniform(0.2, 2.0))
        process.send_signal(signal.SIGKILL)
        rest, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors
    whole = [line for line in (*said, *rest.splitlines(keepends=True)) if line.endswith("\n")]
    return int(json.loads(whole[-1])["end"])


@pytest.mark.timeout(300)
def test_twenty_kills_cost_no_event_its_evidence(tmp_path: Path) -> None:
    chance = random.Random(23)
    heard = dict[Stream, list[Range]]()
    tape, behind = 0, 0
    for run in range(KILLS):
        end = played(tmp_path, run, chance)
        tape = max(tape, end)
        heard[Stream("live", EPOCH + timedelta(hours=run), RATE_HZ)] = [(0, end)]
        events, cursor = asyncio.run(journalled(tmp_path))
        behind += cursor < len(events)
    heard[Stream("tape", EPOCH, RATE_HZ)] = [(0, tape)]
    with start(tmp_path, KILLS, "finish") as process:
        _, errors = process.communicate(timeout=90)
    assert process.returncode == 0, errors
    events, cursor = asyncio.run(journalled(tmp_path))
    evidence = tmp_path / "evidence"
    outcomes = Counter[ClipOutcome](check_evidence(evidence, event, heard).outcome for event in events)
    assert cursor == len(events) > 3 * KILLS
    assert behind > KILLS / 2  # most kills left events without their clip
    for kind in ("json", "flac"):
        assert len(list(evidence.rglob(f"*_????????.{kind}"))) == len(events)
    assert not list(evidence.rglob("*.part"))
    # All was in the kernel's hands before it was told of, but for the last blocks before a kill.
    assert outcomes["complete"] >= len(events) - KILLS
