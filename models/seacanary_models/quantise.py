"""int8: the convolutions of M in eight bits, everything else left as it is.

Weights are signed and per channel, activations unsigned, ranges from given images. The soft
mask, the attention and T stay in fp32: a distance or a softmax in eight bits moves every
tenth pixel of a mask.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from seacanary_models.onnx_files import MODEL_FILE, quiet

BATCH: Final = 16
# A ReLU behind a convolution is folded into the range of the convolution's output; other ReLUs stay.
_QUANTISED: Final = ["Conv", "Relu"]


class _Images(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime declares no types
    """Feeds M's input to the calibrator, a batch at a time."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self._batches = self._cut(images)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next feed; None when there is no more."""
        return next(self._batches, None)

    @staticmethod
    def _cut(images: NDArray[np.uint8]) -> Iterator[dict[str, NDArray[np.float32]]]:
        for first in range(0, len(images), BATCH):
            yield {"image": as_input(images[first : first + BATCH])}


def as_input(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """M's input [n, 1, 256, 256] in [0, 1] of images uint8 [n, 256, 256]."""
    return np.divide(images[:, np.newaxis], np.float32(255), dtype=np.float32)


def quantised(model: Path, images: NDArray[np.uint8]) -> onnx.ModelProto:
    """The int8 graph of an fp32 M.

    Weights keep to seven bits: without VNNI instructions an x86 CPU adds two 8-bit products in
    sixteen bits, which then overflow, and the answer would depend on the CPU.

    Args:
        model: model.onnx in fp32, batch norms folded into the convolutions.
        images: uint8 [n, 256, 256], like those M will see, none of them used to judge it.

    Raises:
        ValueError: there is no image.

    Source: static quantisation after Jacob et al. (2018), Quantization and Training of Neural
    Networks for Efficient Integer-Arithmetic-Only Inference.
    """
    if not len(images):
        raise ValueError("int8 needs images to calibrate on, got none")
    with tempfile.TemporaryDirectory() as folder, quiet("root"):
        path = Path(folder) / MODEL_FILE
        quantize_static(
            model,
            path,
            _Images(images),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_QUANTISED,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        return onnx.load(path)
