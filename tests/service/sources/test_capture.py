import asyncio
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from seacanary.audio import Arrival, AudioBlock
from seacanary.errors import SourceError, SourceLost
from seacanary.handoff import Handoff
from seacanary.sources.capture import Captured, Feed, captured_blocks

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


async def decoded(items: list[Captured], feed: Feed) -> list[AudioBlock]:
    """What comes of the items, up to the SourceLost put after them."""
    handoff = Handoff[Captured | SourceError](asyncio.get_running_loop(), 100)
    for item in items:
        handoff.put(item)
    handoff.put(SourceLost("unplugged"))
    blocks = list[AudioBlock]()

    async def take() -> None:
        async for block in captured_blocks(handoff, feed):
            blocks.append(block)

    with pytest.raises(SourceLost, match="unplugged"):
        await take()
    return blocks


def captured(samples: np.ndarray, first_frame: int, *, channels: int = 1, arrived_s: float = 0.0) -> Captured:
    frames = samples.size // channels
    return Captured(samples.tobytes(), first_frame, frames, Arrival(NOON.timestamp() + arrived_s, arrived_s))


async def test_each_channel_becomes_blocks_of_its_hydrophone() -> None:
    feed = Feed(("north", "south"), 1000, "s16le")
    item = captured(np.array([1, -1, 2, -2], "<i2") * 2**13, 40, channels=2)
    north, south = await decoded([item], feed)
    assert (north.hydrophone, south.hydrophone) == ("north", "south")
    np.testing.assert_array_equal(north.samples, np.float32([0.25, 0.5]))
    np.testing.assert_array_equal(south.samples, np.float32([-0.25, -0.5]))
    assert (north.first_sample, south.first_sample, north.sample_rate_hz) == (40, 40, 1000)
    assert not north.samples.flags.writeable


async def test_the_epoch_is_when_sample_0_was_heard_and_stays() -> None:
    feed = Feed(("deep",), 1000, "s16le")
    silence = np.zeros(500, "<i2")
    items = [captured(silence, 0, arrived_s=0.5), captured(silence, 500, arrived_s=1.07)]
    first, second = await decoded(items, feed)
    assert first.epoch == second.epoch == NOON
    assert second.arrival == items[1].arrival


async def test_the_epoch_is_right_even_if_the_first_blocks_were_shed() -> None:
    feed = Feed(("deep",), 1000, "s16le")
    (block,) = await decoded([captured(np.zeros(500, "<i2"), 7000, arrived_s=7.5)], feed)
    assert abs(block.epoch - NOON) < timedelta(microseconds=2)
    assert block.first_sample == 7000


async def test_float_samples_that_are_no_numbers_become_a_gap() -> None:
    feed = Feed(("deep",), 1000, "f32le")
    before, after = await decoded([captured(np.float32([0.5, np.nan, np.inf, 0.25]), 10)], feed)
    assert (before.first_sample, before.samples.tolist(), before.arrival) == (10, [0.5], None)
    assert (after.first_sample, after.samples.tolist()) == (13, [0.25])
    assert after.arrival is not None
