"""The published networks take one channel, give one width, and keep rows and columns apart."""

import pytest
import torch
from torch import nn

from seacanary_models import full_encoders

pytestmark = pytest.mark.torch

SIDES = {"resnet50": 8, "convnext_tiny": 8, "vit_b_16": 16, "deit_b_16": 16, "ast": 25}
SIZES_M = {"resnet50": 24, "convnext_tiny": 28, "vit_b_16": 86, "deit_b_16": 86, "ast": 86}


@pytest.fixture(scope="module", params=list(SIDES))
def named(request: pytest.FixtureRequest) -> tuple[str, nn.Module]:
    torch.manual_seed(0)
    return request.param, getattr(full_encoders, request.param)().eval()


def test_the_features_are_of_the_common_width(named: tuple[str, nn.Module]) -> None:
    name, encoder = named
    with torch.no_grad():
        assert encoder(torch.rand(1, 1, 256, 256)).shape == (1, 256, SIDES[name], SIDES[name])


def test_the_network_has_its_published_size(named: tuple[str, nn.Module]) -> None:
    name, encoder = named
    assert sum(weight.numel() for weight in encoder.parameters()) / 1e6 == pytest.approx(SIZES_M[name], abs=0.9)


def test_a_gradient_reaches_every_parameter(named: tuple[str, nn.Module]) -> None:
    _, encoder = named
    encoder(torch.rand(1, 1, 256, 256)).square().sum().backward()
    assert [name for name, weight in encoder.named_parameters() if weight.grad is None or not weight.grad.any()] == []
    encoder.zero_grad()


# The other two, untrained, spread a sound over their whole grid.
@pytest.mark.parametrize("named", ["vit_b_16", "deit_b_16", "ast"], indirect=True)
def test_a_sound_changes_most_the_token_of_its_own_place(named: tuple[str, nn.Module]) -> None:
    name, encoder = named
    quiet = torch.rand(1, 1, 256, 256) * 0.1
    loud = quiet.clone()
    loud[:, :, 64:80, 176:192] += 0.8
    with torch.no_grad():
        moved = (encoder(loud) - encoder(quiet)).norm(dim=1).flatten()
    row, column = divmod(int(moved.argmax()), SIDES[name])
    cell_px = 256 / SIDES[name]
    assert abs((row + 0.5) * cell_px - 72) < cell_px
    assert abs((column + 0.5) * cell_px - 184) < cell_px
