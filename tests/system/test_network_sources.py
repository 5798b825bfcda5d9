"""Network sources over real sockets of the loopback, with FFmpeg as a real sender."""

import asyncio
import contextlib
import itertools
import shutil
import socket
import struct
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from seacanary.audio import AudioBlock
from seacanary.errors import SourceLost
from seacanary.sources import Source
from seacanary.sources.capture import read_clocks
from seacanary.sources.datagrams import DatagramQueue
from seacanary.sources.ffmpeg import UrlSource
from seacanary.sources.network import RtpSection, TcpSection, UdpSection, UrlSection
from seacanary.sources.supervised import SourceChange, SupervisedSource, SupervisionPolicy
from seacanary.sources.tcp import TcpSource
from seacanary.sources.udp import RtpSource, UdpSource

pytestmark = pytest.mark.system

RATE = 48_000
FFMPEG = shutil.which("ffmpeg")
needs_ffmpeg = pytest.mark.skipif(FFMPEG is None, reason="the ffmpeg program is not installed")


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def noise(frames: int, channels: int = 1, seed: int = 3) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-(2**15), 2**15, (frames, channels)).astype("<i2")


async def collect(source: Source, *, samples: int | None = None) -> tuple[list[AudioBlock], str]:
    """Blocks until so many samples have come or the source is lost, and why it was."""
    blocks: list[AudioBlock] = []
    try:
        async with asyncio.timeout(30):
            async for block in source.blocks():
                blocks.append(block)
                if samples is not None and block.end_sample >= samples:
                    break
    except SourceLost as exc:
        return blocks, str(exc)
    finally:
        await source.aclose()
        await source.aclose()
    return blocks, ""


def heard(blocks: list[AudioBlock], hydrophone: str = "a") -> NDArray[np.int16]:
    """The samples of one hydrophone, back in 16 bit."""
    pieces = [np.empty(0, np.float32), *(b.samples for b in blocks if b.hydrophone == hydrophone)]
    return (np.concatenate(pieces) * 2**15).astype(np.int16)


async def call(port: int) -> asyncio.StreamWriter:
    """Connect, as soon as somebody listens."""
    for _ in range(200):
        with contextlib.suppress(ConnectionRefusedError):
            return (await asyncio.open_connection("127.0.0.1", port))[1]
        await asyncio.sleep(0.02)
    raise AssertionError(f"nobody listens on port {port}")


async def send_in_pieces(writer: asyncio.StreamWriter, raw: bytes, seed: int = 0) -> None:
    """Send with cuts at odd places, then hang up."""
    cuts = np.sort(np.random.default_rng(seed).integers(0, len(raw), 25)).tolist()
    for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        writer.write(raw[start:stop])
        await writer.drain()
        await asyncio.sleep(0.002)
    writer.close()
    await writer.wait_closed()


