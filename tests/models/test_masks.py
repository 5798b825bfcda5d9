"""Soft masks in the graph equal the exact ones; ideal masks mark what they should."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seacanary_models.masks import SoftMask, ideal_mask, soft_mask

pytestmark = pytest.mark.torch


def random_mask(seed: int, share: float) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random((256, 256)) < share


def in_graph(mask: NDArray[np.bool_], sigma_px: float) -> NDArray[np.float32]:
    return SoftMask(sigma_px)(torch.from_numpy(mask.astype(np.float32))[None])[0].numpy()


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    share=st.sampled_from([1e-5, 1e-4, 1e-3, 0.05, 0.5, 1.0]),
    sigma_px=st.floats(0.3, 10.0),
)
def test_the_graph_equals_the_exact_soft_mask(seed: int, share: float, sigma_px: float) -> None:
    mask = random_mask(seed, share)
    np.testing.assert_allclose(in_graph(mask, sigma_px), soft_mask(mask, sigma_px), atol=1e-6, rtol=0)


def test_one_pixel_fades_with_the_euclidean_distance() -> None:
    mask = np.zeros((256, 256), np.bool_)
    mask[100, 50] = True
    soft = soft_mask(mask, 4.0)
    assert soft[100, 50] == 1.0
    assert soft[103, 54] == pytest.approx(np.exp(-25 / 32))
    np.testing.assert_allclose(in_graph(mask, 4.0), soft, atol=1e-6, rtol=0)


@pytest.mark.parametrize("corner", [(0, 0), (0, 255), (255, 0), (255, 255)])
def test_nothing_wraps_around_the_image(corner: tuple[int, int]) -> None:
    mask = np.zeros((256, 256), np.bool_)
    mask[corner] = True
    np.testing.assert_allclose(in_graph(mask, 4.0), soft_mask(mask, 4.0), atol=1e-6, rtol=0)


def test_an_empty_mask_gives_zero_everywhere() -> None:
    empty = np.zeros((256, 256), np.bool_)
    assert not soft_mask(empty, 4.0).any()
    assert not in_graph(empty, 4.0).any()


def test_an_empty_mask_beside_a_full_one_stays_empty() -> None:
    batch = torch.stack([torch.zeros(256, 256), torch.ones(256, 256)])
    soft = SoftMask(4.0)(batch)
    assert not soft[0].any()
    assert (soft[1] == 1).all()


def test_autocast_does_not_spoil_the_distances() -> None:
    mask = random_mask(5, 1e-3)
    with torch.autocast("cpu", torch.bfloat16):
        soft = in_graph(mask, 4.0)
    np.testing.assert_allclose(soft, soft_mask(mask, 4.0), atol=1e-6, rtol=0)


@pytest.mark.parametrize("sigma_px", [0.0, -1.0])
def test_a_sigma_that_is_not_positive_is_refused(sigma_px: float) -> None:
    with pytest.raises(ValueError, match="sigma_px"):
        soft_mask(np.ones((256, 256), np.bool_), sigma_px)
    with pytest.raises(ValueError, match="sigma_px"):
        SoftMask(sigma_px)


def test_a_sigma_beyond_the_fp32_weights_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 10"):
        SoftMask(10.1)


def test_the_ideal_mask_needs_margin_and_level() -> None:
    call = np.array([[-50.0, -58.5, -50.0, -110.0]], np.float32)
    background = np.array([[-60.0, -60.0, -40.0, -125.0]], np.float32)
    marked = ideal_mask(call, background, margin_db=3.0, floor_db=-100.0)
    assert marked.tolist() == [[True, False, False, False]]
