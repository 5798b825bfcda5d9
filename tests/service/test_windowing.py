"""RollingWindows: the same windows however the audio came, and none that straddles a run's end."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seacanary.windowing import Cut, RollingWindows, clipped_fraction

Plain = list[tuple[int, int, float, list[float]]]


def plain(cuts: list[Cut]) -> Plain:
    return [(cut.first_sample, cut.heard_samples, cut.clipped_fraction, cut.pcm.tolist()) for cut in cuts]


def ramp(count: int) -> NDArray[np.float32]:
    """Samples that tell their position: sample i is (i + 1) / 8192."""
    return np.arange(1, count + 1, dtype=np.float32) / np.float32(8192)


def batch(audio: NDArray[np.float32], window: int, hop: int, *, pad: bool) -> Plain:
    """The definition, with all audio at hand."""
    starts = list(range(0, audio.size - window + 1, hop))
    if audio.size > window and starts[-1] + window < audio.size:
        starts.append(audio.size - window)
    if pad and 0 < audio.size < window:
        padded = np.append(audio, np.zeros(window - audio.size, np.float32))
        return [(0, audio.size, clipped_fraction(audio), padded.tolist())]
    pieces = [(start, audio[start : start + window]) for start in starts]
    return [(start, window, clipped_fraction(piece), piece.tolist()) for start, piece in pieces]


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(0, 90), max_size=20),
    window=st.integers(1, 64),
    hop_share=st.floats(0.01, 1),
    pad=st.booleans(),
)
def test_windows_are_those_of_the_definition_whatever_the_block_sizes(
    sizes: list[int], window: int, hop_share: float, pad: bool
) -> None:
    hop = max(1, int(window * hop_share))
    audio = ramp(sum(sizes))
    rolling = RollingWindows(window, hop)
    cuts = []
    for block in np.split(audio, np.cumsum(sizes)):
        cuts += rolling.push(block)
    cuts += rolling.end_run(pad=pad)
    assert plain(cuts) == batch(audio, window, hop, pad=pad)


@settings(deadline=None)
@given(lengths=st.lists(st.integers(0, 60), min_size=2, max_size=4), window=st.integers(1, 24), pad=st.booleans())
def test_a_run_knows_nothing_of_the_run_before(lengths: list[int], window: int, pad: bool) -> None:
    rolling = RollingWindows(window, max(1, window // 2))
    for length in lengths:
        audio = ramp(length)
        cuts = rolling.push(audio) + rolling.end_run(pad=pad)
        assert plain(cuts) == batch(audio, window, max(1, window // 2), pad=pad)


@settings(deadline=None)
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=20), hop=st.integers(1, 16))
def test_no_later_window_begins_before_the_earliest_promised(sizes: list[int], hop: int) -> None:
    rolling = RollingWindows(16, hop)
    promised = 0
    for size in sizes:
        for cut in rolling.push(ramp(size)):
            assert cut.first_sample >= promised
        assert rolling.earliest_next >= promised
        promised = rolling.earliest_next
    assert all(cut.first_sample >= promised for cut in rolling.end_run(pad=False))


def test_a_window_handed_out_is_read_only_and_never_overwritten() -> None:
    rolling = RollingWindows(8, 4)
    (first,) = rolling.push(ramp(8))
    rolling.push(-ramp(100))
    assert first.pcm.tolist() == ramp(8).tolist()
    with pytest.raises(ValueError, match="read-only"):
        first.pcm[0] = 0.0


def test_a_padded_window_says_how_much_is_missing() -> None:
    rolling = RollingWindows(8, 4)
    rolling.push(np.ones(6, np.float32))
    (cut,) = rolling.end_run(pad=True)
    assert cut.missing_fraction == 0.25
    assert cut.clipped_fraction == 1.0
    assert cut.pcm.tolist() == [1, 1, 1, 1, 1, 1, 0, 0]


@pytest.mark.parametrize(
    ("samples", "share"),
    [([0.5, -0.5, 0.99, -0.99], 0.0), ([1.0, 0.0, 0.0, -1.0], 0.5), ([0.0, 0.0, 0.0, -0.999], 0.25)],
)
def test_clipping_is_counted_on_both_sides(samples: list[float], share: float) -> None:
    assert clipped_fraction(np.array(samples, np.float32)) == share


@pytest.mark.parametrize("hop", [0, -1, 9])
def test_a_hop_that_skips_samples_or_stands_still_is_refused(hop: int) -> None:
    with pytest.raises(ValueError, match="hop_samples"):
        RollingWindows(8, hop)
