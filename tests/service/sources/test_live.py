"""Live samples are cut into the same blocks however they arrive, and placed and dated right."""

import itertools
from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seacanary.audio import Arrival, AudioBlock
from seacanary.sources.live import LiveBlocks

RATE = 1000


def at(seconds: float) -> Arrival:
    return Arrival(system_s=1_600_000_000 + seconds, monotonic_s=seconds)


def gatherer(channels: int = 1) -> LiveBlocks:
    return LiveBlocks(("a", "b", "c")[:channels], sample_rate_hz=RATE, block_samples=50)


def spans(blocks: list[AudioBlock]) -> list[tuple[str, int, list[float]]]:
    return [(block.hydrophone, block.first_sample, block.samples.tolist()) for block in blocks]


@given(sizes=st.lists(st.integers(0, 130), min_size=1, max_size=20), channels=st.integers(1, 3))
def test_blocks_do_not_depend_on_how_samples_arrive(sizes: list[int], channels: int) -> None:
    samples = np.random.default_rng(1).uniform(-1, 1, (channels, sum(sizes))).astype(np.float32)
    cuts = np.cumsum(sizes)[:-1]
    pieces, whole = gatherer(channels), gatherer(channels)
    blocks = [block for part in np.split(samples, cuts, axis=1) for block in pieces.push(part, at(1))]
    assert spans([*blocks, *pieces.flush()]) == spans([*whole.push(samples, at(1)), *whole.flush()])


def test_the_epoch_is_the_arrival_of_the_first_block_less_its_length() -> None:
    gathered = gatherer()
    assert list(gathered.push(np.zeros((1, 20), np.float32), at(10.02))) == []
    (block,) = gathered.push(np.zeros((1, 30), np.float32), at(10.05))
    assert block.epoch == datetime.fromtimestamp(1_600_000_010, UTC)
    assert block.arrival == at(10.05)
    (later,) = gathered.push(np.zeros((1, 50), np.float32), at(99))
    assert (later.epoch, later.first_sample) == (block.epoch, 50)


def test_a_loss_moves_the_position_and_ends_the_block() -> None:
    gathered = gatherer()
    blocks = list(
        itertools.chain(
            gathered.push(np.zeros((1, 20), np.float32), at(1)),
            gathered.push(np.zeros((1, 60), np.float32), at(2), lost=7),
            gathered.flush(),
        )
    )
    assert [(block.first_sample, block.end_sample) for block in blocks] == [(0, 20), (27, 77), (77, 87)]


def test_a_new_epoch_counts_from_zero() -> None:
    gathered = gatherer()
    old = [*gathered.push(np.zeros((1, 70), np.float32), at(1)), *gathered.begin_epoch()]
    (new,) = gathered.push(np.zeros((1, 50), np.float32), at(9))
    assert [block.end_sample for block in old] == [50, 70]
    assert new.first_sample == 0
    assert new.epoch > old[0].epoch


def test_unusable_samples_are_a_gap_and_only_the_last_run_has_the_arrival() -> None:
    samples = np.zeros((1, 50), np.float32)
    samples[0, 10:12] = np.nan
    blocks = list(gatherer().push(samples, at(1)))
    assert [(block.first_sample, block.end_sample) for block in blocks] == [(0, 10), (12, 50)]
    assert [block.arrival for block in blocks] == [None, at(1)]
