"""Images in steps of 1/255: what M learns from, and what fits one byte a pixel."""

from typing import Final

import torch
from torch import Tensor

STEPS: Final = 255.0


def on_byte_grid(image: Tensor) -> Tensor:
    """An image [B, 1, 256, 256] rounded to the grid; one that lies on it stays as it is.

    An image that was sent as bytes and one that came straight from T are then the same to M.
    """
    return torch.round(image * STEPS) / STEPS
