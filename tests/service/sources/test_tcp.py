"""TCP bytes become the same blocks however the network cuts them."""

import asyncio
import itertools
import os
import threading
import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seacanary.audio import PCM_ENCODINGS, Arrival, AudioBlock, PcmEncoding, decode_pcm
from seacanary.sources.live import LiveBlocks
from seacanary.sources.network import TcpSection
from seacanary.sources.tcp import TcpSource, WholeFrames

NOW = Arrival(1e9, 1.0)


def blocks_of(chunks: list[bytes], section: TcpSection) -> list[tuple[str, int, bytes]]:
    frames = WholeFrames(section.frame_bytes)
    gathered = LiveBlocks(section.hydrophones, sample_rate_hz=section.sample_rate_hz, block_samples=7)
    blocks: list[AudioBlock] = []
    for chunk in chunks:
        samples = decode_pcm(frames.take(chunk), section.encoding, len(section.hydrophones))
        blocks.extend(gathered.push(samples, NOW))
    blocks.extend(gathered.flush())
    return [(block.hydrophone, block.first_sample, block.samples.tobytes()) for block in blocks]


@given(
    raw=st.binary(max_size=900),
    cuts=st.lists(st.integers(0, 900), max_size=30),
    encoding=st.sampled_from(PCM_ENCODINGS),
    channels=st.integers(1, 3),
)
def test_any_chunking_gives_the_same_blocks(raw: bytes, cuts: list[int], encoding: PcmEncoding, channels: int) -> None:
    section = TcpSection(hydrophones=("a", "b", "c")[:channels], sample_rate_hz=48_000, port=1, encoding=encoding)
    edges = [0, *sorted(cuts), len(raw)]
    chunks = [raw[start:stop] for start, stop in itertools.pairwise(edges)]
    assert blocks_of(chunks, section) == blocks_of([raw], section)


@given(st.lists(st.binary(max_size=20), max_size=20), st.integers(1, 9))
def test_no_byte_is_lost_or_doubled(chunks: list[bytes], frame_bytes: int) -> None:
    frames = WholeFrames(frame_bytes)
    taken = b"".join(bytes(frames.take(chunk)) for chunk in chunks)
    raw = b"".join(chunks)
    assert taken == raw[: len(raw) - len(raw) % frame_bytes]


def test_a_loud_float_stream_keeps_its_values() -> None:
    section = TcpSection(hydrophones=("a",), sample_rate_hz=48_000, port=1, encoding="f32le")
    samples = np.linspace(-2, 2, 7, dtype=np.float32)
    assert blocks_of([samples.tobytes()], section) == [("a", 0, samples.tobytes())]


async def test_what_came_while_the_station_was_held_up_is_taken() -> None:
    sent = np.arange(4800, dtype="<i2")
    took_first, over = asyncio.Event(), asyncio.Event()

    async def send(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent[:2400].tobytes())
        await took_first.wait()
        loop.call_later(0.2, time.sleep, 2.0)  # the loop stands for longer than a sender may be silent; it is not
        later = threading.Timer(1.0, os.write, [writer.get_extra_info("socket").fileno(), sent[2400:].tobytes()])
        later.start()
        await over.wait()
        writer.close()

    loop = asyncio.get_running_loop()
    async with await asyncio.start_server(send, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        section = TcpSection(hydrophones=("a",), sample_rate_hz=48_000, port=port, idle_s=1.0)
        source = TcpSource(section)
        blocks = source.blocks()
        heard = [await anext(blocks)]
        took_first.set()
        heard.append(await anext(blocks))
        over.set()
        await source.aclose()
    assert [block.first_sample for block in heard] == [0, 2400]
