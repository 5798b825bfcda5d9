from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes import COLUMN_SAMPLES, EPOCH, tiny_contract, write_tiny_model
from seacanary.detection import Detector, DetectorSection
from seacanary.evidence.look import Excerpt, look_at

WINDOW = tiny_contract().window_samples
RATE_HZ = 8000


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    folder: Path = tmp_path_factory.mktemp("model")
    return Detector.load(DetectorSection(path=write_tiny_model(folder), sessions=1))


def excerpt(columns: int, missing: tuple[tuple[int, int], ...] = ()) -> Excerpt:
    """Column c has level (c % 7 + 1) / 10: the tiny T shows it as it is."""
    levels = (np.arange(columns) % 7 + 1) / 10
    return Excerpt(np.repeat(levels, COLUMN_SAMPLES).astype(np.float32), RATE_HZ, EPOCH, missing)


def test_one_window_is_shown_as_the_model_sees_it(detector: Detector) -> None:
    clip = excerpt(16)
    image, mask, probability = detector.look(clip.samples[np.newaxis])
    composite = look_at(clip, detector)
    np.testing.assert_allclose(composite.image, image[0], rtol=1e-6)
    np.testing.assert_allclose(composite.mask_probability, mask[0], rtol=1e-6)
    (judged,) = composite.judged
    assert list(judged.probability.values()) == pytest.approx(probability[0].tolist())
    assert (judged.first_s, judged.end_s) == (0, WINDOW / RATE_HZ)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(columns=st.integers(1, 70), gap=st.tuples(st.integers(0, 70 * 64), st.integers(1, 2000)) | st.none())
def test_every_column_wholly_heard_is_shown_where_it_is_and_no_other(
    detector: Detector, columns: int, gap: tuple[int, int] | None
) -> None:
    size = columns * COLUMN_SAMPLES
    missing = () if gap is None or gap[0] >= size else ((gap[0], min(size, sum(gap))),)
    clip = excerpt(columns, missing)
    heard = np.ones(size, np.bool_)
    for first, end in missing:
        heard[first:end] = False
    whole = heard.reshape(columns, COLUMN_SAMPLES).all(axis=1)

    composite = look_at(clip, detector)
    level = clip.samples[::COLUMN_SAMPLES]
    np.testing.assert_allclose(composite.image, np.tile(np.where(whole, level, np.nan), (4, 1)), rtol=1e-5)
    assert (composite.mask_probability[:, ~whole] == 0).all()
    for judged in composite.judged:
        assert heard[round(judged.first_s * RATE_HZ) : round(judged.end_s * RATE_HZ)].all()
    long_enough = any(end - first >= WINDOW + COLUMN_SAMPLES for first, end in clip.heard())
    assert bool(composite.judged) >= long_enough


def test_another_rate_is_shown_on_the_same_time_axis(detector: Detector) -> None:
    samples = np.zeros(2 * 24_000, np.float32)
    samples[12_000:] = 0.5  # from 0.5 s on
    composite = look_at(Excerpt(samples, 24_000, EPOCH), detector)
    loud = composite.image[0] > 0.25
    assert loud.size == 2 * 8000 // COLUMN_SAMPLES
    assert np.flatnonzero(loud)[0] * composite.column_s == pytest.approx(0.5, abs=composite.column_s)


def test_what_a_rate_cannot_carry_has_no_probability(detector: Detector) -> None:
    composite = look_at(Excerpt(np.zeros(4000, np.float32), 4000, EPOCH), detector)
    assert all(set(judged.probability) == {"whistle"} for judged in composite.judged)
    assert composite.judged


def test_a_part_keeps_its_time_and_what_it_misses() -> None:
    clip = excerpt(100, ((0, 100), (3000, 3500), (6000, 6400)))
    part = clip.between(3200, 6100)
    assert part.start == EPOCH + timedelta(seconds=0.4)
    assert part.missing == ((0, 300), (2800, 2900))
    np.testing.assert_array_equal(part.samples, clip.samples[3200:6100])
    assert list(part.heard()) == [(300, 2800)]


@pytest.mark.parametrize(
    ("sample_rate_hz", "samples", "gaps"),
    [(44_100, 63_503, ((8868, 50_921), (56_686, 58_647))), (48_000, 136_703, ((7865, 19_661), (96_852, 101_420)))],
)
def test_a_gap_at_any_rate_and_place_leaves_the_clip_its_length(
    detector: Detector, sample_rate_hz: int, samples: int, gaps: tuple[tuple[int, int], ...]
) -> None:
    composite = look_at(Excerpt(np.ones(samples, np.float32), sample_rate_hz, EPOCH, gaps), detector)
    column_samples = detector.contract.transform.column_samples * sample_rate_hz / detector.contract.sample_rate_hz
    assert composite.image.shape[1] == samples // column_samples
    assert not np.isnan(composite.image[:, -1]).any()
