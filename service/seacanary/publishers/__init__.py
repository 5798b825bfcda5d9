"""The Publisher protocol, and what more a destination may be able to do. One file per kind."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from seacanary.events import Event, JournalEntry


class Publisher(Protocol):
    """A destination for events, reading the journal at its own pace."""

    name: str

    async def publish(self, entries: Sequence[JournalEntry]) -> None:
        """Deliver in order; return only when the far side has acknowledged.

        Raises:
            DeliveryRetryable: the far side is unwell; the caller backs off.
            DeliveryRejected: never acceptable; the caller dead-letters it.
            DeliveryLost: entries before these are gone; the caller goes back.
        """

    async def aclose(self) -> None:
        """Release connections; safe to call twice."""


@runtime_checkable
class Selective(Protocol):
    """A destination for some events only; the others are passed over without asking it."""

    def carries(self, event: Event) -> bool:
        """Whether an event is to be delivered there."""


@runtime_checkable
class Rechecked(Protocol):
    """A destination that can lose what it acknowledged, and be asked."""

    async def recheck(self, delivered: JournalEntry) -> None:
        """Return if the far side still holds the last entry delivered to it, or later ones.

        Raises:
            DeliveryLost: it does not; the caller delivers again from where it says.
            DeliveryRetryable: it cannot be asked now.
        """
