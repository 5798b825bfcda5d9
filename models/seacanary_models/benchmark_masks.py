"""Masks that guide the benchmark's networks: exact ones, and those of one frozen segmenter, made once."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from seacanary_models.classifier import ClassifierConfig, MaskGuidedClassifier, mask_probability
from seacanary_models.examples import Examples
from seacanary_models.mgc_benchmark import SIZES, BenchmarkPart, BenchmarkWindows, load_part
from seacanary_models.training import train
from seacanary_models.training_config import TrainingConfig

MASKS_LEARNED: Final = 200  # as published: few-shot, doubled by flipping
BATCH: Final = 64
SEGMENTER: Final = TrainingConfig(
    seed=7, epochs=24, batch_size=16, learning_rate=3e-3, ema_decay=0.98, mix_share=0.1, threads=1,
    classifier=ClassifierConfig(preset="compact"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MaskCache:
    """Reads masks of a benchmark part; those of the segmenter are made when first asked for.

    Attributes:
        folder: where windows and masks are kept.
    """

    folder: Path

    def guide(
        self,
        masks: Literal["none", "hand_made", "generated", "soft"],
        windows: BenchmarkWindows,
        part: BenchmarkPart,
        *,
        shifted: bool = False,
    ) -> NDArray[np.uint8] | None:
        """Masks uint8 [n, 256, 256], 255 = call; None where the network takes none.

        A soft mask begins as a generated one: the classifier itself lets it fade.
        """
        if masks == "none":
            return None
        if masks == "hand_made":
            return (windows.marks > 0).astype(np.uint8) * np.uint8(255)
        path = self.folder / "mgc-masks" / f"{part}{'-shifted' if shifted else ''}.npy"
        if not path.exists():
            self._segment(windows.other_image if shifted else windows.image, path)
        generated: NDArray[np.uint8] = np.load(path)
        return generated

    def make_all(self) -> None:
        """Make every generated mask that is missing, so that workers side by side only read."""
        for part in SIZES:
            windows = load_part(part, cache=self.folder)
            self.guide("generated", windows, part)
            if part == "test":
                self.guide("generated", windows, part, shifted=True)

    def _segment(self, images: NDArray[np.uint8], path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        masks = segmented(self.segmenter(), images)
        unfinished = path.with_name(f"{path.stem}.{os.getpid()}.part.npy")
        np.save(unfinished, masks)
        unfinished.rename(path)

    def segmenter(self) -> MaskGuidedClassifier:
        """The frozen segmenter: learned from MASKS_LEARNED exact masks of part train."""
        windows = load_part("train", cache=self.folder)
        chosen = np.flatnonzero((windows.marks > 0).any(axis=(1, 2)))[:MASKS_LEARNED]
        examples = Examples.of_benchmark(windows).chosen(chosen)
        return train(examples, SEGMENTER, checkpoint=self.folder / "mgc-masks" / "segmenter.pt", report=lambda _: None)


@torch.inference_mode()
def segmented(model: MaskGuidedClassifier, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The model's own hard masks, uint8 [n, 256, 256], 255 = call.

    Raises:
        ValueError: the model has no segmenter.
    """
    if model.segmenter is None:
        raise ValueError("this model makes no masks: its segmenter is 'given'")
    masks = []
    for first in range(0, len(images), BATCH):
        batch = torch.from_numpy(images[first : first + BATCH][:, None].astype(np.float32) / 255)
        probability = mask_probability(model.segmenter(batch.to(memory_format=torch.channels_last)))
        masks.append((probability > model.config.mask_threshold).to(torch.uint8).numpy() * np.uint8(255))
    return np.concatenate(masks)
