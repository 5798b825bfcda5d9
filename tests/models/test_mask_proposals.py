"""Candidates cover calls and little else; bands, times, labels and scores say what they should."""

import numpy as np
import pytest
from numpy.typing import NDArray

from seacanary_models.mask_proposals import (
    LABELS,
    ProposalRule,
    candidates,
    contrast,
    likely_label,
    marks_of,
    propose,
    row_edges_hz,
)

pytestmark = pytest.mark.torch


def whistle_and_click(seed: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    image = np.random.default_rng(seed).normal(0.12, 0.05, (256, 256)).clip(0, 1).astype(np.float32)
    truth = np.zeros((256, 256), np.bool_)
    columns = np.arange(60, 180)
    truth[(40 + 20 * np.sin(columns / 30)).astype(int), columns] = True
    truth[190:240, 200] = True
    image[truth] = 0.6
    return image, truth


def test_a_proposal_covers_a_ridge_and_a_click_and_little_else() -> None:
    image, truth = whistle_and_click(0)
    mask = propose(image)
    assert (mask & truth).sum() / truth.sum() > 0.9
    assert mask.sum() < 6 * truth.sum()


def test_noise_alone_proposes_almost_nothing() -> None:
    noise = np.random.default_rng(1).normal(0.12, 0.05, (256, 256)).clip(0, 1).astype(np.float32)
    assert propose(noise).mean() < 0.002


def test_contrast_orders_masks_by_how_they_fit() -> None:
    image, truth = whistle_and_click(2)
    assert contrast(image, truth) > 0.4
    assert contrast(image, np.roll(truth, 100, axis=1)) < 0.1
    assert contrast(image, np.zeros_like(truth)) == 0.0
    assert contrast(image, np.ones_like(truth)) == 0.0


def test_each_call_is_a_candidate_with_its_band_time_and_label() -> None:
    image, _ = whistle_and_click(3)
    best = {region.label: region for region in reversed(candidates(image))}
    whistle, click = best["whistle"], best["beluga_click"]
    assert whistle.band_hz == pytest.approx((20 * 187.5, 61 * 187.5), abs=3 * 187.5)
    assert (whistle.onset_s, whistle.offset_s) == pytest.approx((0.24, 0.72), abs=0.013)
    assert click.band_hz == pytest.approx((86_000, 136_000), abs=3_000)
    assert (click.onset_s, click.offset_s) == pytest.approx((0.8, 0.804), abs=0.005)


def test_candidates_come_best_first_and_a_fainter_sound_scores_lower() -> None:
    image, truth = whistle_and_click(4)
    loud = candidates(image)
    image[truth] = 0.35
    faint = candidates(image)
    scores = [region.score for region in loud]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert faint[0].score < loud[0].score


def test_marks_keep_the_label_of_every_candidate() -> None:
    image, _ = whistle_and_click(5)
    found = candidates(image)
    marks = marks_of(found)
    np.testing.assert_array_equal(marks > 0, propose(image))
    for region in found:
        assert (marks[region.mask] >> LABELS.index(region.label) & 1).all()


def test_the_smallest_area_is_kept_to() -> None:
    image, _ = whistle_and_click(6)
    found = candidates(image, ProposalRule(min_area_px=60))
    assert found
    assert min(region.mask.sum() for region in found) >= 60


def test_nothing_is_proposed_above_what_the_recorder_holds() -> None:
    image, _ = whistle_and_click(8)
    found = candidates(image, highest_hz=100_000.0)
    assert max(region.band_hz[1] for region in found) <= 100_000
    assert {"whistle", "beluga_click"} <= {region.label for region in found}
    assert max(region.band_hz[1] for region in candidates(image, highest_hz=6_000.0)) <= 6_000


def test_the_ends_of_a_window_propose_nothing() -> None:
    image = np.full((256, 256), 0.1, np.float32)
    image[:, [0, 255]] = 1.0
    assert candidates(image) == []


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_an_even_image_proposes_nothing(level: float) -> None:
    assert candidates(np.full((256, 256), level, np.float32)) == []


def test_a_dense_buzz_does_not_hide_itself() -> None:
    rng = np.random.default_rng(7)
    image = np.full((256, 256), 0.1, np.float32)
    image[140:200, 60:160] = np.repeat(rng.uniform(0.4, 1.0, (1, 100)), 60, axis=0)
    assert propose(image)[140:200, 60:160].mean() > 0.7


@pytest.mark.parametrize(
    ("band_hz", "duration_s", "label"),
    [
        ((4_000, 9_000), 0.4, "whistle"),
        ((4_000, 20_000), 0.004, "unknown"),
        ((0, 375), 0.4, "unknown"),
        ((30_000, 120_000), 0.004, "beluga_click"),
        ((115_000, 145_000), 0.004, "porpoise_click"),
        ((50_000, 51_000), 0.05, "unknown"),
        ((20_000, 28_000), 0.004, "unknown"),
    ],
)
def test_band_and_shape_speak_for_a_call_type(band_hz: tuple[float, float], duration_s: float, label: str) -> None:
    assert likely_label(band_hz, duration_s) == label


def test_row_edges_span_both_runs_of_rows() -> None:
    edges = row_edges_hz()
    assert edges.shape == (257,)
    assert (edges[0], edges[127], edges[128], edges[256]) == (0, 127 * 187.5, 24_000, 152_000)
