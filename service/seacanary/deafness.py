"""Deafness: a hydrophone that is not heard is told of, so that no news means no whale, and not nobody listening."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Never

from seacanary.beside import Part
from seacanary.conditions import ConditionLog
from seacanary.listening import Owing

DEAF = "deaf"
# As the rule StationDeaf for Prometheus has it: longer than sources take to be opened again after a hitch.
DEAF_S = 30.0
LOOK_S = 1.0


def deafness_part(conditions: ConditionLog, owing: Callable[[], Mapping[str, Owing]]) -> Part:
    """Tell when a live hydrophone becomes deaf, and when it is heard again.

    Args:
        conditions: told of it.
        owing: each hydrophone that should be heard.
    """

    async def run() -> Never:
        while True:
            await asyncio.sleep(LOOK_S)
            for hydrophone in owing():
                await _look(conditions, hydrophone, owing)

    return Part("deafness", run)


async def _look(conditions: ConditionLog, hydrophone: str, owing: Callable[[], Mapping[str, Owing]]) -> None:
    """Note how it is now: the notes before this one may have waited for the journal."""
    state = owing().get(hydrophone)
    if state is None:
        return
    deaf = state.silent_s > DEAF_S
    if not deaf and not state.was_heard:  # since the start; whether it is deaf still is not known yet
        return
    seen = f"no samples for {state.silent_s:.0f} s; /health says what its source does" if deaf else "heard again"
    await conditions.note(DEAF, hydrophone, holds=deaf, at=datetime.now(UTC), detail=seen)
