"""A consumer's patience with its journal: an outage of the disk ends nothing."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from seacanary.errors import JournalError

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0


async def patiently(access: Callable[[], Awaitable[T]], *, who: str) -> T:
    """Read or write the journal until it works, with backoff and full jitter.

    Args:
        access: one read or write; called again after a JournalError.
        who: waits for it, for the log.
    """

    def note_failure(retry: RetryCallState) -> None:
        if retry.attempt_number == 1 and retry.outcome:
            log.error("%s waits for the journal: %s", who, retry.outcome.exception())

    async def attempt() -> T:
        return await access()

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(JournalError),
        wait=wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S),
        before_sleep=note_failure,
        reraise=True,
    )
    return await retrying(attempt)
