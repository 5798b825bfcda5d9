import asyncio
from functools import partial

import pytest

from seacanary.cluster.acknowledging import Acknowledging


async def test_records_are_acknowledged_in_order_once_their_writes_are_done() -> None:
    acknowledged: list[int] = []
    loop = asyncio.get_running_loop()
    writes = [loop.create_future() for _ in range(3)]
    acknowledging = Acknowledging()
    running = asyncio.create_task(acknowledging.run())

    for number, write in enumerate(writes):
        await acknowledging.after([write], partial(acknowledged.append, number))
    writes[1].set_result(None)
    writes[2].set_result(None)
    await asyncio.sleep(0.01)
    assert acknowledged == []
    writes[0].set_result(None)
    await asyncio.sleep(0.01)
    assert acknowledged == [0, 1, 2]
    running.cancel()


async def test_nothing_is_acknowledged_after_a_write_that_failed() -> None:
    acknowledging, acknowledged = Acknowledging(), []
    loop = asyncio.get_running_loop()
    failed, done = loop.create_future(), loop.create_future()
    failed.set_exception(OSError("no broker"))
    done.set_result(None)

    await acknowledging.after([failed], partial(acknowledged.append, 1))
    await acknowledging.after([done], partial(acknowledged.append, 2))
    with pytest.raises(OSError, match="no broker"):
        await acknowledging.run()
    assert acknowledged == []
