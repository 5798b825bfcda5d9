"""The image spool: envelopes on disk until Kafka has acknowledged them; bounded, in order, never silent."""

import sqlite3
import time
from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import IO, Self

from seacanary.cluster.envelope import Envelope
from seacanary.cluster.envelope_codec import encode
from seacanary.cluster.spool_rows import SpoolRows
from seacanary.cluster.spool_schema import SpoolError, locked, prepare, translated
from seacanary.cluster.spool_shedding import shed_down_to

FILE = "images.db"
# So many of each hydrophone are looked at for a parcel.
LOOK_AHEAD = 64
# A recording is held back from this share of the bound on, so that nothing of it is shed.
FULL_ENOUGH = 0.9


@dataclass(frozen=True, slots=True)
class Spooled:
    """An envelope on its way."""

    number: int
    hydrophone: str
    record: bytes


@dataclass(frozen=True, slots=True)
class Shed:
    """What the bound has cost a hydrophone since the spool was made.

    Attributes:
        images: that were never sent.
        samples: that only those images held, as the ledger counts them.
    """

    images: int
    samples: int


@dataclass(frozen=True, slots=True)
class SpoolState:
    """What waits.

    Attributes:
        envelopes: how many.
        size_bytes: of all their records.
        oldest_s: when the oldest was spooled, UTC seconds since 1970; None: nothing waits.
        shed: by hydrophone.
    """

    envelopes: int
    size_bytes: int
    oldest_s: float | None
    shed: Mapping[str, Shed]


class ImageSpool:
    """A queue of envelopes per hydrophone in one SQLite file. Blocks; for one thread at a time.

    What put() returned from survives a kill and a power cut. Envelopes of a hydrophone leave in
    the order they came. Beyond its bound the oldest image is shed: in its place goes a LostEnvelope,
    joined with what was shed before it. The newest image of each hydrophone is never shed, nor is
    one that was taken and may be with the broker already.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, *, bound_bytes: int, lock: IO[bytes]) -> None:
        self._connection, self._bound_bytes, self._lock = connection, bound_bytes, lock
        self._rows = SpoolRows(connection, path)
        (run,) = self._rows.one("SELECT name FROM run") or ("",)
        (given,) = self._rows.one("SELECT max(seq) FROM sqlite_sequence") or (None,)
        self.run = datetime.fromisoformat(run)
        self._next = (given or 0) + 1
        self._taken: set[int] = set()
        self._last_served = ""

    @classmethod
    def open(cls, folder: Path, *, bound_bytes: int, system_s: Callable[[], float] = time.time) -> Self:
        """Open the spool of a folder, or make it.

        Args:
            folder: made if absent.
            bound_bytes: size of all waiting records at most.
            system_s: names a new spool's run.

        Raises:
            SpoolError: in use, no spool, of another version, or the folder cannot be written.
        """
        path = folder / FILE
        lock = locked(path)
        try:
            with translated(path):
                connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
                prepare(connection, path, run=datetime.fromtimestamp(system_s(), UTC).isoformat())
                return cls(connection, path, bound_bytes=bound_bytes, lock=lock)
        except SpoolError:
            lock.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
        self._lock.close()

    @property
    def has_room(self) -> bool:
        """Whether more can come without anything being shed soon. Safe from any thread."""
        return self._rows.size_bytes < FULL_ENOUGH * self._bound_bytes

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits. Safe from any thread."""
        return not self._rows.count

    def put(self, items: Sequence[Envelope], *, done: Collection[str] = (), now_s: float) -> None:
        """Store envelopes durably, all or none, in this order; then shed what is too much.

        Args:
            items: their run and number are set here.
            done: files that need not be read again once these are stored.
            now_s: UTC seconds since 1970.

        Raises:
            SpoolError: the disk is full or broken; nothing was stored.
        """
        numbered = [replace(item, run=self.run, number=self._next + place) for place, item in enumerate(items)]
        records = [encode(item) for item in numbered]
        with self._rows.transaction():
            for item, record in zip(numbered, records, strict=True):
                self._rows.insert(item, record, spooled_s=now_s)
            for path in done:
                self._rows.change("INSERT OR IGNORE INTO done_files VALUES (?)", path)
            shed_down_to(self._rows, self._bound_bytes, taken=self._taken, now_s=now_s)
        self._next += len(items)

    def take(self, *, limit_bytes: int) -> list[Spooled]:
        """The next to send: one of each hydrophone in turn, each one's in order.

        They are taken until acknowledge() or give_back(); nothing else is, meanwhile.

        Args:
            limit_bytes: of all together; one envelope comes whatever its size.

        Raises:
            SpoolError: it cannot be read.
        """
        chosen: list[Spooled] = []
        size = 0
        for number, name, record_bytes in [] if self._taken else self._in_turn():
            if chosen and size + record_bytes > limit_bytes:
                break
            (record,) = self._rows.one("SELECT record FROM envelopes WHERE number = ?", number) or (b"",)
            chosen.append(Spooled(number, name, record))
            size += record_bytes
        self._taken = {item.number for item in chosen}
        self._last_served = chosen[-1].hydrophone if chosen else self._last_served
        return chosen

    def acknowledge(self, sent: Collection[Spooled]) -> None:
        """Kafka has these: forget them. What else was taken is given back.

        Raises:
            SpoolError: the disk is full or broken; they are still there, and taken.
        """
        with self._rows.transaction():
            for item in sent:
                self._rows.change(
                    "UPDATE hydrophones SET (kept_epoch, kept_end_sample) = (image.epoch, image.end_sample) FROM "
                    "(SELECT epoch, end_sample FROM envelopes WHERE number = ? AND kind = 'image') AS image "
                    "WHERE name = ?",
                    item.number, item.hydrophone,
                )  # fmt: skip
                self._rows.delete(item.number)
        self._taken.clear()

    def give_back(self) -> None:
        """What was taken may not have arrived: it will be taken again."""
        self._taken.clear()

    def state(self) -> SpoolState:
        """What waits, and what was shed.

        Raises:
            SpoolError: it cannot be read.
        """
        oldest = self._rows.one("SELECT spooled_s FROM envelopes ORDER BY number LIMIT 1")
        rows = self._rows.all("SELECT name, shed_images, shed_samples FROM hydrophones")
        shed = {str(name): Shed(images, samples) for name, images, samples in rows}
        return SpoolState(self._rows.count, self._rows.size_bytes, oldest[0] if oldest else None, shed)

    def hydrophones(self) -> list[str]:
        """All that ever had an envelope here."""
        return [str(row[0]) for row in self._rows.all("SELECT name FROM hydrophones ORDER BY name")]

    def done_files(self) -> frozenset[str]:
        """Files that need not be read again."""
        return frozenset(str(row[0]) for row in self._rows.all("SELECT path FROM done_files"))

    def _in_turn(self) -> list[tuple[int, str, int]]:
        """Number, hydrophone and size of what is next, hydrophones taking turns after the one served last."""
        names = self.hydrophones()
        first = bisect_right(names, self._last_served)
        queues = [self._queue(name) for name in (*names[first:], *names[:first])]
        return [place for turn in zip_longest(*queues) for place in turn if place is not None]

    def _queue(self, name: str) -> list[tuple[int, str, int]]:
        query = "SELECT number, hydrophone, bytes FROM envelopes WHERE hydrophone = ? ORDER BY number LIMIT ?"
        return [(number, name, size) for number, _, size in self._rows.all(query, name, LOOK_AHEAD)]
