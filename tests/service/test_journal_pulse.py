"""JournalPulse: a journal that can be written is told from one that cannot."""

import asyncio
from pathlib import Path

import pytest

from seacanary import journal_pulse
from seacanary.errors import JournalError
from seacanary.journal import Journal
from seacanary.journal_pulse import PATIENCE_S, STATE_KEY, JournalPulse


async def test_a_pulse_is_written_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_pulse, "PULSE_S", 0.01)
    async with await Journal.open(tmp_path / "journal.db") as journal:
        beating = asyncio.create_task(JournalPulse().run(journal))
        async with asyncio.timeout(10):
            while STATE_KEY not in await journal.states():
                await asyncio.sleep(0.01)
        beating.cancel()


class Refusing:
    """A journal on a full disk."""

    async def append(self, *_: object, **__: object) -> None:
        raise JournalError("disk full")


async def test_a_journal_that_refuses_for_long_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_pulse, "PULSE_S", 0.001)
    now_s = [0.0]
    pulse = JournalPulse(monotonic_s=lambda: now_s[0])
    beating = asyncio.create_task(pulse.run(Refusing()))  # type: ignore[arg-type]  # the one method it calls
    await asyncio.sleep(0.05)
    assert pulse.failing() == ()
    now_s[0] = PATIENCE_S + 1
    assert pulse.failing() == (f"the journal could not be written for {PATIENCE_S + 1:.0f} s: disk full",)
    beating.cancel()
