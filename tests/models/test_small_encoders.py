"""Small encoders: of like size, on one grid, each part in use, and what is heard stays where it is."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from seacanary_models.small_encoders import (
    ChannelNorm,
    PatchTransformer,
    read_out,
    small_ast,
    small_convnext,
    small_deit,
    small_resnet,
    small_vit,
)

pytestmark = pytest.mark.torch

ENCODERS = (small_resnet, small_convnext, small_vit, small_deit, small_ast)
every_encoder = pytest.mark.parametrize("build", ENCODERS, ids=lambda build: build.__name__)


@every_encoder
def test_the_features_lie_on_the_grid_of_the_mask(build) -> None:
    assert build()(torch.rand(2, 1, 256, 256)).shape == (2, 64, 16, 16)


@every_encoder
def test_a_gradient_reaches_every_parameter(build) -> None:
    torch.manual_seed(0)
    encoder = build()
    encoder(torch.rand(2, 1, 256, 256)).square().sum().backward()
    assert [name for name, weight in encoder.named_parameters() if weight.grad is None or not weight.grad.any()] == []


@every_encoder
def test_a_sound_changes_most_the_token_of_its_own_place(build) -> None:
    torch.manual_seed(0)
    encoder = build().eval()
    quiet = torch.rand(1, 1, 256, 256) * 0.1
    loud = quiet.clone()
    loud[:, :, 16 * 3 : 16 * 4, 16 * 11 : 16 * 12] += 0.8
    moved = (encoder(loud) - encoder(quiet)).norm(dim=1).flatten()
    row, column = divmod(int(moved.argmax()), 16)
    assert abs(row - 3) <= 1
    assert abs(column - 11) <= 1


def test_all_are_of_like_size() -> None:
    parameters = [sum(weight.numel() for weight in build().parameters()) for build in ENCODERS]
    assert max(parameters) < 1.5 * min(parameters)
    work = [_multiply_adds(build()) for build in ENCODERS]
    assert all(50e6 < count < 62e6 for count in work)


def _multiply_adds(encoder: torch.nn.Module) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        encoder(torch.rand(1, 1, 256, 256))
    return counter.get_total_flops() / 2


def test_a_convolutional_encoder_shifts_with_the_sound() -> None:
    torch.manual_seed(0)
    encoder = small_resnet().eval()
    image = torch.zeros(1, 1, 256, 256)
    image[..., 100:140, 64:80] = 0.7
    features, shifted = encoder(image), encoder(image.roll(32, -1))
    torch.testing.assert_close(features[..., 5:8], shifted[..., 7:10], atol=1e-5, rtol=1e-4)


def test_overlapping_patches_see_into_their_neighbours() -> None:
    torch.manual_seed(0)
    image = torch.zeros(1, 1, 256, 256)
    image[0, 0, 40, 98] = 1.0  # two pixels right of the border between patch columns 5 and 6
    for overlap_px, seen in ((0, False), (8, True)):
        patches = PatchTransformer(summaries=2, overlap_px=overlap_px).patches
        left = (patches(image) - patches(torch.zeros_like(image)))[0, :, 2, 5]
        assert bool(left.abs().max() > 0) is seen


def test_summaries_are_added_to_every_token() -> None:
    tokens = torch.arange(6.0).reshape(1, 6, 1)
    features = read_out(tokens, summaries=2)
    assert features.tolist() == [[[[2.5, 3.5], [4.5, 5.5]]]]


def test_channel_norm_is_layer_norm_at_each_pixel() -> None:
    features = torch.randn(2, 6, 3, 5)
    normed = ChannelNorm(6)(features)
    torch.testing.assert_close(normed.mean(1), torch.zeros(2, 3, 5), atol=1e-5, rtol=0)
    torch.testing.assert_close(normed.var(1, unbiased=False), torch.ones(2, 3, 5), atol=1e-3, rtol=0)
