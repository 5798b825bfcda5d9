"""HydrophoneTable: a Faust Table that says when what was set is with the brokers."""

from collections.abc import Iterable
from typing import Any

from faust import App
from faust.tables.table import Table
from faust.types import TP, EventT, FutureMessage
from faust.types.tuples import Message

from seacanary.cluster.state import TrackState

# Part of the changelog topic's name: {app id}-{table}-changelog.
HYDROPHONES = "hydrophones"
# Old states leave early: whoever takes over reads all that is there. Kafka cleans whole segments, but never the newest.
CHANGELOG = {"segment.bytes": str(8 * 1024 * 1024), "min.cleanable.dirty.ratio": "0.2"}


class HydrophoneTable(Table[bytes, bytes]):
    """TrackStates by key of the hydrophone's records, partitioned as those are.

    Faust forgets the write that setting a key begins, and may commit the record before that write has
    arrived. Whoever sets a key here takes the write and waits for it.
    """

    def __init__(self, app: App, *, name: str, partitions: int, **options: Any) -> None:  # Faust's own
        """Prepare; app.tables.add() makes it known.

        Args:
            app: whose Table it is.
            name: part of its changelog's name.
            partitions: as many as the topics have whose records set keys.
            options: Faust's.
        """
        self._writes: list[FutureMessage] = []
        self._read_up_to: dict[TP, int] = {}
        super().__init__(
            app,
            name=name,
            partitions=partitions,
            key_type=bytes,
            value_type=bytes,
            extra_topic_configs=CHANGELOG,
            **options,
        )

    def send_changelog(self, *args: Any, **kwargs: Any) -> FutureMessage:
        """Begin a write to the changelog."""
        write = super().send_changelog(*args, **kwargs)
        self._writes.append(write)
        return write

    def apply_changelog_batch(self, batch: Iterable[EventT[Any]]) -> None:
        """Restore from the changelog, where the newest state counts, which need not be the last.

        A worker that others took for dead writes its last states behind theirs when it comes back.
        """
        newest: dict[bytes, TrackState] = {}
        events = list(batch)
        for event in events:
            self._read_up_to[event.message.tp] = event.message.offset
        super().apply_changelog_batch([event for event in events if self._is_newest(event.message, newest)])

    def _on_changelog_sent(self, fut: FutureMessage) -> None:
        """Note on disk how far it goes with the changelog, unless others have written there what we have not read.

        Faust would note it always: a worker that comes back after others took its place, and writes what it still
        had to, would believe that it knows what they have written meanwhile.
        """
        sent = fut.result()
        tp = TP(*sent.topic_partition)
        known = self._read_up_to.get(tp, self.persisted_offset(tp))
        if sent.offset == (-1 if known is None else known) + 1:
            self._read_up_to[tp] = sent.offset
            super()._on_changelog_sent(fut)

    def _is_newest(self, message: Message, newest: dict[bytes, TrackState]) -> bool:
        key, state = message.key or b"", TrackState.decoded(message.value or b"")
        stored = None if key in newest else self.data.get(key)
        known = newest.get(key) if stored is None else TrackState.decoded(stored)
        if known is not None and state.is_before(known):
            return False
        newest[key] = state
        return True

    def taken_writes(self) -> list[FutureMessage]:
        """The writes begun since this was last asked; each is done when the brokers have it."""
        writes, self._writes = self._writes, []
        return writes
