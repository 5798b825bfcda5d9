"""T and M apart: a station makes images of its windows, a worker judges them elsewhere."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from seacanary.audio import Window
from seacanary.contract import ModelContract
from seacanary.detection import DetectorSection, Reading, answer_of, stacked_pcm
from seacanary.errors import ModelRefused
from seacanary.observations import Detection, Placed
from seacanary.onnx_sessions import (
    MODEL_FILE,
    TRANSFORM_FILE,
    SessionPool,
    bundled_model,
    check_shapes,
    contract_of,
    image_shape,
    model_shapes,
    on_gpu,
    open_session,
    require_runtime,
    transform_shapes,
)

if TYPE_CHECKING:
    import onnxruntime as ort


class PlacedImage(Placed, Protocol):
    """T's image of a window, with the window's place in its stream."""

    @property
    def image(self) -> NDArray[np.uint8]:
        """uint8 [rows, columns], 0 to the contract's image_steps for 0 to 1."""


class Transformer:
    """T alone: windows in, images out. Blocks while it runs; calls may overlap."""

    def __init__(self, sessions: Sequence["ort.InferenceSession"], contract: ModelContract) -> None:
        self.contract = contract
        self.provider = sessions[0].get_providers()[0]
        self._pool = SessionPool(sessions, in_turn=not on_gpu(sessions[0]))

    @classmethod
    def load(cls, section: DetectorSection) -> Self:
        """Open T and check it against its contract; the folder need not hold M.

        Raises:
            ModelRefused: the file is missing or damaged, or its contract is wrong.
            ProviderRefused: no provider asked for is really there.
        """
        path = (section.path or bundled_model()) / TRANSFORM_FILE
        sessions, contract = _open(path, section)
        check_shapes(sessions[0], transform_shapes(contract), path)
        return cls(sessions, contract)

    def images(self, windows: Sequence[Window]) -> list[NDArray[np.uint8]]:
        """The image of each window, uint8 [rows, columns], read-only, 0 to the contract's image_steps for 0 to 1."""
        return self._pool.answers(self._images, windows)

    def close(self) -> None:
        """Stop the inference threads."""
        self._pool.close()

    def _images(self, transform: "ort.InferenceSession", windows: Sequence[Window]) -> list[NDArray[np.uint8]]:
        (image,) = transform.run(["image"], {"pcm": stacked_pcm(windows)})
        return [as_bytes(one, self.contract.image_steps) for one in np.squeeze(image, axis=1)]


class ImageJudge:
    """M alone: images in, the Detections out that Detector.detect would give of their windows.

    They are equal to the bit where Detector's M rounds its image to the contract's steps and
    answers windows one by one, as on a CPU. Blocks while it runs; calls may overlap.
    """

    def __init__(
        self, sessions: Sequence["ort.InferenceSession"], contract: ModelContract, *, keep_masks: bool
    ) -> None:
        self.contract = contract
        self.provider = sessions[0].get_providers()[0]
        self._shape = image_shape(contract)
        self._device = "cuda" if on_gpu(sessions[0]) else "cpu"
        self._pool = SessionPool(sessions, in_turn=self._device == "cpu")
        self._reading = Reading(contract, keep_masks=keep_masks)

    @classmethod
    def load(cls, section: DetectorSection) -> Self:
        """Open M and check it against its contract; the folder need not hold T.

        Raises:
            ModelRefused: the file is missing or damaged, or its contract is wrong.
            ProviderRefused: no provider asked for is really there.
        """
        path = (section.path or bundled_model()) / MODEL_FILE
        sessions, contract = _open(path, section)
        check_shapes(sessions[0], model_shapes(contract), path)
        return cls(sessions, contract, keep_masks=section.keep_masks)

    def judge(self, images: Sequence[PlacedImage]) -> list[Detection]:
        """Classify images of one or more hydrophones; results in the same order.

        Raises:
            ModelRefused: an image is not of the contract's shape.
        """
        for image in images:
            if image.image.shape != self._shape:
                raise ModelRefused(
                    f"{image.hydrophone}: an image of {image.image.shape}, but M takes {self._shape}; "
                    "station and worker must run the same model"
                )
        return self._pool.answers(self._judge_part, images)

    def close(self) -> None:
        """Stop the inference threads."""
        self._pool.close()

    def _judge_part(self, model: "ort.InferenceSession", images: Sequence[PlacedImage]) -> list[Detection]:
        import onnxruntime as ort

        pixels = np.stack([image.image for image in images])[:, np.newaxis]
        batch = pixels.astype(np.float32) / np.float32(self.contract.image_steps)
        return self._reading.detections(images, answer_of(model, ort.OrtValue.ortvalue_from_numpy(batch, self._device)))


def as_bytes(image: NDArray[np.float32], steps: int) -> NDArray[np.uint8]:
    """Round 0 to 1 to 0 to steps, halves to even, as ONNX's Round does."""
    scaled: NDArray[np.uint8] = np.rint(np.clip(image, 0, 1) * np.float32(steps)).astype(np.uint8)
    scaled.setflags(write=False)
    return scaled


def _open(path: Path, section: DetectorSection) -> tuple[list["ort.InferenceSession"], ModelContract]:
    require_runtime()
    sessions = [open_session(path, section.providers) for _ in range(section.sessions)]
    return sessions, contract_of(sessions[0], path)
