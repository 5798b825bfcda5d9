"""Decoded frames: sample formats, and gaps found in the time stamps."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from seacanary.audio import AudioBlock
from seacanary.errors import SourceLost, SourceUnusable
from seacanary.sources.ffmpeg import StampClock, UrlSource, float_samples
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
    assert stamps.place(None, 1000) == (0, False)
    assert stamps.place(1, 1000) == (0, False)  # nothing to compare it with
    assert stamps.place(10_000_000, 1000) == (0, True)
    assert stamps.place(3, 1000) == (0, True)


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
