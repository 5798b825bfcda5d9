"""No exception passes an agent: Faust would acknowledge the record and go on with the next one.

What can be foreseen, a record that cannot be read, goes to the dead letters. Anything else ends the
process before the record is acknowledged; whoever takes over reads it again.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

log = logging.getLogger(__name__)

# EX_SOFTWARE of sysexits.h: a supervisor starts the worker again, as after any code but 0 and 2.
BROKEN = 70


def end_process() -> NoReturn:
    """End at once, without the orderly stop that would commit offsets; the log goes out first."""
    logging.shutdown()
    os._exit(BROKEN)


@contextmanager
def nothing_passes(where: str, end: Callable[[], NoReturn] = end_process) -> Iterator[None]:
    """End the process on any exception; a cancellation passes, since what it cuts short is not acknowledged.

    Args:
        where: for the log.
        end: ends the process.
    """
    try:
        yield
    except Exception:  # whatever it is, going on would lose the record
        log.critical("%s has failed; the worker ends, and the record will be read again", where, exc_info=True)
        end()
