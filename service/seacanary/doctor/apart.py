"""Apart: a call in a process of its own. Drivers and runtimes may hang for ever, or end the process they are in."""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from seacanary.errors import SeaCanaryError

T = TypeVar("T")
W = TypeVar("W")

# Until a new process has imported what it needs: seconds on a small board, a minute on one that is overloaded.
START_S = 90.0
_END_S = 2.0


class Died(SeaCanaryError):
    """The process ended without an answer."""


def apart(call: Callable[[], T], *, limit_s: float) -> T:
    """Call in a new process, and return what it returns.

    Args:
        call: a function of a module, or a partial of one; what it takes and returns can be pickled.
        limit_s: how long it may take, once its process has begun; then that is killed.

    Raises:
        TimeoutError: it took longer, or its process has not begun within START_S.
        Died: the process was ended by what it did.
        SeaCanaryError: as the call.
    """
    return apart_telling(partial(_in_silence, call), hear=lambda _: None, limit_s=limit_s)


def apart_telling(call: Callable[[Callable[[W], None]], T], *, hear: Callable[[W], None], limit_s: float) -> T:
    """As apart, of a call that tells how it gets on.

    Args:
        call: is given a function that takes a word of it to `hear`.
        hear: called here, before the call has returned.
        limit_s: as of apart.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(theirs, call), daemon=True)
    process.start()
    theirs.close()
    try:
        _received(ours, START_S)  # it has begun
        until_s = time.monotonic() + limit_s
        over = False
        while not over:
            over, said = _received(ours, max(0.0, until_s - time.monotonic()))
            if not over:
                hear(said)
    except EOFError:
        process.join(_END_S)
        raise Died(f"it ended the process it ran in (exit code {process.exitcode})") from None
    finally:
        ours.close()
        process.kill()
        process.join(_END_S)
    if isinstance(said, Exception):
        raise said
    answer: T = said
    return answer


def _received(ours: Connection, limit_s: float) -> tuple[bool, Any]:
    """Whether the call is over, and what it says."""
    if not ours.poll(limit_s):
        raise TimeoutError
    received: tuple[bool, Any] = ours.recv()
    return received


def _in_silence(call: Callable[[], T], _: Callable[[object], None]) -> T:
    return call()


def _answer(to: Connection, call: Callable[[Callable[[object], None]], object]) -> None:
    """The body of the new process; libraries that complain on stderr are not heard."""
    sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    to.send((False, None))
    try:
        answer = call(lambda word: to.send((False, word)))
    except Exception as exc:  # noqa: BLE001  # raised again in the process that asked
        answer = exc if isinstance(exc, SeaCanaryError) else Died(f"{type(exc).__name__}: {exc}")
    with suppress(BrokenPipeError):
        to.send((True, answer))
    to.close()
