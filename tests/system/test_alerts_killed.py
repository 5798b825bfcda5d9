"""A process that alerts, killed thirty times: its alerts are those of one that never was."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from alert_writers import RULES
from seacanary.alerts.book import AlertBook
from seacanary.alerts.engine import CURSOR, Alerting
from seacanary.events import AlertEvent, JournalEntry
from seacanary.journal import Journal

pytestmark = [pytest.mark.system, pytest.mark.slow]

TESTS = Path(__file__).parent.parent
KILLS = 30


def live_and_die(path: Path) -> None:
    """Let processes work on the journal, each until it is killed at a random moment."""
    chance = random.Random(5)
    paths = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(TESTS / "alert_writers.py"), str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": paths}
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        for _ in range(KILLS):
            parent.stdin.write("\n")
            parent.stdin.flush()
            pid = int(parent.stdout.readline())
            time.sleep(chance.uniform(0.15, 0.5))
            os.kill(pid, signal.SIGKILL)
        parent.stdin.close()


async def finish(path: Path) -> list[JournalEntry]:
    """Have the rules see the rest; then all that the journal holds."""
    async with await Journal.open(path) as journal:
        running = asyncio.create_task(Alerting(journal, RULES, station="station", hold_s=0.0).run())
        async with asyncio.timeout(20):
            await journal.wait_delivered(CURSOR, journal.head)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        return [entry async for entry in journal.entries()]


async def test_kills_repeat_and_lose_no_alert(tmp_path: Path) -> None:
    await asyncio.to_thread(live_and_die, tmp_path / "journal.db")
    entries = await finish(tmp_path / "journal.db")
    got = [entry.event.id for entry in entries if isinstance(entry.event, AlertEvent)]
    books = [AlertBook(rule, "station") for rule in RULES.rules]
    heard = [entry for entry in entries if not isinstance(entry.event, AlertEvent)]
    expected = [alert.id for entry in heard for book in books for alert in book.take(entry)]
    assert len(heard) > 20 * KILLS
    assert len(expected) > 5 * KILLS
    assert got == expected
