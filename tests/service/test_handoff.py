import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seacanary.handoff import Handoff


async def test_items_come_in_the_order_they_were_put_across_threads() -> None:
    handoff = Handoff[int](asyncio.get_running_loop(), 1000)
    threading.Thread(target=lambda: [handoff.put(k) for k in range(1000)]).start()
    assert [await handoff.get() for _ in range(1000)] == list(range(1000))
    assert handoff.shed == 0


async def test_get_waits_until_something_is_put() -> None:
    handoff = Handoff[str](asyncio.get_running_loop(), 2)
    waiting = asyncio.create_task(handoff.get())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    threading.Thread(target=handoff.put, args=("late",)).start()
    assert await asyncio.wait_for(waiting, 5) == "late"


async def test_when_full_the_oldest_is_shed_and_counted() -> None:
    handoff = Handoff[int](asyncio.get_running_loop(), 3)
    for k in range(5):
        handoff.put(k)
    assert (len(handoff), handoff.shed) == (3, 2)
    assert [await handoff.get() for _ in range(3)] == [2, 3, 4]
    assert len(handoff) == 0


async def test_a_cancelled_get_loses_nothing() -> None:
    handoff = Handoff[int](asyncio.get_running_loop(), 3)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await handoff.get()
    handoff.put(7)
    assert await asyncio.wait_for(handoff.get(), 5) == 7


@given(puts=st.lists(st.integers(0, 6), min_size=1, max_size=20), size=st.integers(1, 5))
def test_everything_put_is_either_got_or_counted_as_shed(puts: list[int], size: int) -> None:
    async def run() -> None:
        handoff = Handoff[int](asyncio.get_running_loop(), size)
        put, got = 0, list[int]()
        for burst in puts:
            for _ in range(burst):
                handoff.put(put)
                put += 1
            if len(handoff):
                got.append(await asyncio.wait_for(handoff.get(), 5))
        got += [await handoff.get() for _ in range(len(handoff))]
        assert len(got) + handoff.shed == put
        assert got == sorted(set(got))

    asyncio.run(run())
