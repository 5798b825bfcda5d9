"""begin(): a coroutine goes as far as it can without waiting, in the task that is running. Faust makes a task at once,
and three beside it, for every record; nearly none of them ever waits."""

from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from functools import partial
from types import coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Finished(Generic[T]):
    """A coroutine has come to its end."""

    value: T


def begin(work: Coroutine[Any, Any, T]) -> Finished[T] | Coroutine[Any, Any, T]:
    """Run a coroutine until it first has to wait.

    Returns:
        What it came to, or the rest of it, to be awaited in any task of this loop.

    Raises:
        BaseException: whatever it raises until then.
    """
    try:
        waits_for = work.send(None)
    except StopIteration as done:
        return Finished(done.value)
    return _the_rest(work, waits_for)


async def _the_rest(work: Coroutine[Any, Any, T], waits_for: object) -> T:
    return await _resumed(work, waits_for)


@coroutine
def _resumed(work: Coroutine[Any, Any, T], waits_for: object) -> Generator[Any, Any, T]:
    """Hand on what a coroutine waits for to the task, and to the coroutine what the task sends or throws."""
    while True:
        resume: Callable[[], Any]
        try:
            answer = yield waits_for
        except BaseException as thrown:  # noqa: BLE001  # a cancellation too: it is the coroutine's to handle
            resume = partial(work.throw, thrown)
        else:
            resume = partial(work.send, answer)
        try:
            waits_for = resume()
        except StopIteration as done:
            value: T = done.value
            return value
