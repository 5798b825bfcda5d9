"""One loop that trains M: segmenter and classifier together, on images made beforehand."""

import json
import math
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from seacanary_models.augment import vary_image
from seacanary_models.classifier import ClassifierConfig, MaskGuidedClassifier
from seacanary_models.datasets import WindowSet


class TrainingConfig(BaseModel):
    """Everything that decides a training run, besides the windows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(1, ge=0, description="of weights, order and image variation")
    epochs: int = Field(8, gt=0, description="times every window is seen")
    batch_size: int = Field(16, gt=0)
    learning_rate: float = Field(2e-3, gt=0, description="highest rate of the one-cycle schedule")
    warmup_share: float = Field(0.08, ge=0, lt=1, description="share of the run in which the rate rises")
    weight_decay: float = Field(0.02, ge=0)
    mask_loss: float = Field(1.0, ge=0, description="weight of the segmenter's loss beside the classifier's")
    call_pixel_weight: float = Field(4.0, gt=0, description="a call pixel counts this many background pixels")
    mix_share: float = Field(0.15, ge=0, le=1, description="share of images laid over another one")
    ema_decay: float = Field(0.995, ge=0, lt=1, description="of the averaged weights that are kept")
    max_minutes: float | None = Field(None, gt=0, description="the schedule is shortened to end by then")
    threads: int = Field(2, gt=0, description="CPU threads of torch")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="bfloat16 pays only where the processor has it: elsewhere it is ten times slower"
    )
    classifier: ClassifierConfig = Field(default_factory=ClassifierConfig)


PRESETS: dict[str, tuple[int, TrainingConfig]] = {
    "smoke": (128, TrainingConfig(epochs=1, max_minutes=2)),
    "cpu": (5376, TrainingConfig(epochs=10, max_minutes=40)),
}


@dataclass(frozen=True, slots=True)
class Step:
    """Where a run stands, for whoever shows it."""

    done_share: float
    epoch: int
    mask_loss: float
    call_loss: float


def train(
    windows: WindowSet,
    config: TrainingConfig,
    *,
    checkpoint: Path,
    report: Callable[[Step], None],
    start_from: Path | None = None,
) -> MaskGuidedClassifier:
    """Train, or go on from the checkpoint if it is there; returns the averaged model in eval mode.

    `start_from` is a finished run's checkpoint whose averaged weights begin a new schedule.

    With `max_minutes` the schedule follows the clock where steps are slower than hoped, so two runs
    are then equal only in distribution; without it a seed gives the same run on the same machine.
    """
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    model = MaskGuidedClassifier(config.classifier) if start_from is None else load_model(start_from)
    before = None if start_from is None else run_facts(start_from)
    run = _Run(config, model, before=before, steps_per_epoch=len(windows) // config.batch_size)
    run.resume(checkpoint)
    while run.done_share < 1:
        order = np.random.default_rng((config.seed, run.epoch)).permutation(len(windows))
        for first in range(0, run.steps_per_epoch * config.batch_size, config.batch_size):
            rng = np.random.default_rng((config.seed, run.epoch, first))
            batch = draw_batch(rng, windows, order[first : first + config.batch_size], config.mix_share)
            report(run.step(*batch))
            if run.done_share >= 1:
                break
        run.epoch += 1
        run.save(checkpoint)
    return run.averaged()


class _Run:
    """Weights, their average, optimiser and schedule of one run."""

    def __init__(
        self,
        config: TrainingConfig,
        model: MaskGuidedClassifier,
        *,
        before: dict[str, str] | None,
        steps_per_epoch: int,
    ) -> None:
        self._before = before
        self._config, self.steps_per_epoch = config, steps_per_epoch
        self._model = model.to(memory_format=torch.channels_last)
        self._average = AveragedModel(
            self._model,
            multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay),  # type: ignore[no-untyped-call]  # torch's
            use_buffers=True,
        )
        self._optimizer = torch.optim.AdamW(
            self._model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self._began, self._spent_s = time.monotonic(), 0.0
        self._steps, self.epoch = 0, 0

    @property
    def done_share(self) -> float:
        """How much of the run is over, by steps or by the clock, whichever is further."""
        by_steps = self._steps / (self._config.epochs * self.steps_per_epoch)
        if self._config.max_minutes is None:
            return by_steps
        elapsed_s = self._spent_s + time.monotonic() - self._began
        return max(by_steps, elapsed_s / (60 * self._config.max_minutes))

    def step(self, images: Tensor, masks: Tensor, targets: Tensor, weights: Tensor) -> Step:
        """One batch forth and back."""
        rate = learning_rate(self._config, self.done_share)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._model.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=self._config.precision == "bfloat16"):
            output = self._model(images.to(memory_format=torch.channels_last))
        mask_loss = segmentation_loss(output.mask_logits.float(), masks, self._config.call_pixel_weight)
        call_loss = weighted_bce(output.call_logits.float(), targets, weights)
        self._optimizer.zero_grad(set_to_none=True)
        (self._config.mask_loss * mask_loss + call_loss).backward()  # type: ignore[no-untyped-call]  # torch's
        nn.utils.clip_grad_norm_(self._model.parameters(), 5.0)
        self._optimizer.step()
        self._average.update_parameters(self._model)
        self._steps += 1
        return Step(min(1.0, self.done_share), self.epoch, float(mask_loss.detach()), float(call_loss.detach()))

    def averaged(self) -> MaskGuidedClassifier:
        """The averaged model, ready to be evaluated."""
        model = MaskGuidedClassifier(self._config.classifier)
        model.load_state_dict(self._average.module.state_dict())
        return model.eval()

    def save(self, path: Path) -> None:
        """Keep everything needed to go on."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        torch.save(
            {
                "config": self._config.model_dump_json(),
                "model": self._model.state_dict(),
                "average": self._average.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "steps": self._steps,
                "epoch": self.epoch,
                "before": self._before,
                "spent_s": self._spent_s + time.monotonic() - self._began,
            },
            unfinished,
        )
        unfinished.rename(path)

    def resume(self, path: Path) -> None:
        """Take up a checkpoint of the same configuration, if there is one."""
        if not path.exists():
            return
        kept: dict[str, Any] = torch.load(path, weights_only=True)
        if kept["config"] != self._config.model_dump_json():
            raise ValueError(f"{path} was written under another configuration; remove it or name another")
        self._model.load_state_dict(kept["model"])
        self._average.load_state_dict(kept["average"])
        self._optimizer.load_state_dict(kept["optimizer"])
        self._steps, self.epoch, self._spent_s = kept["steps"], kept["epoch"], kept["spent_s"]


