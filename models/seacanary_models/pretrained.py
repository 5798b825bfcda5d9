"""Published networks fed with one channel, and their ImageNet weights where they can be had."""

from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum  # type: ignore[import-untyped]  # it ships no types

from seacanary.errors import SeaCanaryError

# Mean and spread of ImageNet's grey levels: the scale that the weights, and their usual start, expect.
GREY_MEAN: Final = 0.449
GREY_SPREAD: Final = 0.226


class WeightsUnavailable(SeaCanaryError):
    """Published weights were asked for and cannot be fetched."""


class OneChannel(nn.Module):
    """Let one of torchvision's networks take a grey image, scaled as its published weights expect.

    The first convolution's weights are summed over the colours, which gives what the network would
    say of the same image in all three, at a third of the cost.

    Args:
        network: as built for three colours; changed in place.
        first: dotted name of its first convolution.
        weights: torchvision's enumeration member of its ImageNet weights.
        rename: those weights by the names that they have here; what it leaves out is not loaded.
    """

    def __init__(
        self,
        network: nn.Module,
        first: str,
        *,
        weights: WeightsEnum,
        rename: Callable[[Mapping[str, Tensor]], dict[str, Tensor]],
    ) -> None:
        super().__init__()
        network.set_submodule(first, _grey(network.get_submodule(first)))
        self.network = network
        self._first, self._published, self._rename = f"{first}.weight", weights, rename

    @property
    def weights_name(self) -> str:
        """What `load_published` loads, for the provenance."""
        return f"torchvision {self._published}"

    def load_published(self) -> None:
        """Begin from the ImageNet weights.

        Raises:
            WeightsUnavailable: they are neither kept on this machine nor to be fetched.
        """
        state = self._rename(fetch(self._published))
        state[self._first] = state[self._first].sum(1, keepdim=True)
        _, unexpected = self.network.load_state_dict(state, strict=False)
        if unexpected:
            raise WeightsUnavailable(f"{self.weights_name} hold names that the network lacks: {unexpected[:3]}")

    def forward(self, image: Tensor) -> Tensor:
        """What the network makes of an image [B, 1, rows, columns] in [0, 1]."""
        output: Tensor = self.network((image - GREY_MEAN) / GREY_SPREAD)
        return output


def part_of(state: Mapping[str, Tensor], prefix: str, to: str = "") -> dict[str, Tensor]:
    """The entries whose names begin with a prefix, with another in its place."""
    return {to + name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _grey(colour: nn.Module) -> nn.Conv2d:
    if not isinstance(colour, nn.Conv2d) or isinstance(colour.padding, str):
        raise TypeError(f"the first layer must be a numerically padded Conv2d, got {type(colour).__name__}")
    grey = nn.Conv2d(
        1,
        colour.out_channels,
        (colour.kernel_size[0], colour.kernel_size[1]),
        (colour.stride[0], colour.stride[1]),
        (colour.padding[0], colour.padding[1]),
        bias=colour.bias is not None,
    )
    with torch.no_grad():
        grey.weight.copy_(colour.weight.sum(1, keepdim=True))
        if grey.bias is not None and colour.bias is not None:
            grey.bias.copy_(colour.bias)
    return grey


def fetch(weights: WeightsEnum) -> dict[str, Tensor]:
    """Their state dict, from torch's cache or the network.

    Raises:
        WeightsUnavailable: neither has it.
    """
    try:
        state: dict[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as exc:  # no network, an HTTP error, a wrong hash
        raise WeightsUnavailable(
            f"cannot fetch {weights} from {weights.url}: {exc}; put the file into "
            f"{torch.hub.get_dir()}/checkpoints, or train from scratch with pretrained=False"
        ) from exc
    return state
