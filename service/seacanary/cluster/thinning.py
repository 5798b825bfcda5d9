"""Thinning: which of the images that a worker has read it judges, by how long each partition's have waited."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from seacanary.cluster.envelope import EndEnvelope, ImageEnvelope, LostEnvelope
from seacanary.cluster.inferring import unjudged
from seacanary.cluster.overload import Overload, Rung, spared
from seacanary.cluster.section import WorkerSection
from seacanary.contract import ModelContract
from seacanary.metrics import Metrics

Readable: TypeAlias = ImageEnvelope | LostEnvelope | EndEnvelope


@dataclass(frozen=True, slots=True)
class Waiting:
    """A record that waits to be concluded.

    Attributes:
        item: what it holds.
        partition: where it stands.
        appended_s: when the brokers took it, UTC seconds since 1970.
    """

    item: Readable
    partition: int
    appended_s: float


class Thinning:
    """Keeps the rungs of this worker's partitions.

    Waiting is measured by the brokers' clock alone, as they tell it with every write: neither a worker's clock
    nor a station's counts, and an hour of spool that an edge has just sent has not waited an hour.
    """

    def __init__(self, section: WorkerSection, contract: ModelContract, metrics: Metrics) -> None:
        self._section, self._contract, self._metrics = section, contract, metrics
        self._partitions: dict[int, Overload] = {}
        self._brokers_ahead_s: float | None = None

    def brokers_told(self, broker_s: float, *, now_s: float) -> None:
        """Take note of the brokers' time.

        Args:
            broker_s: UTC seconds since 1970, as of a write that has just been acknowledged.
            now_s: a clock of this machine that never goes back.
        """
        self._brokers_ahead_s = broker_s - now_s

    def batch_images(self, now_s: float) -> int:
        """How many images make a batch now, at most."""
        section = self._section
        return section.batch_images_most if self.rung(now_s) >= Rung.LARGER_BATCHES else section.batch_images

    def rung(self, now_s: float) -> Rung:
        """The highest of all partitions that something comes of."""
        rungs = (known.rung for known in self._partitions.values() if not known.is_forgotten(now_s))
        return max(rungs, default=Rung.KEEPING_UP)

    def thinned(self, batch: Sequence[Waiting], *, now_s: float) -> list[Readable]:
        """The batch, with a stretch that says so in the place of each image that is not to be judged."""
        rungs = {partition: self._seen(partition, batch, now_s) for partition in {one.partition for one in batch}}
        return [self._kept(one, rungs[one.partition]) for one in batch]

    def _seen(self, partition: int, batch: Sequence[Waiting], now_s: float) -> Rung:
        oldest_s = min(one.appended_s for one in batch if one.partition == partition)
        waiting_s = 0.0 if self._brokers_ahead_s is None else now_s + self._brokers_ahead_s - oldest_s
        return self._partitions.setdefault(partition, Overload(self._section)).seen(waiting_s, now_s=now_s)

    def _kept(self, one: Waiting, rung: Rung) -> Readable:
        if not isinstance(one.item, ImageEnvelope):
            return one.item
        appended = datetime.fromtimestamp(one.appended_s, UTC)
        fate = spared(one.item, rung, appended=appended, contract=self._contract)
        if fate is None:
            return one.item
        self._metrics.worker_degraded_images.labels(fate).inc()
        return unjudged(one.item, fate)
