"""Images in few steps: what M sees, whether an image came straight from T or was sent as bytes.

63 steps over 50 dB are 0.8 dB each, well under the spread of one pixel of noise, and an image in
them is a third smaller on the wire than one in 255.
"""

from typing import Final, TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)

STEPS: Final = 63


def on_byte_grid(image: Tensor) -> Tensor:
    """An image [B, 1, 256, 256] rounded to multiples of 1 / STEPS; one that lies on them stays as it is.

    An image that was sent as bytes and one that came straight from T are then the same to M.
    """
    return torch.round(image * STEPS) / STEPS


def seeing_steps(model: M) -> M:
    """The same model, its image put on the grid before anything else sees it: as it is exported."""
    model.register_forward_pre_hook(lambda _, inputs: (on_byte_grid(inputs[0]), *inputs[1:]))
    return model
