"""Gathers a live feed's samples into blocks of one size, places and dates them."""

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from seacanary.audio import Arrival, AudioBlock
from seacanary.sources.channels import channel_blocks


class LiveBlocks:
    """Cuts what arrives, in pieces of any size, into blocks of block_samples.

    The cuts depend on the samples alone, never on how they arrived; only a
    gap, a new epoch or a flush gives a shorter block. The epoch is dated by
    the arrival of its first block, minus that block's length.
    """

    def __init__(self, hydrophones: tuple[str, ...], *, sample_rate_hz: int, block_samples: int) -> None:
        self._hydrophones, self._rate_hz, self._block_samples = hydrophones, sample_rate_hz, block_samples
        self._held = np.empty((len(hydrophones), 0), np.float32)
        self._held_arrival: Arrival | None = None
        self._first = 0
        self._epoch: datetime | None = None

    def push(self, samples: NDArray[np.float32], arrival: Arrival, *, lost: int = 0) -> Iterator[AudioBlock]:
        """Take samples in.

        Args:
            samples: float32 [channels, n], full scale ±1.
            arrival: when the last of them arrived.
            lost: samples per channel that were lost just before them.

        Yields:
            The blocks that are now complete.
        """
        if lost:
            yield from self.flush()
            self._first += lost
        self._held = np.concatenate((self._held, samples), axis=1)
        self._held_arrival = arrival
        while self._held.shape[1] >= self._block_samples:
            yield from self._emit(self._block_samples, arrival)

    def flush(self) -> Iterator[AudioBlock]:
        """Give out what is held, as a shorter block."""
        if self._held.shape[1] and self._held_arrival is not None:
            yield from self._emit(self._held.shape[1], self._held_arrival)

    def begin_epoch(self) -> Iterator[AudioBlock]:
        """Flush, and count anew: the next samples' distance to the last ones is not known."""
        yield from self.flush()
        self._first, self._epoch = 0, None

    def _emit(self, count: int, arrival: Arrival) -> Iterator[AudioBlock]:
        if self._epoch is None:
            begun_s = arrival.system_s - (self._first + count) / self._rate_hz
            self._epoch = datetime.fromtimestamp(begun_s, UTC)
        block, self._held = self._held[:, :count].copy(), self._held[:, count:]
        yield from channel_blocks(
            self._hydrophones,
            block,
            first_sample=self._first,
            sample_rate_hz=self._rate_hz,
            epoch=self._epoch,
            arrival=arrival,
        )
        self._first += count
