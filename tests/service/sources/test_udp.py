"""PCM in datagrams: what does not fit, and what our own queue sheds."""

import asyncio
import struct
from collections.abc import AsyncIterator

import numpy as np
import pytest

from seacanary.audio import Arrival, AudioBlock
from seacanary.errors import SourceLost
from seacanary.sources import udp
from seacanary.sources.datagrams import DatagramQueue
from seacanary.sources.network import RtpSection, UdpSection
from seacanary.sources.udp import RtpSource, UdpSource

NOW = Arrival(1e9, 1.0)
SECTION = UdpSection(hydrophones=("a",), sample_rate_hz=8000, port=1, block_s=0.005)
BLOCK = np.arange(SECTION.block_samples, dtype="<i2").tobytes()
STRAY = bytes(33)


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> DatagramQueue:
    """What the source listens to instead of a socket; it keeps 3 datagrams."""
    queue = DatagramQueue(lambda: NOW, kept=3)

    async def opened(*_: object, **__: object) -> tuple[asyncio.Transport, DatagramQueue]:
        return asyncio.Transport(), queue

    monkeypatch.setattr(udp, "open_datagrams", opened)
    return queue


def receive(queue: DatagramQueue, *datagrams: bytes) -> None:
    for datagram in datagrams:
        queue.datagram_received(datagram, None)


async def next_of(blocks: AsyncIterator[AudioBlock]) -> AudioBlock:
    async with asyncio.timeout(5):
        return await anext(blocks)


async def test_a_run_of_strays_loses_the_feed_which_may_be_opened_again(queue: DatagramQueue) -> None:
    blocks = UdpSource(SECTION).blocks()
    waiting = asyncio.ensure_future(next_of(blocks))
    for _ in range(100):
        receive(queue, STRAY)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    with pytest.raises(
        SourceLost,
        match=r"udp 127\.0\.0\.1:1: 100 datagrams in a row, the last of 33 bytes, are not whole frames of 2 bytes",
    ):
        await waiting


async def test_strays_between_good_datagrams_are_passed_over(queue: DatagramQueue) -> None:
    blocks = UdpSource(SECTION).blocks()
    for n in range(150):
        receive(queue, STRAY, BLOCK)
        assert (await next_of(blocks)).first_sample == n * SECTION.block_samples


async def test_what_was_shed_before_a_stray_is_a_gap_all_the_same(queue: DatagramQueue) -> None:
    blocks = UdpSource(SECTION).blocks()
    receive(queue, BLOCK)
    assert (await next_of(blocks)).first_sample == 0
    receive(queue, BLOCK, STRAY, BLOCK, BLOCK)  # the first of them is shed
    assert (await next_of(blocks)).first_sample == 2 * SECTION.block_samples


async def test_datagrams_that_a_busy_station_does_not_take_are_shed_and_counted(queue: DatagramQueue) -> None:
    source = UdpSource(SECTION)
    blocks = source.blocks()
    receive(queue, *[BLOCK] * 8)
    assert (await next_of(blocks)).first_sample == 5 * SECTION.block_samples
    assert source.shed_blocks == 5
    receive(queue, *[BLOCK] * 2)
    assert source.shed_blocks == 6


async def test_rtp_counts_what_it_sheds(queue: DatagramQueue) -> None:
    section = RtpSection(hydrophones=("a",), sample_rate_hz=8000, port=1, block_s=0.005, encoding="L16")
    source = RtpSource(section)
    blocks = source.blocks()
    for n in range(5):
        receive(queue, struct.pack(">BBHII", 0x80, 96, n, n * section.block_samples, 1) + BLOCK)
    assert (await next_of(blocks)).samples.size == section.block_samples
    assert source.shed_blocks == 2
