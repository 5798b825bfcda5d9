"""Stations to be killed: each line on stdin forks one, once the last is gone; its pid is printed.

Each appends presences to the journal named by the first argument, and has the rules alert of them,
as fast as it can, until it is killed. Forking from a process that has imported everything makes many
lives a matter of seconds.
"""

import asyncio
import os
import random
import sys
from pathlib import Path

from alert_samples import presence, rule
from seacanary.alerts.engine import Alerting
from seacanary.alerts.rules import AlertsSection
from seacanary.events import PresenceEvent
from seacanary.journal import Journal

RULES = AlertsSection(
    rules=(
        rule(name="all", cooldown_s=0, rate_limit={"messages": 1000, "per_s": 1}),
        rule(name="few", cooldown_s=0, rate_limit={"messages": 6, "per_s": 86_400}),
        rule(name="second", requires_confirmation=True),
    ),
    max_age_s=86_400,
)


def traffic(number: int) -> PresenceEvent:
    """The event of that number, from 0: two hydrophones hear a beluga come and go, again and again."""
    bout, step = divmod(number, 4)
    onset_s = bout * 4 + step % 2
    hydrophone = ("north", "south")[step % 2]
    return presence("ended" if step >= 2 else "started", number, onset_s=onset_s, hydrophone=hydrophone)


async def live(path: Path) -> None:
    chance = random.Random(os.getpid())
    async with await Journal.open(path) as journal, asyncio.TaskGroup() as group:
        group.create_task(Alerting(journal, RULES, station="station", hold_s=0.0).run())
        number = int((await journal.states()).get("written", "0"))
        while True:
            following = [traffic(number + more) for more in range(chance.randint(1, 3))]
            number += len(following)
            await journal.append(following, states={"written": str(number)})
            await asyncio.sleep(chance.uniform(0, 0.004))


def main() -> None:
    path, pid = Path(sys.argv[1]), 0
    for _ in sys.stdin:
        if pid:
            os.waitpid(pid, 0)  # killed, but perhaps not gone yet
        pid = os.fork()
        if pid == 0:
            asyncio.run(live(path))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
