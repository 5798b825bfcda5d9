"""OrderedConsumer: after a rebalance every partition goes on exactly where it was committed.

Faust 0.15.3 does not see to that: it lets records flow while it seeks to the committed offsets. What comes
then is thrown away, or worked on before what lies between; the hole is taken for one in the topic, and committed.
A partition of which nothing is committed yet is not sought at all. (Consumer.wait_for_stopped_flow should help,
but waits for an event that is never cleared.) All of it was seen on a real broker, with workers killed in the middle.
"""

import logging
from collections.abc import Callable, Mapping
from inspect import iscoroutine
from typing import Any

from aiokafka.errors import IllegalStateError  # type: ignore[import-untyped]  # it ships no types
from faust import App
from faust.transport.drivers.aiokafka import Consumer, Transport
from faust.types import TP
from faust.types.tuples import Message
from mode.services import WaitResults
from yarl import URL

from seacanary.cluster.eager import Finished, begin
from seacanary.errors import SeaCanaryError

log = logging.getLogger(__name__)

OnExpired = Callable[[str, int], None]  # topic, records


class RecordsSkipped(SeaCanaryError):
    """Faust has handed over a record before others of its partition."""


class OrderedConsumer(Consumer):
    """Hands over no record between a rebalance and the end of the seek that follows it.

    Changelogs are read meanwhile, to restore Tables.

    Attributes:
        begins_at: where each partition went on after the latest seek.
    """

    def __init__(self, transport: Any, *args: Any, **kwargs: Any) -> None:  # Faust's own; an OrderedTransport
        self.begins_at: Mapping[TP, int] = {}
        self._on_expired: OnExpired = transport.on_expired
        self._told_until: dict[TP, int] = {}
        self._seeks = 0
        self._sought_generation: int | None = None
        self._open_generation: int | None = None
        self._moved_on = False  # beyond records that were not handed over
        super().__init__(transport, *args, **kwargs)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek all partitions to their committed offsets; those without one, to their beginning."""
        generation, self._moved_on = self.app.consumer_generation_id, False
        committed = await super().seek_to_committed()
        ours = {TP(*tp): offset or 0 for tp, offset in committed.items() if not self._is_changelog_tp(TP(*tp))}
        earliest = await self.earliest_offsets(*ours) if ours else {}
        for tp, offset in ours.items():
            if 0 < offset < earliest[tp]:
                self._tell_of_expired(tp, offset, earliest[tp])
            if offset <= earliest[tp]:
                await self.seek(tp, earliest[tp])
        self.begins_at = {tp: max(offset, earliest[tp]) for tp, offset in ours.items()}
        self._seeks += 1
        self._sought_generation = generation
        return committed

    def _tell_of_expired(self, tp: TP, first: int, end: int) -> None:
        """Log and count records that were deleted unread; once, however often it is sought before a commit."""
        first = max(first, self._told_until.get(tp, 0))
        if first < end:
            log.error("%s[%d]: records %d to %d have expired unread", *tp, first, end - 1)
            self._on_expired(tp.topic, end - first)
            self._told_until[tp] = end

    async def wait_empty(self) -> None:
        """Commit what is acknowledged, and wait for nothing: what is worked on now will not be acknowledged any more.

        Faust would wait for it before it lets a rebalance go on, for ever.
        """
        await self.commit()

    def resume_flow(self) -> None:
        """Let records flow: changelogs' at first, and after the seek all."""
        super().resume_flow()
        self._open_generation = self._sought_generation

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        if self._moved_on and self._is_open:
            try:
                await self.perform_seek()
            except IllegalStateError:  # a partition has just been given away; the seek after that rebalance counts
                self._moved_on = True
                return {}
        seeks = self._seeks
        records = await super()._getmany(active_partitions, timeout)
        if self._is_open and seeks == self._seeks and not self._moved_on:
            return records
        changelogs = {tp: found for tp, found in records.items() if self._is_changelog_tp(TP(*tp))}
        self._moved_on = self._moved_on or len(changelogs) < len(records)
        return changelogs

    async def wait_first(self, *waited: Any, timeout: Any = None) -> Any:
        """What comes first, as in Service.wait_first, which makes four tasks of it.

        Faust asks this for every record: its delivery to an agent, or what cuts that short. A delivery to an agent
        that has room is over at once.
        """
        is_delivery = timeout is None and len(waited) == 2 and all(map(iscoroutine, waited))
        if not is_delivery or self.should_stop or self.suspend_flow.is_set():
            return await super().wait_first(*waited, timeout=timeout)
        delivery, cut_short = waited
        begun = begin(delivery)
        if not isinstance(begun, Finished):
            return await super().wait_first(begun, cut_short)
        cut_short.close()  # never begun
        return WaitResults([delivery], [begun.value], False)

    @property
    def _is_open(self) -> bool:
        return self._open_generation == self.app.consumer_generation_id


class OrderedTransport(Transport):
    """Kafka by aiokafka, in order."""

    Consumer = OrderedConsumer
    on_expired: OnExpired

    @classmethod
    def of(cls, app: App, *, on_expired: OnExpired) -> "OrderedTransport":
        """For an app's own brokers.

        Args:
            app: whose.
            on_expired: told of records that were deleted before anybody read them.
        """
        brokers: list[URL] = app.conf.broker_consumer
        transport = cls(brokers, app)
        transport.on_expired = on_expired
        return transport


class Order:
    """Sees to it that no record is taken before others of its partition.

    Ending the process loses nothing; going on would.
    """

    def __init__(self, begins_at: Callable[[], Mapping[TP, int]]) -> None:
        """Begin.

        Args:
            begins_at: where partitions went on after the latest rebalance.
        """
        self._begins_at = begins_at
        self._next: dict[TP, tuple[int | None, int]] = {}

    def check(self, message: Message) -> None:
        """Take note of a record that is about to be worked on.

        Raises:
            RecordsSkipped: others of its partition should have come before.
        """
        generation, offset = self._next.get(message.tp, (-1, -1))
        expected = offset if generation == message.generation_id else self._begins_at().get(message.tp, message.offset)
        if message.offset > expected:
            raise RecordsSkipped(f"{message.topic}[{message.partition}]: expected {expected}, got {message.offset}")
        self._next[message.tp] = message.generation_id, message.offset + 1

    def taken(self) -> dict[TP, int]:
        """The offset that each partition's agent expects next."""
        return {tp: offset for tp, (_, offset) in self._next.items()}
