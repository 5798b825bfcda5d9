"""Windows made ready for the classical references: T's image, click trials, and whether a whistle sounds."""

import multiprocessing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
from numpy.typing import NDArray

from seacanary.simulation import Rendered
from seacanary_models.click_trials import ClickTrials, click_trials, joined
from seacanary_models.mgc_benchmark import BenchmarkPart, benchmark_window
from seacanary_models.transforms import CompositeSpectrogram


@dataclass(frozen=True, slots=True, eq=False)
class ClassicalWindows:
    """Windows that the model and the references both judge.

    Attributes:
        images: uint8 [windows, 256, 256], T's, 255 = the top of its range.
        trials: clicks of all windows.
        whistle: bool [windows], True where a whistle sounds.
    """

    images: NDArray[np.uint8]
    trials: ClickTrials
    whistle: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.images)


def examined(window: Rendered) -> ClassicalWindows:
    """One window of 393216 samples at 384 kHz with its truth."""
    return ClassicalWindows(
        images=_image(window.samples)[None],
        trials=click_trials(window.samples, window.stems),
        whistle=np.array(["whistle" in window.stems]),
    )


def together(windows: Iterable[ClassicalWindows]) -> ClassicalWindows:
    """Many windows as one set, in order."""
    parts = list(windows)
    return ClassicalWindows(
        images=np.concatenate([part.images for part in parts]),
        trials=joined(part.trials for part in parts),
        whistle=np.concatenate([part.whistle for part in parts]),
    )


def benchmark_windows(part: BenchmarkPart, count: int, *, workers: int) -> Iterator[ClassicalWindows]:
    """The benchmark's first windows of a simulated part, one by one, in order."""
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(partial(_examined_at, part), range(count), chunksize=8)


def _examined_at(part: BenchmarkPart, index: int) -> ClassicalWindows:
    torch.set_num_threads(1)
    return examined(benchmark_window(part, index))


@cache
def _transform() -> CompositeSpectrogram:
    return CompositeSpectrogram().eval()


@torch.inference_mode()
def _image(pcm: NDArray[np.float32]) -> NDArray[np.uint8]:
    image = _transform()(torch.tensor(pcm)[None])[0, 0].numpy()
    return np.asarray(np.round(image * 255), np.uint8)
