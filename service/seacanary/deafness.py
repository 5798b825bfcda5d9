"""Deafness: a hydrophone that is not heard is told of, so that no news means no whale, and not nobody listening."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Never

from seacanary.beside import Part
from seacanary.conditions import ConditionLog

DEAF = "deaf"
# As the rule StationDeaf for Prometheus has it: longer than sources take to be opened again after a hitch.
DEAF_S = 30.0
LOOK_S = 1.0


def deafness_part(conditions: ConditionLog, unheard_s: Callable[[], Mapping[str, float]]) -> Part:
    """Tell when a live hydrophone becomes deaf, and when it is heard again.

    Args:
        conditions: told of it.
        unheard_s: for how long each hydrophone that should be heard has delivered nothing, seconds.
    """

    async def run() -> Never:
        while True:
            await asyncio.sleep(LOOK_S)
            for hydrophone, silent_s in unheard_s().items():
                deaf = silent_s > DEAF_S
                seen = f"no samples for {silent_s:.0f} s; /health says what its source does" if deaf else "heard again"
                await conditions.note(DEAF, hydrophone, holds=deaf, at=datetime.now(UTC), detail=seen)

    return Part("deafness", run)
