"""Shipping: from the spool to the brokers, acknowledged before it is forgotten."""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from seacanary.cluster.image_spool import Spooled
from seacanary.cluster.spooling import Spooling
from seacanary.errors import SeaCanaryError
from seacanary.publishers.circuit import Circuit, DeliveryPolicy

log = logging.getLogger(__name__)

# An edge asks its brokers at least twice a minute, however long they have been away.
PATIENCE = DeliveryPolicy(first_wait_s=0.5, longest_wait_s=30.0)


class BrokersAway(SeaCanaryError):
    """Nothing could be handed to the brokers now; trying again may help."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the brokers have acknowledged.

    Attributes:
        sent: of the parcel, each hydrophone's from its first on.
        broker_ahead_s: how far the brokers' clock is ahead of ours, at least, seconds; negative: behind;
            0 if the difference cannot be told from the time it took; None: brokers do not say.
    """

    sent: Collection[Spooled]
    broker_ahead_s: float | None = None


class Carrier(Protocol):
    """The way to the brokers."""

    async def send(self, parcel: Sequence[Spooled]) -> Receipt:
        """Send in order per hydrophone; return when acknowledged, or known not to be.

        Raises:
            BrokersAway: nothing of it is known to have arrived; some may have.
        """

    async def aclose(self) -> None:
        """Let go of the brokers."""


class Shipping:
    """Sends what is spooled, one parcel at a time, for as long as it takes.

    The next parcel leaves when the last is acknowledged: what failed can then be sent again without
    having been overtaken. Sent twice it does no harm: an envelope keeps its number.
    """

    def __init__(
        self,
        spooling: Spooling,
        carrier: Carrier,
        *,
        on_receipt: Callable[[Receipt], None] = lambda _: None,
        on_reach: Callable[[bool], None] = lambda _: None,
        policy: DeliveryPolicy = PATIENCE,
    ) -> None:
        """Prepare to ship.

        Args:
            spooling: what waits.
            carrier: to the brokers.
            on_receipt: told of each acknowledged parcel.
            on_reach: told when the brokers are reached, or no longer.
            policy: how patiently they are asked.
        """
        self._spooling, self._carrier = spooling, carrier
        self._on_receipt, self._on_reach = on_receipt, on_reach
        self._circuit = Circuit(policy)
        self._reached: bool | None = None
        self.parcels = 0

    async def run(self) -> None:
        """Ship until cancelled."""
        while True:
            parcel = await self._spooling.take()
            self._circuit.asking()
            try:
                receipt = await self._carrier.send(parcel)
            except BrokersAway as exc:
                await self._spooling.give_back()
                await self._wait(exc)
                continue
            await self._spooling.acknowledge(receipt.sent)
            self._note_success(receipt)

    def _note_success(self, receipt: Receipt) -> None:
        self._circuit.answered()
        self.parcels += 1
        if not self._reached:
            log.info("brokers reached")
            self._reached = True
            self._on_reach(True)
        self._on_receipt(receipt)

    async def _wait(self, why: BrokersAway) -> None:
        self._circuit.failed()
        if self._reached is not False:
            log.warning("brokers away, images wait on disk: %s", why)
            self._reached = False
            self._on_reach(False)
        await asyncio.sleep(self._circuit.wait_s())
