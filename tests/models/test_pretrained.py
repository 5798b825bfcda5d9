"""Published weights: summed over the colours, named, and refused in words when they cannot be had."""

from urllib.error import URLError

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from seacanary_models import full_encoders, pretrained
from seacanary_models.deeplab import DeepLab
from seacanary_models.pretrained import GREY_MEAN, GREY_SPREAD, OneChannel, WeightsUnavailable, fetch, part_of

pytestmark = pytest.mark.torch


class Unreachable:
    """Stands for torchvision's weights on a machine without a network."""

    url = "https://example.org/weights.pth"

    def get_state_dict(self, **_: object) -> dict[str, Tensor]:
        raise URLError("no route")

    def __str__(self) -> str:
        return "ResNet50_Weights.IMAGENET1K_V2"


def test_weights_out_of_reach_are_named_with_where_they_were_sought() -> None:
    with pytest.raises(WeightsUnavailable, match=r"ResNet50_Weights.*example\.org.*no route.*pretrained=False"):
        fetch(Unreachable())


def _published(monkeypatch: pytest.MonkeyPatch, network: nn.Module) -> nn.Module:
    """Let this network's weights stand for the published ones."""
    monkeypatch.setattr(pretrained, "fetch", lambda _: dict(network.state_dict()))
    return network.eval()


def _one_channel(network: nn.Module) -> OneChannel:
    return next(part for part in network.modules() if isinstance(part, OneChannel))


def _colour(image: Tensor) -> Tensor:
    return ((image - GREY_MEAN) / GREY_SPREAD).expand(-1, 3, -1, -1)


def test_resnet_says_of_a_grey_image_what_the_published_one_says_in_three_colours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    published = _published(monkeypatch, models.resnet50())
    encoder = _one_channel(full_encoders.resnet50().eval())
    encoder.load_published()
    image = torch.rand(1, 1, 64, 64)
    stages = nn.Sequential(*list(published.children())[:-2])
    torch.testing.assert_close(encoder(image), stages(_colour(image)), atol=1e-3, rtol=1e-3)


def test_convnext_too(monkeypatch: pytest.MonkeyPatch) -> None:
    published = _published(monkeypatch, models.convnext_tiny())
    encoder = _one_channel(full_encoders.convnext_tiny().eval())
    encoder.load_published()
    image = torch.rand(1, 1, 64, 64)
    torch.testing.assert_close(encoder(image), published.features(_colour(image)), atol=1e-4, rtol=1e-4)


def test_the_vision_transformers_positions_are_stretched_to_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    published = _published(monkeypatch, models.vit_b_16())
    encoder = _one_channel(full_encoders.vit_b_16())
    encoder.load_published()
    taken = encoder.network.state_dict()
    assert taken["encoder.pos_embedding"].shape == (1, 257, 768)
    torch.testing.assert_close(taken["encoder.ln.weight"], published.encoder.ln.weight)
    torch.testing.assert_close(taken["encoder.pos_embedding"][:, 0], published.encoder.pos_embedding[:, 0])
    torch.testing.assert_close(taken["patches.weight"], published.conv_proj.weight.sum(1, keepdim=True))


@pytest.mark.parametrize(
    ("kind", "build"),
    [("deeplabv3_resnet50", models.resnet50), ("deeplabv3_mobilenet_v3", models.mobilenet_v3_large)],
)
def test_a_segmenters_backbone_begins_from_the_published_classifier(
    monkeypatch: pytest.MonkeyPatch, kind: str, build: type[nn.Module]
) -> None:
    published = _published(monkeypatch, build())
    segmenter = DeepLab(kind)
    segmenter.layers.load_published()
    wanted = [weight for name, weight in published.named_parameters() if weight.ndim == 4][1:]
    taken = [weight for name, weight in segmenter.named_parameters() if ".backbone." in name and weight.ndim == 4][1:]
    assert all(torch.equal(*pair) for pair in zip(taken, wanted, strict=True))


def test_weights_of_another_network_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _published(monkeypatch, models.resnet50())
    wrong = OneChannel(
        nn.Sequential(nn.Conv2d(3, 4, 3)),
        "0",
        weights=Unreachable(),
        rename=lambda state: dict(state) | {"0.weight": torch.zeros(4, 3, 3, 3)},
    )
    with pytest.raises(WeightsUnavailable, match="names that the network lacks"):
        wrong.load_published()


def test_only_a_convolution_can_be_made_grey() -> None:
    with pytest.raises(TypeError, match="Conv2d, got Linear"):
        OneChannel(nn.Sequential(nn.Linear(3, 4)), "0", weights=Unreachable(), rename=dict)


def test_a_part_of_the_weights_gets_its_new_name() -> None:
    state = {"features.0": torch.zeros(1), "head": torch.ones(1)}
    assert list(part_of(state, "features.", "stage.")) == ["stage.0"]
