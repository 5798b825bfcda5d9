"""PCM bytes become the samples a plain, slow reading of them gives."""

import itertools
import struct
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seacanary.audio import PCM_ENCODINGS, PcmEncoding, decode_pcm, finite_runs, sample_bytes


def read_slowly(raw: bytes, encoding: PcmEncoding) -> list[float]:
    """One sample after the other, by the definition of each format."""
    width = sample_bytes(encoding)
    order: Literal["big", "little"] = "big" if encoding.endswith("be") else "little"
    pieces = [raw[i : i + width] for i in range(0, len(raw), width)]
    if encoding == "f32le":
        return [struct.unpack("<f", piece)[0] for piece in pieces]
    return [int.from_bytes(piece, order, signed=True) / 2 ** (8 * width - 1) for piece in pieces]


@given(st.sampled_from([e for e in PCM_ENCODINGS if e != "f32le"]), st.integers(1, 5), st.binary(max_size=600))
def test_integers_decode_as_their_definition_says(encoding: PcmEncoding, channels: int, raw: bytes) -> None:
    frame = sample_bytes(encoding) * channels
    raw = raw[: len(raw) // frame * frame]
    expected = np.array(read_slowly(raw, encoding), np.float32).reshape(-1, channels).T
    decoded = decode_pcm(raw, encoding, channels)
    assert decoded.dtype == np.float32
    assert decoded.flags.c_contiguous
    np.testing.assert_array_equal(decoded, expected)


@given(st.lists(st.floats(width=32, allow_nan=False), max_size=50))
def test_floats_pass_unchanged(values: list[float]) -> None:
    raw = struct.pack(f"<{len(values)}f", *values)
    np.testing.assert_array_equal(decode_pcm(raw, "f32le", 1), np.array([values], np.float32))


@pytest.mark.parametrize(
    ("encoding", "raw", "expected"),
    [
        ("s16le", b"\x00\x80", -1.0),
        ("s16be", b"\x40\x00", 0.5),
        ("s24le", b"\x00\x00\x80", -1.0),
        ("s24le", b"\xff\xff\x7f", 1 - 2**-23),
        ("s24be", b"\xff\xff\xff", -(2**-23)),
        ("s32le", b"\x00\x00\x00\x80", -1.0),
        ("f32le", struct.pack("<f", 1.5), 1.5),
    ],
)
def test_full_scale_is_one(encoding: PcmEncoding, raw: bytes, expected: float) -> None:
    assert decode_pcm(raw, encoding, 1).item() == expected


def test_half_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="5 bytes are not whole frames of 6 bytes"):
        decode_pcm(b"12345", "s24le", 2)


def test_decoded_samples_do_not_share_the_receive_buffer() -> None:
    buffer = bytearray(struct.pack("<f", 0.25))
    decoded = decode_pcm(buffer, "f32le", 1)
    buffer[:] = bytes(4)
    assert decoded.item() == 0.25


@given(st.lists(st.sampled_from([0.0, 0.5, -1.0, np.nan, np.inf, -np.inf, 1e30]), max_size=60))
def test_finite_runs_hold_every_usable_sample_and_no_other(values: list[float]) -> None:
    samples = np.array(values, np.float32)
    runs = finite_runs(samples)
    taken = [i for run in runs for i in range(run.start, run.stop)]
    assert taken == [i for i, value in enumerate(values) if abs(value) <= 1]
    assert all(after.start > before.stop for before, after in itertools.pairwise(runs))
