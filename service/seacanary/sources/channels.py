"""From the channels of one feed to hydrophones: their names, and their blocks."""

from collections.abc import Iterator
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from seacanary.audio import Arrival, AudioBlock, finite_runs, read_only
from seacanary.errors import SourceUnusable


def hydrophone_names(name: str, channels: int, given: tuple[str, ...] = ()) -> tuple[str, ...]:
    """One name per channel: those given, else the feed's name, numbered if it has several channels.

    Raises:
        SourceUnusable: names were given, but not one per channel.
    """
    if given and len(given) != channels:
        raise SourceUnusable(
            f"{name}: hydrophones names {len(given)} ({', '.join(given)}), but the feed has {channels} channels; "
            "give one name per channel, or none"
        )
    if given:
        return given
    return (name,) if channels == 1 else tuple(f"{name}-ch{i}" for i in range(1, channels + 1))


def channel_blocks(
    hydrophones: tuple[str, ...],
    samples: NDArray[np.float32],
    *,
    first_sample: int,
    sample_rate_hz: int,
    epoch: datetime,
    arrival: Arrival | None = None,
    source_file: str | None = None,
    time_known: bool = True,
) -> Iterator[AudioBlock]:
    """Blocks of one stretch, channel by channel; unusable samples are left out, so positions jump over them.

    Args:
        hydrophones: one name per channel.
        samples: float32 [channels, n], full scale ±1; becomes read-only.
        first_sample: stream index of samples[:, 0].
        sample_rate_hz: nominal rate.
        epoch: UTC of stream index 0.
        arrival: when the last sample arrived, for live audio.
        source_file: where the samples were read from, for recorded audio.
        time_known: whether `epoch` is a real time.
    """
    for hydrophone, row in zip(hydrophones, samples, strict=True):
        for run in finite_runs(row):
            yield AudioBlock(
                hydrophone=hydrophone,
                samples=read_only(row[run]),
                first_sample=first_sample + run.start,
                sample_rate_hz=sample_rate_hz,
                epoch=epoch,
                # the clock fit wants the arrival of this very sample, not of a later one
                arrival=arrival if run.stop == row.size else None,
                source_file=source_file,
                time_known=time_known,
            )