async def test_tcp_listens_and_hears_every_sample_until_the_sender_hangs_up() -> None:
    port, sent = free_port(), noise(RATE // 2, 2)
    source = TcpSource(TcpSection(hydrophones=("a", "b"), sample_rate_hz=RATE, port=port, mode="listen"))
    receiving = asyncio.ensure_future(collect(source))
    await send_in_pieces(await call(port), sent.tobytes() + b"\1")  # and a torn frame
    blocks, reason = await receiving
    assert "closed the connection" in reason
    for column, name in enumerate(("a", "b")):
        np.testing.assert_array_equal(heard(blocks, name), sent[:, column])
    assert all(block.arrival is not None for block in blocks)
    assert {block.samples.size for block in blocks} == {2400}


async def test_tcp_calls_a_sender_that_listens() -> None:
    sent = noise(RATE // 4)

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await send_in_pieces(writer, sent.tobytes())

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        blocks, reason = await collect(TcpSource(TcpSection(hydrophones=("a",), sample_rate_hz=RATE, port=port)))
    np.testing.assert_array_equal(heard(blocks), sent[:, 0])
    assert "closed the connection" in reason


async def test_tcp_without_a_sender_is_lost() -> None:
    section = TcpSection(hydrophones=("a",), sample_rate_hz=RATE, port=free_port())
    assert "Connect call failed" in (await collect(TcpSource(section)))[1]


async def test_a_silent_tcp_caller_is_given_up() -> None:
    port = free_port()
    section = TcpSection(hydrophones=("a",), sample_rate_hz=RATE, port=port, mode="listen", idle_s=0.2)
    receiving = asyncio.ensure_future(collect(TcpSource(section)))
    writer = await call(port)
    assert "silent for 0.2 s" in (await receiving)[1]
    writer.transport.abort()


async def test_a_supervised_tcp_feed_comes_back_in_a_new_epoch() -> None:
    port, changes = free_port(), list[SourceChange]()
    section = TcpSection(hydrophones=("a",), sample_rate_hz=RATE, port=port, mode="listen")
    policy = SupervisionPolicy(first_wait_s=0.05).patient()
    lost = asyncio.Semaphore(0)

    def note(change: SourceChange) -> None:
        changes.append(change)
        if change.state == "lost":
            lost.release()

    source = SupervisedSource(lambda: TcpSource(section), policy, on_change=note)
    blocks: list[AudioBlock] = []

    async def receive() -> None:
        async for block in source.blocks():
            blocks.append(block)

    async with asyncio.timeout(20):
        receiving = asyncio.ensure_future(receive())
        for seed in (1, 2, 3):
            await send_in_pieces(await call(port), noise(4800, seed=seed).tobytes())
            await lost.acquire()
        receiving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await receiving
    assert [change.state for change in changes[:7]] == ["opening", "running", "lost"] * 2 + ["opening"]
    epochs = sorted({block.epoch for block in blocks})
    assert len(epochs) == 3
    for seed, epoch in enumerate(epochs, start=1):
        np.testing.assert_array_equal(heard([b for b in blocks if b.epoch == epoch]), noise(4800, seed=seed)[:, 0])


@contextlib.asynccontextmanager
async def udp_sender(port: int) -> AsyncIterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", port))
        await asyncio.sleep(0.2)  # the receiver binds
        yield sender


async def test_udp_hears_every_sample() -> None:
    port, sent = free_port(socket.SOCK_DGRAM), noise(9600, 2)
    source = UdpSource(UdpSection(hydrophones=("a", "b"), sample_rate_hz=RATE, port=port))
    receiving = asyncio.ensure_future(collect(source, samples=9600))
    async with udp_sender(port) as sender:
        for start in range(0, 9600, 240):
            sender.send(sent[start : start + 240].tobytes())
            await asyncio.sleep(0)
        blocks, _ = await receiving
    np.testing.assert_array_equal(heard(blocks, "a"), sent[: heard(blocks, "a").size, 0])
    assert heard(blocks, "a").size == 9600


async def test_a_paused_udp_sender_begins_a_new_epoch() -> None:
    port, sent = free_port(socket.SOCK_DGRAM), noise(480)
    section = UdpSection(hydrophones=("a",), sample_rate_hz=RATE, port=port, block_s=0.01, pause_s=0.2)
    source = UdpSource(section)
    blocks = source.blocks()
    first = asyncio.ensure_future(anext(blocks))
    async with udp_sender(port) as sender, asyncio.timeout(10):
        sender.send(sent.tobytes())
        before = await first
        await asyncio.sleep(0.4)
        sender.send(sent.tobytes())
        after = await anext(blocks)
    await source.aclose()
    assert (before.first_sample, after.first_sample) == (0, 0)
    assert after.epoch > before.epoch


async def test_udp_of_another_format_is_lost() -> None:
    port = free_port(socket.SOCK_DGRAM)
    source = UdpSource(UdpSection(hydrophones=("a", "b"), sample_rate_hz=RATE, port=port))
    receiving = asyncio.ensure_future(collect(source))
    async with udp_sender(port) as sender:
        for _ in range(100):
            sender.send(bytes(1001))
        assert "the last of 1001 bytes, are not whole frames of 4 bytes" in (await receiving)[1]


async def test_a_full_datagram_queue_sheds_the_oldest_and_counts_its_bytes() -> None:
    queue = DatagramQueue(read_clocks, kept=3)
    for size in (1, 2, 3, 4, 5):
        queue.datagram_received(bytes(size), None)
    got = [await queue.get() for _ in range(3)]
    assert [(len(datagram.raw), datagram.shed_bytes) for datagram in got] == [(3, 3), (4, 0), (5, 0)]


async def test_rtp_shows_what_was_lost_on_the_way_as_exact_gaps() -> None:
    port, sent = free_port(socket.SOCK_DGRAM), noise(9600).astype(">i2")
    section = RtpSection(hydrophones=("a",), sample_rate_hz=RATE, port=port, encoding="L16")
    receiving = asyncio.ensure_future(collect(RtpSource(section), samples=9600))
    order = [*range(10), 12, 11, 10, 13, *range(20, 40), 39]  # 14 to 19 are lost, three out of order, one doubled
    async with udp_sender(port) as sender:
        for n in order:
            header = struct.pack(">BBHII", 0x80, 96, (65_530 + n) & 0xFFFF, (2**32 - 500 + 240 * n) & 0xFFFFFFFF, 77)
            sender.send(header + sent[240 * n : 240 * n + 240].tobytes())
            await asyncio.sleep(0)
        blocks, _ = await receiving
    expected = np.delete(sent[:, 0], np.s_[14 * 240 : 20 * 240])
    np.testing.assert_array_equal(heard(blocks), expected)
    covered = [p for block in blocks for p in range(block.first_sample, block.end_sample)]
    assert covered == [*range(14 * 240), *range(20 * 240, 9600)]


@contextlib.asynccontextmanager
async def ffmpeg(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """FFmpeg as a sender; killed at the end."""
    assert FFMPEG is not None
    process = await asyncio.create_subprocess_exec(
        FFMPEG, "-hide_banner", "-loglevel", "error", "-nostdin", *arguments, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "sent.wav"
    soundfile.write(path, noise(4 * RATE), RATE)
    return path


def assert_within(part: NDArray[np.int16], whole: NDArray[np.int16]) -> None:
    """The samples heard are a stretch of those sent, bit by bit."""
    assert part.size > RATE // 2
    (starts,) = np.nonzero(whole == part[0])
    assert any(np.array_equal(part, whole[start : start + part.size]) for start in starts)


@needs_ffmpeg
async def test_rtp_as_ffmpeg_sends_it_is_heard_bit_by_bit(recording: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    section = RtpSection(hydrophones=("a",), sample_rate_hz=RATE, port=port, encoding="L16")
    receiving = asyncio.ensure_future(collect(RtpSource(section), samples=RATE))
    sender = ("-re", "-i", str(recording), "-c:a", "pcm_s16be", "-f", "rtp", f"rtp://127.0.0.1:{port}")
    async with ffmpeg(*sender):
        blocks, _ = await receiving
    assert_within(heard(blocks), noise(4 * RATE)[:, 0])


@needs_ffmpeg
async def test_a_url_with_an_sdp_file_is_heard_and_lost_when_the_sender_dies(recording: Path, tmp_path: Path) -> None:
    port, sdp = free_port(socket.SOCK_DGRAM), tmp_path / "feed.sdp"
    sdp.write_text(
        f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=hydrophone\nc=IN IP4 127.0.0.1\nt=0 0\n"
        f"m=audio {port} RTP/AVP 97\na=rtpmap:97 L16/{RATE}/1\n"
    )
    source = UrlSource(UrlSection(url=str(sdp), hydrophones=("a",), read_s=1.0))
    sender = ("-re", "-i", str(recording), "-c:a", "pcm_s16be", "-f", "rtp", f"rtp://127.0.0.1:{port}")
    async with ffmpeg(*sender) as process:
        asyncio.get_running_loop().call_later(2.5, process.kill)
        blocks, reason = await collect(source)
    assert "nothing came for 1 s" in reason
    assert all(block.arrival is not None for block in blocks)
    assert_within(heard(blocks), noise(4 * RATE)[:, 0])


@needs_ffmpeg
@pytest.mark.parametrize("container", ["wav", "flac", "ogg"])
async def test_a_url_over_http_is_heard(recording: Path, container: str) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}/live"
    codec = "pcm_s16le" if container == "wav" else "flac"
    policy = SupervisionPolicy(first_wait_s=0.2)
    section = UrlSection(url=address, hydrophones=("a",))
    source = SupervisedSource(lambda: UrlSource(section), policy, on_change=lambda _: None)
    sender = ("-re", "-i", str(recording), "-c:a", codec, "-f", container, "-listen", "1", address)
    async with ffmpeg(*sender):
        blocks, _ = await collect(source, samples=RATE)
    assert_within(heard(blocks), noise(4 * RATE)[:, 0])


@needs_ffmpeg
async def test_a_live_hls_playlist_is_heard(recording: Path, tmp_path: Path) -> None:
    playlist = tmp_path / "live.m3u8"
    hls = ("-f", "hls", "-hls_time", "0.5", "-hls_segment_type", "fmp4", "-hls_flags", "omit_endlist")
    source = SupervisedSource(
        lambda: UrlSource(UrlSection(url=str(playlist), hydrophones=("a",))),
        SupervisionPolicy(first_wait_s=0.2),
        on_change=lambda _: None,
    )
    async with ffmpeg("-re", "-i", str(recording), "-c:a", "flac", "-strict", "-2", *hls, str(playlist)):
        async with asyncio.timeout(10):
            while not playlist.exists():
                await asyncio.sleep(0.05)
        blocks, _ = await collect(source, samples=RATE)
    assert_within(heard(blocks), noise(4 * RATE)[:, 0])


async def serve_rtsp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, first_stamp: int) -> None:
    """Speak RTSP until the listener hangs up."""
    try:
        with contextlib.suppress(ConnectionError):
            await speak_rtsp(reader, writer, first_stamp=first_stamp)
    finally:
        writer.transport.abort()


async def speak_rtsp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, first_stamp: int) -> None:
    """A camera's worth of RTSP: one L16 stream, interleaved in the RTSP connection."""
    sdp = f"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=h\r\nt=0 0\r\nm=audio 0 RTP/AVP 97\r\na=rtpmap:97 L16/{RATE}/1\r\n"
    answers = {
        "OPTIONS": "Public: DESCRIBE, SETUP, PLAY\r\n\r\n",
        "DESCRIBE": f"Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n\r\n{sdp}",
        "SETUP": "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n",
        "PLAY": "Session: 1\r\n\r\n",
    }
    method = ""
    while method != "PLAY":
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        method = request.split(maxsplit=1)[0]
        count = next(line.split(":")[1].strip() for line in request.split("\r\n") if line.startswith("CSeq"))
        writer.write(f"RTSP/1.0 200 OK\r\nCSeq: {count}\r\n{answers[method]}".encode())
    sent = noise(4 * RATE).astype(">i2")
    for n in range(4 * RATE // 480):
        header = struct.pack(">BBHII", 0x80, 97, n, first_stamp + 480 * n, 5)
        packet = header + sent[480 * n : 480 * n + 480].tobytes()
        if not 60 <= n < 70:  # ten packets never come
            writer.write(struct.pack(">BBH", 0x24, 0, len(packet)) + packet)
            await writer.drain()
        await asyncio.sleep(0.002)


@pytest.mark.parametrize(("first_stamp", "apart"), [(48_000, 0), (0, 480)], ids=["anywhere", "at zero"])
async def test_rtsp_is_heard_and_its_loss_is_an_exact_gap(first_stamp: int, apart: int) -> None:
    """FFmpeg stamps the first two packets alike where the sender's count starts at zero: two epochs."""
    serve = partial(serve_rtsp, first_stamp=first_stamp)
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        section = UrlSection(
            url=f"rtsp://127.0.0.1:{port}/hydrophone", hydrophones=("a",), options={"rtsp_transport": "tcp"}
        )
        heard_blocks, _ = await collect(UrlSource(section), samples=2 * RATE)
    blocks = [block for block in heard_blocks if block.epoch == heard_blocks[-1].epoch]
    assert sum(block.samples.size for block in heard_blocks if block not in blocks) == apart
    sent, first = noise(4 * RATE)[:, 0], heard(blocks)[0]
    (offset,) = [start for start in np.flatnonzero(sent == first) if sent[start + 1] == heard(blocks)[1]]
    assert offset == apart
    for block in blocks:
        at = slice(offset + block.first_sample, offset + block.end_sample)
        np.testing.assert_array_equal(heard([block]), sent[at])
    gaps = [(b.end_sample, a.first_sample) for b, a in itertools.pairwise(blocks) if a.first_sample != b.end_sample]
    assert [(int(start + offset), int(stop + offset)) for start, stop in gaps] == [(60 * 480, 70 * 480)]


@needs_ffmpeg
@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("mp3", "libmp3lame"),  # as Icecast sends it
        ("adts", "aac"),
        ("ogg", "libvorbis"),  # frames of several lengths
        ("webm", "libvorbis"),  # these, and stamps in milliseconds
        ("flv", "aac"),
        ("mpegts", "aac"),  # several frames to a stamp
        ("asf", "wmav2"),
    ],
)
async def test_a_whole_stream_is_heard_without_gaps_however_coarse_its_stamps(
    recording: Path, container: str, codec: str
) -> None:
    address = f"http://127.0.0.1:{free_port()}/live"
    source = SupervisedSource(
        lambda: UrlSource(UrlSection(url=address, hydrophones=("a",))),
        SupervisionPolicy(first_wait_s=0.2),
        on_change=lambda _: None,
    )
    # 44,100 Hz: no frame is a whole number of milliseconds
    sender = ("-re", "-i", str(recording), "-ar", "44100", "-c:a", codec, "-f", container, "-listen", "1", address)
    async with ffmpeg(*sender):
        blocks, _ = await collect(source, samples=RATE)
    assert blocks[0].first_sample == 0
    assert [b.first_sample for b in blocks[1:]] == [b.end_sample for b in blocks[:-1]]
    assert {block.epoch for block in blocks} == {blocks[0].epoch}
