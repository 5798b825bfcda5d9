"""Few-shot segmentation: how well the segmenter alone does after 25, 50, 100, 200 or 400 masks.

The masks of one size are among those of the next. Each is shown as it is and flipped in time, which
doubles them. Every size gets the same number of steps, so what differs is what was seen, not how long.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F

from seacanary.errors import SeaCanaryError
from seacanary_models.masked_windows import MaskedWindows, digest_of, doubled
from seacanary_models.metrics import mask_iou

SegmenterFactory = Callable[[], nn.Module]


class FewShotConfig(BaseModel):
    """What decides a few-shot run, besides the windows and the network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sizes: tuple[int, ...] = Field((25, 50, 100, 200, 400), min_length=1, description="masks learned from")
    steps: int = Field(500, gt=0, description="per size; at 0.21 s each, five sizes take 9 minutes on one core")
    batch_size: int = Field(8, gt=1)
    learning_rate: float = Field(3e-3, gt=0, description="highest rate of the one-cycle schedule")
    weight_decay: float = Field(0.02, ge=0)
    call_pixel_weight: float = Field(1.0, gt=0, description="a call pixel counts this many background pixels")
    held_out: int = Field(256, gt=0, description="windows that IoU is measured on")
    seed: int = Field(1, ge=0, description="of weights, choice and order")
    threads: int = Field(1, gt=0, description="CPU threads of torch")


class SizeResult(BaseModel):
    """What a number of masks was worth."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    masks: int
    examples: int = Field(description="with the flipped ones")
    iou_pooled: float | None = Field(description="shared over united pixels of all held-out windows")
    iou_mean: float | None = Field(description="mean over held-out windows with a call")
    precision: float | None = Field(description="of pixels")
    recall: float | None = Field(description="of pixels")
    final_loss: float = Field(description="mean cross-entropy of the last tenth of the steps")
    minutes: float


class FewShotReport(BaseModel):
    """A run; written after every size, so that it can go on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    segmenter: str
    config: FewShotConfig
    windows_sha256: str = Field(description="of the images and masks that were learned from and measured on")
    held_out_windows: int
    held_out_with_calls: int
    results: tuple[SizeResult, ...] = ()


@dataclass(frozen=True, slots=True)
class FewShotStep:
    """Where a run stands, for whoever shows it."""

    masks: int
    step: int
    loss: float


def run_few_shot(
    learn: MaskedWindows,
    held_out: MaskedWindows,
    config: FewShotConfig,
    *,
    factory: SegmenterFactory,
    segmenter: str,
    out: Path,
    report: Callable[[FewShotStep], None],
) -> FewShotReport:
    """Train and measure every size that `out` does not hold yet.

    Args:
        learn: at least as many windows as the largest size, from `teachers` or `split_windows`.
        held_out: windows to measure on.
        config: sizes, steps and so on.
        factory: makes a fresh network, image [B, 1, 256, 256] to logits [B, 2, 256, 256].
        segmenter: its name, for the report.
        out: the report's JSON file; one of the same run is gone on with.
        report: called after every step.

    Raises:
        SeaCanaryError: `out` holds another run.
    """
    torch.set_num_threads(config.threads)
    run = FewShotReport(
        segmenter=segmenter,
        config=config,
        windows_sha256=digest_of(learn, held_out),
        held_out_windows=len(held_out.image),
        held_out_with_calls=int(held_out.call.any(axis=(1, 2)).sum()),
    )
    run = _resumed(run, out)
    for size in config.sizes:
        if size not in {result.masks for result in run.results}:
            result = _result(learn.chosen(slice(size)), held_out, config, factory=factory, report=report)
            run = run.model_copy(update={"results": (*run.results, result)})
            _write(run, out)
    return run


def train_segmenter(
    learn: MaskedWindows,
    config: FewShotConfig,
    *,
    factory: SegmenterFactory,
    report: Callable[[FewShotStep], None],
) -> tuple[nn.Module, list[float]]:
    """A network trained by pixel-wise cross-entropy on the masks and their flipped copies, and every step's loss."""
    torch.manual_seed(config.seed)
    model = factory().train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.learning_rate, total_steps=config.steps + 1)
    weight = torch.tensor((1.0, config.call_pixel_weight))
    both = doubled(learn)
    rng, losses = np.random.default_rng((config.seed, 2)), []
    for step, chosen in enumerate(_orders(rng, len(both.image), config), start=1):
        logits = model(_images(both.image[chosen]))
        loss = F.cross_entropy(logits, torch.from_numpy(both.call[chosen].astype(np.int64)), weight=weight)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        report(FewShotStep(len(learn.image), step, losses[-1]))
    return model.eval(), losses


@torch.inference_mode()
def segment(model: nn.Module, image: NDArray[np.uint8], *, batch_size: int = 16) -> NDArray[np.bool_]:
    """Pixels that are likelier call than background, bool [n, 256, 256]."""
    parts = []
    for first in range(0, len(image), batch_size):
        logits: Tensor = model(_images(image[first : first + batch_size]))
        parts.append((logits[:, 1] > logits[:, 0]).numpy())
    return np.concatenate(parts)


def _result(
    learn: MaskedWindows,
    held_out: MaskedWindows,
    config: FewShotConfig,
    *,
    factory: SegmenterFactory,
    report: Callable[[FewShotStep], None],
) -> SizeResult:
    began = time.monotonic()
    model, losses = train_segmenter(learn, config, factory=factory, report=report)
    seen, truth = segment(model, held_out.image), held_out.call
    shared, with_call = int((seen & truth).sum()), truth.any(axis=(1, 2))
    return SizeResult(
        masks=len(learn.image),
        examples=2 * len(learn.image),
        iou_pooled=_share(shared, int((seen | truth).sum())),
        iou_mean=float(mask_iou(seen[with_call], truth[with_call]).mean()) if with_call.any() else None,
        precision=_share(shared, int(seen.sum())),
        recall=_share(shared, int(truth.sum())),
        final_loss=float(np.mean(losses[-max(1, len(losses) // 10) :])),
        minutes=round((time.monotonic() - began) / 60, 2),
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _orders(rng: np.random.Generator, examples: int, config: FewShotConfig) -> list[NDArray[np.int64]]:
    """Examples of every step: all of them once, in another order each time round."""
    rounds = -(-config.steps * config.batch_size // examples)
    order = np.concatenate([rng.permutation(examples) for _ in range(rounds)])
    return list(order[: config.steps * config.batch_size].reshape(config.steps, config.batch_size))


def _images(image: NDArray[np.uint8]) -> Tensor:
    scaled = torch.from_numpy(image[:, None].astype(np.float32) / 255)
    return scaled.to(memory_format=torch.channels_last)


def _resumed(run: FewShotReport, out: Path) -> FewShotReport:
    if not out.exists():
        return run
    kept = FewShotReport.model_validate_json(out.read_bytes())
    if kept.model_copy(update={"results": ()}) != run:
        raise SeaCanaryError(f"{out} holds a run of other windows or settings; remove it or name another file")
    return kept


def _write(run: FewShotReport, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_suffix(".part")
    unfinished.write_text(json.dumps(run.model_dump(mode="json"), indent=1) + "\n", encoding="utf-8")
    unfinished.rename(out)
