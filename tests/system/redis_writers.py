"""Starts writers to be killed: each line on stdin forks one, once the last is gone; its pid is printed.

A writer appends events to the journal named by the first argument and delivers
them to the Redis named by the second, as fast as it can, until it is killed. Forking from a
process that has imported everything makes fifty lives a matter of seconds.
"""

import asyncio
import os
import random
import sys
from pathlib import Path

from pydantic import SecretStr

from event_samples import event
from seacanary.journal import Journal
from seacanary.publishers.delivery import Delivery, DeliveryPolicy
from seacanary.publishers.redis_section import RedisStreamsSection
from seacanary.publishers.redis_streams import RedisStreams


async def write(path: Path, url: str) -> None:
    chance = random.Random(os.getpid())
    async with await Journal.open(path) as journal, asyncio.TaskGroup() as group:
        publisher = RedisStreams(RedisStreamsSection(url=SecretStr(url)))
        policy = DeliveryPolicy(batch=5, first_wait_s=0.01, longest_wait_s=0.05)
        delivery = Delivery(journal, publisher, policy=policy, on_change=lambda _: None)
        group.create_task(delivery.run())
        while True:
            following = [event(journal.head + 1 + more) for more in range(chance.randint(1, 3))]
            await journal.append(following, states={"head": str(following[-1].onset_sample)})
            await asyncio.sleep(chance.uniform(0, 0.004))


def main() -> None:
    path, url, pid = Path(sys.argv[1]), sys.argv[2], 0
    for _ in sys.stdin:
        if pid:
            os.waitpid(pid, 0)  # killed, but perhaps not gone yet
        pid = os.fork()
        if pid == 0:
            asyncio.run(write(path, url))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
