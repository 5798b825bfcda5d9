import asyncio
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from seacanary.cluster.acknowledging import Acknowledging, HeldEvent


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


class Acked:
    """A message that notes whether Faust heard of its acknowledgement."""

    generation_id, acked = 4, 0

    def ack(self, consumer: object) -> bool:
        self.acked += 1
        return True

    def incref(self, *_: object) -> None: ...


@pytest.mark.parametrize(("generation", "flows", "counts"), [(4, True, 1), (5, True, 0), (4, False, 0)])
def test_a_record_is_acknowledged_by_us_alone_and_not_after_a_rebalance(
    generation: int, flows: bool, counts: int
) -> None:
    message: Any = Acked()
    app: Any = SimpleNamespace(
        flow_control=SimpleNamespace(is_active=lambda: flows), consumer_generation_id=generation, consumer=None
    )
    event = HeldEvent(app, b"", b"", None, message)
    event.ack()
    assert message.acked == 0
    event.acknowledge()
    assert message.acked == counts
