"""The Publisher protocol. One file per kind of destination."""

from collections.abc import Sequence
from typing import Protocol

from seacanary.events import JournalEntry


class Publisher(Protocol):
    """A destination for events, reading the journal at its own pace."""

    name: str

    async def publish(self, entries: Sequence[JournalEntry]) -> None:
        """Deliver in order; return only when the far side has acknowledged.

        Raises:
            DeliveryRetryable: the far side is unwell; the caller backs off.
            DeliveryRejected: never acceptable; the caller dead-letters it.
        """

    async def aclose(self) -> None:
        """Release connections; safe to call twice."""
