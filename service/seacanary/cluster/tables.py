"""HydrophoneTable: a Faust Table that says when what was set is with the brokers."""

from typing import Any

from faust import App
from faust.tables.table import Table
from faust.types import FutureMessage

# Part of the changelog topic's name: {app id}-{table}-changelog.
HYDROPHONES = "hydrophones"


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
        super().__init__(
            app,
            name=name,
            partitions=partitions,
            key_type=bytes,
            value_type=bytes,
            **options,
        )

    def send_changelog(self, *args: Any, **kwargs: Any) -> FutureMessage:
        """Begin a write to the changelog."""
        write = super().send_changelog(*args, **kwargs)
        self._writes.append(write)
        return write

    def taken_writes(self) -> list[FutureMessage]:
        """The writes begun since this was last asked; each is done when the brokers have it."""
        writes, self._writes = self._writes, []
        return writes
