"""Decoded frames: sample formats, and gaps found in the time stamps."""

import asyncio
import traceback
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from seacanary.audio import AudioBlock
from seacanary.errors import SourceError, SourceLost, SourceUnusable
from seacanary.sources.ffmpeg import StampClock, UrlSource, float_samples, shown
from seacanary.sources.network import UrlSection

RATE = 48_000


async def play(section: UrlSection) -> list[AudioBlock]:
    source = UrlSource(section)
    try:
        return [block async for block in source.blocks()]
    finally:
        await source.aclose()
        await source.aclose()


@pytest.mark.parametrize("name", ["u8", "s16", "s32", "flt", "dbl", "u8p", "s16p", "s32p", "fltp", "dblp"])
def test_every_sample_format_has_full_scale_one(name: str) -> None:
    dtype, full = {
        "u8": (np.uint8, 128),
        "s16": (np.int16, 2**15),
        "s32": (np.int32, 2**31),
        "flt": (np.float32, 1),
        "dbl": (np.float64, 1),
    }[name.removesuffix("p")]
    values = np.array([[-1.0, 0.0, 0.5], [0.25, -0.5, 0.0]])
    raw = (values * full + (128 if name.startswith("u8") else 0)).astype(dtype)
    array = raw if name.endswith("p") else raw.T.reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(array), format=name, layout="stereo")
    np.testing.assert_array_equal(float_samples(frame), values.astype(np.float32))


@given(
    count=st.integers(64, 4096),
    frames=st.integers(2, 200),
    base=st.sampled_from([1000, 90_000, RATE]),
    drift=st.sampled_from([-200e-6, 0.0, 200e-6]),
)
def test_rounded_and_drifting_stamps_are_no_gap(count: int, frames: int, base: int, drift: float) -> None:
    stamps = StampClock(RATE, Fraction(1, base))
    for n in range(frames):
        assert stamps.place(int(n * count / RATE * (1 + drift) * base), count) == (0, False)


def test_a_jump_forward_is_a_gap_and_any_other_a_new_epoch() -> None:
    stamps = StampClock(RATE, Fraction(1, RATE))
    assert stamps.place(5000, 1000) == (0, False)
    assert stamps.place(6000, 1000) == (0, False)
    assert stamps.place(9500, 1000) == (2500, False)
    assert stamps.place(10_000_000, 1000) == (0, True)
    assert stamps.place(3, 1000) == (0, True)


