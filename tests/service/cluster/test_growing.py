"""A batch grows with what waits, in Faust's own take()."""

import asyncio

import faust

from seacanary.cluster.growing import Growing

RECORDS = 28
PATIENT_S = 30.0


async def batches_of(sizes: list[int], *, larger: int, after: int) -> list[list[int]]:
    """What an agent takes whose size is another one after so many batches; no broker is needed to hold records."""
    app = faust.App("growing", broker="kafka://127.0.0.1:9", store="memory://")
    taken: list[list[int]] = []

    @app.agent(app.topic("images"))
    async def agent(stream: faust.Stream[int]) -> None:
        async for batch in stream.noack_take(Growing(lambda: sizes[-1]), within=PATIENT_S):
            taken.append([event.value for event in batch])
            if len(taken) == after:
                sizes.append(larger)

    async with agent.test_context() as putting:
        for number in range(RECORDS):
            await putting.put(number, wait=False)
        while sum(map(len, taken)) < RECORDS:
            await asyncio.sleep(0.01)
    app.consumer._thread.thread_loop.close()  # of a thread that is never begun
    return taken


def test_batches_are_of_the_size_that_is_right_when_they_fill() -> None:
    taken = asyncio.run(asyncio.wait_for(batches_of([2], larger=8, after=2), PATIENT_S))
    assert [len(batch) for batch in taken] == [2, 2, 8, 8, 8]
    assert [record for batch in taken for record in batch] == list(range(RECORDS))
