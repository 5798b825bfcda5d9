"""Training examples in memory, and the batches drawn from them."""

from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seacanary_models.augment import Example, mixed, stitched, vary
from seacanary_models.datasets import WindowSet
from seacanary_models.mgc_benchmark import BenchmarkWindows


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """What a training run learns from.

    Attributes:
        image: uint8 [n, 256, 256].
        other_image: uint8 [n, 256, 256], the same windows through another transform; None: there is none.
        marks: uint8 [n, 256, 256], bit k set where a call of type k is heard.
        guide: uint8 [n, 256, 256], 255 times the mask given to the classifier; None: it makes its own.
        targets: float32 [n, K].
        weights: float32 [n, K].
    """

    image: NDArray[np.uint8]
    marks: NDArray[np.uint8]
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]
    other_image: NDArray[np.uint8] | None = None
    guide: NDArray[np.uint8] | None = None

    @classmethod
    def of_windows(cls, windows: WindowSet) -> Self:
        """Examples of a workshop window set."""
        return cls(windows.image, windows.marks, windows.targets, windows.weights)

    @classmethod
    def of_benchmark(cls, windows: BenchmarkWindows, *, guide: NDArray[np.uint8] | None = None) -> Self:
        """Examples of a benchmark part, where every call type's presence is known."""
        targets = windows.targets
        return cls(windows.image, windows.marks, targets, np.ones_like(targets), windows.other_image, guide)

    def first(self, count: int) -> "Examples":
        """The first `count` examples."""
        return self if count >= len(self) else self.chosen(np.arange(count))

    @property
    def digest(self) -> str:
        """SHA-256 over what is learned from: images of every 16th example, all marks' sums, all targets."""
        total = sha256()
        sample = slice(None, None, 16)
        sums = self.marks.sum(axis=(1, 2), dtype=np.int64)
        for array in (self.image[sample], sums, self.targets, self.weights):
            total.update(np.ascontiguousarray(array).tobytes())
        for other in (self.other_image, self.guide):
            total.update(b"" if other is None else np.ascontiguousarray(other[sample]).tobytes())
        return total.hexdigest()

    def chosen(self, indices: NDArray[np.int64]) -> "Examples":
        """Some of the examples, in the order of the indices."""
        return Examples(
            self.image[indices],
            self.marks[indices],
            self.targets[indices],
            self.weights[indices],
            None if self.other_image is None else self.other_image[indices],
            None if self.guide is None else self.guide[indices],
        )

    def joined(self, others: "Examples") -> "Examples":
        """These examples and others, without given masks; where none is there, T's image is the other one."""
        return Examples(
            np.concatenate([self.image, others.image]),
            np.concatenate([self.marks, others.marks]),
            np.concatenate([self.targets, others.targets]),
            np.concatenate([self.weights, others.weights]),
            np.concatenate([e.image if e.other_image is None else e.other_image for e in (self, others)]),
        )

    def __len__(self) -> int:
        return int(self.targets.shape[0])

    def one(self, rng: np.random.Generator, index: int, other_share: float) -> Example:
        """Example `index`; in a share of draws as another transform shows it."""
        image = self.image[index]
        if self.other_image is not None and rng.random() < other_share:
            image = self.other_image[index]
        guide = None if self.guide is None else self.guide[index].astype(np.float32) / 255
        pixels = image.astype(np.float32) / 255
        return Example(pixels, self.marks[index], guide, self.targets[index], self.weights[index])


class Variation(NamedTuple):
    """Shares of examples that are varied together with another one, or seen through another transform."""

    mix: float = 0.15
    stitch: float = 0.0
    other_transform: float = 0.0


class Batch(NamedTuple):
    """What one step learns from.

    Attributes:
        images: float32 [B, 1, H, W].
        masks: int64 [B, H, W], 1 where any call is.
        guide: float32 [B, H, W], or None.
        targets: float32 [B, K].
        weights: float32 [B, K].
    """

    images: Tensor
    masks: Tensor
    guide: Tensor | None
    targets: Tensor
    weights: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""
        return Batch(*(None if part is None else part.to(device) for part in self))  # type: ignore[arg-type]  # guide alone is ever None


def draw_batch(rng: np.random.Generator, examples: Examples, chosen: NDArray[np.int64], variation: Variation) -> Batch:
    """Vary the chosen examples into one batch; the generator decides everything."""
    return _stacked([_drawn(rng, examples, int(index), variation) for index in chosen])


def plain_batch(examples: Examples, chosen: NDArray[np.int64]) -> Batch:
    """The chosen examples as they are."""
    rng = np.random.default_rng(0)
    return _stacked([examples.one(rng, int(index), 0.0) for index in chosen])


def _drawn(rng: np.random.Generator, examples: Examples, index: int, variation: Variation) -> Example:
    example = examples.one(rng, index, variation.other_transform)
    draw = rng.random()
    if draw < variation.mix + variation.stitch:
        second = examples.one(rng, int(rng.integers(len(examples))), variation.other_transform)
        if draw < variation.mix:
            example = mixed(example, second)
        else:
            example = stitched(example, second, int(rng.integers(32, example.image.shape[1] - 32)))
    return vary(rng, example)


def _stacked(rows: list[Example]) -> Batch:
    guides = [row.guide for row in rows if row.guide is not None]
    return Batch(
        torch.from_numpy(np.stack([row.image for row in rows])[:, None]),
        torch.from_numpy((np.stack([row.marks for row in rows]) > 0).astype(np.int64)),
        torch.from_numpy(np.stack(guides)) if guides else None,
        torch.from_numpy(np.stack([row.targets for row in rows])),
        torch.from_numpy(np.stack([row.weights for row in rows])),
    )
