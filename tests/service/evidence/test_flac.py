import io
from collections.abc import Callable

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from known_audio import EPOCH, presence, sample_values
from seacanary.evidence.clips import ClipLayout, Held, Range, Stream, lay_out, span_of, subtract
from seacanary.evidence.flac import SamplesGone, encode, header_rate_hz

Read = Callable[[Stream, int, int], tuple[NDArray[np.float32], list[Range]]]

COMMENT = "GUANO|Version: 1.0\nNote: ö\n" + "SeaCanary|Missing Samples: 100-200\n" * 10_000


def layout_of(first: int, end: int, *, rate_hz: int = 8000) -> ClipLayout:
    """A clip of the samples [first, end) of a stream, which are all there."""
    stream = Stream("h1", EPOCH, rate_hz)
    span = span_of(presence(stream, first, end), pre_roll_s=0, post_roll_s=0, longest_s=1e6)
    return lay_out(span, [Held(stream, first, end, None)])


def known(stream: Stream, first: int, end: int) -> tuple[NDArray[np.float32], list[Range]]:
    return sample_values(stream, first, end), []


def constant(*values: float) -> Read:
    return lambda _stream, first, end: (np.array(values, np.float32)[first:end], [])


def decoded(flac: bytes) -> tuple[NDArray[np.float32], int]:
    samples, rate_hz = soundfile.read(io.BytesIO(flac), dtype="float32")
    return samples, rate_hz


@pytest.mark.parametrize("rate_hz", [1000, 8000, 44_100, 65_535, 96_000, 192_000, 384_000, 500_000, 576_000, 655_350])
def test_24_bit_samples_are_kept_bit_by_bit_at_the_hydrophones_own_rate(rate_hz: int) -> None:
    encoded = encode(layout_of(0, 600_000, rate_hz=rate_hz), known, comment="x")
    samples, header_hz = decoded(encoded.flac)
    assert header_hz == rate_hz
    np.testing.assert_array_equal(samples, sample_values(Stream("h1", EPOCH, rate_hz), 0, 600_000))
    assert (encoded.clipped_samples, encoded.rounded_samples) == (0, 0)


@pytest.mark.parametrize(
    ("rate_hz", "header_hz"), [(65_537, 65_540), (300_007, 300_010), (768_000, 76_800), (2_000_000, 200_000)]
)
def test_a_rate_that_flac_cannot_say_is_said_as_nearly_as_it_can(rate_hz: int, header_hz: int) -> None:
    assert header_rate_hz(rate_hz) == header_hz
    samples, told_hz = decoded(encode(layout_of(0, 999, rate_hz=rate_hz), known, comment="x").flac)
    assert told_hz == header_hz
    np.testing.assert_array_equal(samples, sample_values(Stream("h1", EPOCH, rate_hz), 0, 999))


@given(st.integers(1000, 2_000_000))
@settings(max_examples=40, deadline=None)
def test_every_rate_a_station_takes_can_be_written(rate_hz: int) -> None:
    samples, _ = decoded(encode(layout_of(0, 100, rate_hz=rate_hz), known, comment="x").flac)
    np.testing.assert_array_equal(samples, sample_values(Stream("h1", EPOCH, rate_hz), 0, 100))


def test_what_is_beyond_full_scale_is_held_at_it_and_counted() -> None:
    encoded = encode(layout_of(0, 5), constant(-1.0, -1.5, 1.0, 2.0, 0.5), comment="x")
    samples, _ = decoded(encoded.flac)
    highest = 1 - 2**-23
    np.testing.assert_array_equal(samples, np.array([-1.0, -1.0, highest, highest, 0.5], np.float32))
    assert (encoded.clipped_samples, encoded.rounded_samples) == (3, 0)


def test_steps_finer_than_24_bits_are_rounded_and_counted() -> None:
    encoded = encode(layout_of(0, 3), constant(0.25, 0.25 + 2**-25, 2**-30), comment="x")
    samples, _ = decoded(encoded.flac)
    np.testing.assert_array_equal(samples, np.array([0.25, 0.25, 0.0], np.float32))
    assert (encoded.clipped_samples, encoded.rounded_samples) == (0, 2)


def test_the_same_clip_gives_the_same_bytes_and_carries_its_comment() -> None:
    layout = layout_of(0, 5000)
    first, second = (encode(layout, known, comment=COMMENT) for _ in range(2))
    assert first.flac == second.flac
    with soundfile.SoundFile(io.BytesIO(first.flac)) as file:
        assert file.comment == COMMENT


def test_samples_that_went_after_the_layout_are_not_passed_off_as_silence() -> None:
    def gone(_stream: Stream, first: int, end: int) -> tuple[NDArray[np.float32], list[Range]]:
        return np.zeros(end - first, np.float32), subtract([(first, end)], [(0, 50)])

    with pytest.raises(SamplesGone):
        encode(layout_of(0, 100), gone, comment="x")
