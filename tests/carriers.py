"""A stand-in for the way to Kafka."""

from collections.abc import Callable, Sequence

from seacanary.cluster.envelope import Envelope
from seacanary.cluster.envelope_codec import decode
from seacanary.cluster.image_spool import Spooled
from seacanary.cluster.shipping import BrokersAway, Receipt


class ListCarrier:
    """Remembers what came; `fail` may raise before or after it has."""

    def __init__(
        self,
        *,
        before: Callable[[], None] = lambda: None,
        after: Callable[[], None] = lambda: None,
        ahead_s: float | None = None,
    ) -> None:
        self._before, self._after, self._ahead_s = before, after, ahead_s
        self.arrived: list[Spooled] = []
        self.closed = False

    async def send(self, parcel: Sequence[Spooled]) -> Receipt:
        self._before()
        self.arrived.extend(parcel)
        self._after()
        return Receipt(parcel, self._ahead_s)

    async def aclose(self) -> None:
        self.closed = True

    @property
    def envelopes(self) -> list[Envelope]:
        """All that came, repeats included, in order."""
        return [decode(item.record) for item in self.arrived]

    @property
    def once(self) -> list[Envelope]:
        """What came without repeats, as a worker keeps it: numbers of a hydrophone only rise."""
        found: list[Envelope] = []
        reached: dict[str, int] = {}
        for item in self.envelopes:
            if item.number > reached.get(item.hydrophone, 0):
                found.append(item)
                reached[item.hydrophone] = item.number
        return found


def away() -> None:
    """Brokers that cannot be reached."""
    raise BrokersAway("nobody answers")


def first_away(times: int) -> Callable[[], None]:
    """Brokers that cannot be reached the first times."""
    left = iter(range(times))

    def fail() -> None:
        if next(left, None) is not None:
            away()

    return fail