def load_model(checkpoint: Path) -> MaskGuidedClassifier:
    """The averaged model of a checkpoint, in eval mode."""
    kept: dict[str, Any] = torch.load(checkpoint, weights_only=True)
    config = TrainingConfig.model_validate_json(kept["config"])
    model = MaskGuidedClassifier(config.classifier)
    prefix = "module."
    weights = {k.removeprefix(prefix): v for k, v in kept["average"].items() if k.startswith(prefix)}
    model.load_state_dict(weights)
    return model.eval()


def run_facts(checkpoint: Path) -> dict[str, str]:
    """How a checkpoint came about: its configuration, steps and minutes, and the run it went on from."""
    kept: dict[str, Any] = torch.load(checkpoint, weights_only=True)
    before = {"begun_from": json.dumps(kept["before"])} if kept.get("before") else {}
    return before | {
        "config": kept["config"],
        "steps": str(kept["steps"]),
        "training_minutes": f"{kept['spent_s'] / 60:.1f}",
        "torch": str(torch.__version__),
    }


def learning_rate(config: TrainingConfig, done_share: float) -> float:
    """Linear rise, then half a cosine down to a hundredth."""
    if done_share < config.warmup_share:
        return config.learning_rate * max(0.02, done_share / config.warmup_share)
    fall = (min(done_share, 1.0) - config.warmup_share) / (1 - config.warmup_share)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * fall)))


def segmentation_loss(logits: Tensor, masks: Tensor, call_pixel_weight: float) -> Tensor:
    """Pixel cross-entropy with call pixels weighted up, plus soft Dice over the batch.

    Args:
        logits: float32 [B, 2, H, W], background and call.
        masks: int64 [B, H, W], 1 where a call is.
    """
    entropy = F.cross_entropy(logits, masks, weight=logits.new_tensor((1.0, call_pixel_weight)))
    call = logits.softmax(dim=1)[:, 1]
    overlap = (call * masks).sum()
    dice = 1 - (2 * overlap + 1) / (call.sum() + masks.sum() + 1)
    return entropy + 0.5 * dice


def weighted_bce(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Binary cross-entropy over call types [B, K], left out where the weight is 0."""
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (entropy * weights).sum() / weights.sum().clamp_min(1.0)


def draw_batch(
    rng: np.random.Generator, windows: WindowSet, chosen: NDArray[np.int64], mix_share: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Vary the chosen windows into one batch.

    Returns:
        images float32 [B, 1, H, W], masks int64 [B, H, W], targets and weights float32 [B, K].
    """
    rows = [_draw_example(rng, windows, int(index), mix_share) for index in chosen]
    images, masks, targets, weights = (np.stack(column) for column in zip(*rows, strict=True))
    return (
        torch.from_numpy(images[:, None]),
        torch.from_numpy(masks.astype(np.int64)),
        torch.from_numpy(targets),
        torch.from_numpy(weights),
    )


def _draw_example(
    rng: np.random.Generator, windows: WindowSet, index: int, mix_share: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32], NDArray[np.float32]]:
    image, marks = windows.image[index], windows.marks[index]
    targets, weights = windows.targets[index], windows.weights[index]
    if rng.random() < mix_share:  # the louder of two sounds is what a log spectrogram shows
        other = int(rng.integers(len(windows)))
        image = np.maximum(image, windows.image[other])
        marks = marks | windows.marks[other]
        certain = np.minimum(weights, windows.weights[other])
        targets = np.maximum(targets, windows.targets[other])
        weights = np.where(targets > 0, 1.0, certain).astype(np.float32)
    varied, marked = vary_image(rng, image.astype(np.float32) / 255, marks > 0)
    return varied, marked, targets, weights


def git_commit(folder: Path) -> str:
    """Commit the code is at, with a plus sign if files differ from it; 'unknown' outside a repository."""
    try:
        head = _git(folder, "rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git(folder, "status", "--porcelain", "--", "models", "service") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ("git", "-C", str(folder), *arguments), check=True, capture_output=True, text=True
    ).stdout.strip()
