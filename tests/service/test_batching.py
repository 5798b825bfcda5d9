import asyncio
from datetime import timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fakes import EPOCH
from seacanary.audio import Window
from seacanary.batching import Batcher, BatchingSection, StreamEnded
from seacanary.observations import Unobserved

HOP = 100


def window(hydrophone: str, place: int) -> Window:
    first = place * HOP
    start = EPOCH + timedelta(seconds=first / 1000)
    return Window(hydrophone, np.zeros(4, np.float32), start, EPOCH, first, first + 2 * HOP, 1000)


async def everything(batcher: Batcher) -> list[list[object]]:
    batcher.close()
    return [list(batch.items) async for batch in batcher.batches()]


@given(st.lists(st.sampled_from("abc"), max_size=60), st.integers(1, 9), st.integers(1, 12))
def test_nothing_vanishes_and_order_holds_per_hydrophone(names: list[str], most: int, queue: int) -> None:
    async def scenario() -> None:
        batcher = Batcher(BatchingSection(max_windows=most, queue_windows=queue))
        counts = dict.fromkeys("abc", 0)
        shed = 0
        for name in names:
            shed += batcher.put(window(name, counts[name])) is not None
            counts[name] += 1
            assert len(batcher) <= queue
        batches = await everything(batcher)
        assert all(sum(isinstance(i, Window) for i in batch) <= most for batch in batches)
        items = [item for batch in batches for item in batch]
        assert sum(isinstance(i, Window) for i in items) == len(names) - shed == min(len(names), queue)
        for name in "abc":
            own = [i for i in items if isinstance(i, Window | Unobserved) and i.hydrophone == name]
            assert [i.first_sample for i in own] == sorted(i.first_sample for i in own)
            covered = {s for i in own for s in range(i.first_sample // HOP, i.end_sample // HOP - 1)}
            assert covered == set(range(counts[name]))

    asyncio.run(scenario())


async def test_patient_windows_wait_for_room_and_are_never_shed() -> None:
    batcher = Batcher(BatchingSection(max_windows=2, queue_windows=2))

    async def fill() -> None:
        for place in range(10):
            await batcher.put_patiently(window("a", place))
        batcher.close()

    async with asyncio.TaskGroup() as group:
        group.create_task(fill())
        seen = [i async for batch in batcher.batches() for i in batch.items]
    assert [w.first_sample // HOP for w in seen if isinstance(w, Window)] == list(range(10))


async def test_a_recording_neither_sheds_live_windows_nor_is_shed_by_them() -> None:
    batcher = Batcher(BatchingSection(max_windows=2, queue_windows=6))

    async def play() -> None:
        for place in range(8):
            await batcher.put_patiently(window("recording", place))

    playing = asyncio.create_task(play())
    await asyncio.sleep(0)
    assert len(batcher) == 4
    shed = [batcher.put(window("live", place)) for place in range(5)]
    assert [w.hydrophone for w in shed if w] == ["live"] * 3
    seen = []
    async for batch in batcher.batches():
        seen += [i for i in batch.items if isinstance(i, Window)]
        if playing.done():
            batcher.close()
    assert [w.first_sample // HOP for w in seen if w.hydrophone == "recording"] == list(range(8))
    assert [w.first_sample // HOP for w in seen if w.hydrophone == "live"] == [3, 4]


async def test_a_lone_window_leaves_when_its_deadline_is_over() -> None:
    batcher = Batcher(BatchingSection(max_windows=8, deadline_s=0.01))
    batcher.put(window("a", 0))
    batch = await anext(batcher.batches())
    assert len(batch.items) == 1
    assert batch.waited_s >= 0.009


async def test_markers_keep_their_place() -> None:
    batcher = Batcher(BatchingSection())
    batcher.put(window("a", 0))
    batcher.put(StreamEnded("a", "stream_ended"))
    batcher.put(window("b", 0))
    (batch,) = await everything(batcher)
    assert [type(item).__name__ for item in batch] == ["Window", "StreamEnded", "Window"]
