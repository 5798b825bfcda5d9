"""A coroutine that was begun without a task goes on in one as if it had always been there."""

import asyncio
from collections.abc import Coroutine

import pytest

from seacanary.cluster.eager import Finished, begin


async def test_what_never_waits_is_finished_at_once() -> None:
    async def work() -> int:
        return 7

    assert begin(work()) == Finished(7)


async def test_what_waits_goes_on_in_another_task() -> None:
    future = asyncio.get_running_loop().create_future()
    steps: list[object] = []

    async def work() -> str:
        steps.append("begun")
        steps.append(await future)
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        return "done"

    rest = begin(work())
    assert steps == ["begun"]
    assert not isinstance(rest, Finished)
    task = asyncio.create_task(rest)
    await asyncio.sleep(0)
    future.set_result("answer")
    assert await task == "done"
    assert steps == ["begun", "answer"]


async def test_what_is_thrown_arrives_where_the_coroutine_waits() -> None:
    future = asyncio.get_running_loop().create_future()

    async def work() -> str:
        try:
            await future
        except LookupError as exc:
            await asyncio.sleep(0)
            return f"saw {exc}"
        return "saw nothing"

    rest = _unfinished(begin(work()))
    future.set_exception(LookupError("this"))
    assert await rest == "saw this"


async def test_a_cancellation_arrives_too() -> None:
    seen: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("left")

    task = asyncio.create_task(_unfinished(begin(work())))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["left"]


async def test_an_exception_before_the_first_wait_is_raised_at_once() -> None:
    async def work() -> None:
        raise ValueError("early")

    with pytest.raises(ValueError, match="early"):
        begin(work())


def _unfinished(begun: "Finished[object] | Coroutine[object, object, object]") -> "Coroutine[object, object, object]":
    assert not isinstance(begun, Finished)
    return begun