@pytest.mark.parametrize("base", [1000, 90_000, RATE])
@pytest.mark.parametrize("frames_lost", [1, 2, 7])
def test_every_lost_frame_counts_even_a_single_one(base: int, frames_lost: int) -> None:
    stamps = StampClock(RATE, Fraction(1, base))
    at = [n * 1024 * base // RATE for n in (0, 1, 2 + frames_lost, 3 + frames_lost)]
    lost = [stamps.place(pts, 1024) for pts in at]
    assert [new_epoch for _, new_epoch in lost] == [False] * 4
    assert [count for count, _ in lost] == [0, 0, pytest.approx(frames_lost * 1024, abs=RATE / base), 0]


def test_a_short_frame_lost_after_a_long_one_counts() -> None:
    stamps = StampClock(RATE, Fraction(1, RATE))
    assert stamps.place(0, 1024) == (0, False)
    assert stamps.place(1024 + 128, 128) == (128, False)


def test_a_frame_that_came_twice_begins_a_new_epoch() -> None:
    stamps = StampClock(RATE, Fraction(1, RATE))
    assert stamps.place(0, 1024) == (0, False)
    assert stamps.place(0, 1024) == (0, True)


def test_a_loss_among_frames_without_stamps_shows_at_the_next_stamp() -> None:
    stamps = StampClock(RATE, Fraction(1, RATE))
    assert stamps.place(None, 1000) == (0, False)
    assert stamps.place(5000, 1000) == (0, False)  # nothing to compare it with
    assert stamps.place(None, 1000) == (0, False)
    assert stamps.place(None, 1000) == (0, False)
    assert stamps.place(9000, 1000) == (1000, False)


def flac_with_a_damaged_frame(path: Path, samples: np.ndarray, *, frame_samples: int, dropped: bool) -> None:
    """Mono 16 bit in Matroska, whose stamps are in milliseconds; its third frame is missing or garbage."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=RATE, layout="mono", options={"frame_size": str(frame_samples)})
        for n, start in enumerate(range(0, samples.size, frame_samples)):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + frame_samples], "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
            for packet in stream.encode(frame):
                sent = av.Packet(bytes(packet.size)) if n == 2 else packet
                sent.stream, sent.pts, sent.dts, sent.time_base = stream, packet.pts, packet.dts, packet.time_base
                if n != 2 or not dropped:
                    container.mux(sent)


@pytest.mark.parametrize("dropped", [True, False], ids=["missing", "undecodable"])
async def test_one_frame_gone_from_a_stream_is_a_gap_of_its_length(tmp_path: Path, dropped: bool) -> None:
    frame_samples = 960  # a whole number of milliseconds
    sent = np.random.default_rng(1).integers(-(2**15), 2**15, 10 * frame_samples).astype(np.int16)
    path = tmp_path / "a.mkv"
    flac_with_a_damaged_frame(path, sent, frame_samples=frame_samples, dropped=dropped)
    blocks = await play(UrlSection(url=str(path), hydrophones=("h",)))
    heard = [position for block in blocks for position in range(block.first_sample, block.end_sample)]
    assert heard == [*range(2 * frame_samples), *range(3 * frame_samples, 10 * frame_samples)]
    for block in blocks:
        np.testing.assert_array_equal(block.samples * 2**15, sent[block.first_sample : block.end_sample])


async def test_a_file_is_read_whole_and_ends(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, (RATE, 2)).astype(np.float32)
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    blocks = await play(UrlSection(url=str(path), hydrophones=("left", "right")))
    for column, name in enumerate(("left", "right")):
        heard = np.concatenate([block.samples for block in blocks if block.hydrophone == name])
        np.testing.assert_array_equal(heard, samples[:, column])
    assert all(block.arrival is None for block in blocks)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense://somewhere", "has no such protocol; build PyAV against"),
        ("{tmp}/absent.wav", "No such file"),
        ("{tmp}/stereo.wav", "names 1, but the stream has 2 channels"),
        ("{tmp}/subtitles.srt", "stream 0 wanted, but it has 0 with audio"),
    ],
)
async def test_hopeless_urls_are_refused(tmp_path: Path, url: str, message: str) -> None:
    soundfile.write(tmp_path / "stereo.wav", np.zeros((100, 2)), RATE)
    (tmp_path / "subtitles.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nwhale\n")
    with pytest.raises(SourceUnusable, match=message):
        await play(UrlSection(url=url.format(tmp=tmp_path), hydrophones=("h",)))


async def test_garbage_is_lost_for_it_may_be_a_sender_that_is_not_ready(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(SourceLost, match=r"text\.wav: Invalid data"):
        await play(UrlSection(url=str(tmp_path / "text.wav"), hydrophones=("h",)))


async def test_a_refused_connection_is_lost() -> None:
    with pytest.raises(SourceLost, match="refused"):
        await play(UrlSection(url="tcp://127.0.0.1:9", hydrophones=("h",)))


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("rtsp://admin:hunter2@10.0.0.5:554/hydrophone", "rtsp://10.0.0.5:554/hydrophone"),
        ("http://host/live.mp3?token=hunter2", "http://host/live.mp3"),
        ("https://host/live?x=1@2/hunter2", "https://host/live"),
        ("srt://host:9000?mode=caller&passphrase=hunter2", "srt://host:9000"),
        ("http://host/live#hunter2", "http://host/live"),
        ("rtmp://host/live/stream pubUser=me pubPasswd=hunter2", "rtmp://host/live/stream"),
        ("async:http://me:hunter2@host/a", "async:http://host/a"),
        ("concat:http://me:hunter2@host/a|http://me:hunter2@host/b", "concat:http://host/a|http://host/b"),
        ("http://me:hunter2@user@host/a", "http://host/a"),
        ("http://host/@names/a", "http://host/@names/a"),
        ("/recordings/what now? #3.wav", "/recordings/what now? #3.wav"),
    ],
)
def test_a_url_is_shown_without_user_password_and_query(url: str, safe: str) -> None:
    assert shown(url) == safe


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://me:hunter2@127.0.0.1:9/live?token=hunter2", SourceLost),
        ("nonsense://me:hunter2@127.0.0.1/live?token=hunter2", SourceUnusable),
    ],
)
async def test_no_secret_of_the_url_is_in_the_error_or_its_traceback(url: str, error: type[SourceError]) -> None:
    with pytest.raises(error, match=r"//127\.0\.0\.1") as caught:
        await play(UrlSection(url=url, hydrophones=("h",)))
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


async def test_no_secret_of_the_url_is_in_the_error_of_a_stream_that_breaks_off(tmp_path: Path) -> None:
    """Served over HTTP: first audio of the wrong kind, then nothing at all."""
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.zeros((100, 2)), RATE)
    body = path.read_bytes()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://me:hunter2@127.0.0.1:{server.sockets[0].getsockname()[1]}/live?token=hunter2"
        with pytest.raises(SourceUnusable, match="names 1") as wrong:
            await play(UrlSection(url=url, hydrophones=("h",)))
        with pytest.raises(SourceUnusable, match="stream 3 wanted") as missing:
            await play(UrlSection(url=url, hydrophones=("h",), stream=3))
        with pytest.raises(SourceLost, match=r"http://127\.0\.0\.1:\d+/live: ") as ended:
            await play(UrlSection(url=url, hydrophones=("l", "r")))
    for caught in (wrong, missing, ended):
        assert "hunter2" not in "".join(traceback.format_exception(caught.value))
