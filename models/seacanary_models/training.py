"""One loop that trains every network: segmenter and classifier together, or a classifier on given masks."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from seacanary_models.checkpoints import git_commit, load_model, read_checkpoint, run_facts, write_checkpoint
from seacanary_models.classifier import MaskGuidedClassifier
from seacanary_models.examples import Batch, Examples, Variation, draw_batch, plain_batch
from seacanary_models.heads import joint_loss
from seacanary_models.losses import segmentation_loss, weighted_bce
from seacanary_models.training_config import TrainingConfig, learning_rate

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

CHECKPOINT_EVERY_STEPS = 64


@dataclass(frozen=True, slots=True)
class Step:
    """Where a run stands, for whoever shows it.

    Attributes:
        mask_loss: 0 where masks are given.
    """

    done_share: float
    epoch: int
    mask_loss: float
    call_loss: float


def train(
    examples: Examples,
    config: TrainingConfig,
    *,
    checkpoint: Path,
    report: Callable[[Step], None],
    validation: Examples | None = None,
    start_from: Path | None = None,
    log_folder: Path | None = None,
) -> MaskGuidedClassifier:
    """Train, or go on from the checkpoint if it is there; returns the averaged model in eval mode.

    With `max_minutes` the schedule follows the clock where steps are slower than hoped, so two runs
    are then equal only in distribution; without it a seed gives the same run on the same machine,
    wherever it was interrupted.

    Args:
        examples: what is learned from.
        config: everything else that decides the run.
        checkpoint: kept every few steps; of the same configuration if it is there.
        report: called after each step.
        validation: judged after each epoch; needed for `patience`.
        start_from: a finished run's checkpoint whose averaged weights begin a new schedule.
        log_folder: where TensorBoard's logs go; None: nowhere.

    Raises:
        ValueError: the checkpoint is another configuration's or of other examples, start_from holds another
            network, or patience has no validation examples.
        RuntimeError: the device is not there.
    """
    if config.patience is not None and validation is None:
        raise ValueError("patience needs validation examples to judge by; give them, or leave patience out")
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    model, before = _begun(config, start_from)
    run = _Run(
        config, model, before=before, steps_per_epoch=len(examples) // config.batch_size, examples=examples.digest
    )
    run.resume(checkpoint)
    with _writer(log_folder) as writer:
        while not run.over:
            run.epoch_over(examples, checkpoint=checkpoint, report=_reporter(run, report, writer))
            if validation is not None:
                loss = run.judge(validation)
                if writer is not None:
                    writer.add_scalar("validation/call_loss", loss, run.steps)
            run.save(checkpoint)
    return run.averaged()


def _begun(config: TrainingConfig, start_from: Path | None) -> tuple[MaskGuidedClassifier, dict[str, str] | None]:
    """A model to begin with, and the facts of the run that it comes from."""
    if start_from is not None:
        begun = load_model(start_from)
        if begun.config != config.classifier:
            raise ValueError(f"{start_from} holds another network than the configuration asks for: {begun.config!r}")
        return begun, run_facts(start_from)
    model = MaskGuidedClassifier(config.classifier)
    if config.classifier.pretrained:
        model.load_published_weights()
    return model, None


def _writer(folder: Path | None) -> "SummaryWriter | nullcontext[None]":
    if folder is None:
        return nullcontext()
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))


def _reporter(run: "_Run", report: Callable[[Step], None], writer: "SummaryWriter | None") -> Callable[[Step], None]:
    def tell(step: Step) -> None:
        if writer is not None:
            writer.add_scalar("train/call_loss", step.call_loss, run.steps)
            writer.add_scalar("train/mask_loss", step.mask_loss, run.steps)
            writer.add_scalar("train/learning_rate", run.rate, run.steps)
        report(step)

    return tell


class _Run:
    """Weights, their average, optimiser and schedule of one run."""

    def __init__(
        self,
        config: TrainingConfig,
        model: MaskGuidedClassifier,
        *,
        before: dict[str, str] | None,
        steps_per_epoch: int,
        examples: str,
    ) -> None:
        self._before, self._config, self._steps_per_epoch = before, config, steps_per_epoch
        self._examples, self._commit = examples, git_commit(Path(__file__).parent)
        self._device = torch.device(config.device)
        self._model = model.to(self._device).to(memory_format=torch.channels_last)
        self._average = AveragedModel(
            self._model,
            multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay),  # type: ignore[no-untyped-call]  # torch's
            use_buffers=True,
        )
        self._optimizer = torch.optim.AdamW(
            self._model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self._scaler = torch.amp.GradScaler(config.device, enabled=config.precision == "float16")
        self._began, self._spent_s = time.monotonic(), 0.0
        self.steps, self.rate = 0, 0.0
        self._best: dict[str, Tensor] | None = None
        self._losses: list[float] = []  # of validation, one per epoch

    @property
    def done_share(self) -> float:
        """How much of the run is over, by steps or by the clock, whichever is further."""
        by_steps = self.steps / (self._config.epochs * self._steps_per_epoch)
        if self._config.max_minutes is None:
            return by_steps
        elapsed_s = self._spent_s + time.monotonic() - self._began
        return max(by_steps, elapsed_s / (60 * self._config.max_minutes))

    @property
    def over(self) -> bool:
        """Whether the schedule is done, or validation has not improved for the patience's epochs."""
        patience, losses = self._config.patience, self._losses
        stale = len(losses) - 1 - losses.index(min(losses)) if losses else 0
        return self.done_share >= 1 or (patience is not None and stale >= patience)

    def epoch_over(self, examples: Examples, *, checkpoint: Path, report: Callable[[Step], None]) -> None:
        """The rest of the epoch that the run is in; order and variation come from seed, epoch and place."""
        config, epoch = self._config, self.steps // self._steps_per_epoch
        order = np.random.default_rng((config.seed, epoch)).permutation(len(examples))
        variation = Variation(config.mix_share, config.stitch_share, config.other_transform_share)
        for place in range(self.steps % self._steps_per_epoch, self._steps_per_epoch):
            first = place * config.batch_size
            rng = np.random.default_rng((config.seed, epoch, first))
            batch = draw_batch(rng, examples, order[first : first + config.batch_size], variation)
            report(self._step(batch.to(self._device), epoch))
            if self.done_share >= 1:
                return
            if self.steps % CHECKPOINT_EVERY_STEPS == 0 and self.steps % self._steps_per_epoch:
                self.save(checkpoint)

    def _step(self, batch: Batch, epoch: int) -> Step:
        """One batch forth and back."""
        self.rate = learning_rate(self._config, self.done_share)
        for group in self._optimizer.param_groups:
            group["lr"] = self.rate
        self._model.train()
        mask_loss, call_loss = self._losses_of(self._model, batch)
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(self._config.mask_loss * mask_loss + call_loss).backward()  # type: ignore[no-untyped-call]  # torch's
        self._scaler.unscale_(self._optimizer)
        nn.utils.clip_grad_norm_(self._model.parameters(), 5.0)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._average.update_parameters(self._model)
        self.steps += 1
        return Step(min(1.0, self.done_share), epoch, float(mask_loss.detach()), float(call_loss.detach()))

    def _losses_of(self, model: MaskGuidedClassifier, batch: Batch) -> tuple[Tensor, Tensor]:
        """Loss of the mask, 0 where it is given, and of the call types."""
        config = self._config
        types = {"bfloat16": torch.bfloat16, "float16": torch.float16}
        dtype = types.get(config.precision)
        images = batch.images.to(memory_format=torch.channels_last)
        with torch.autocast(config.device, dtype, enabled=dtype is not None):
            if config.classifier.segments:
                output = model(images)
                logits = output.call_logits
                mask_loss = segmentation_loss(output.mask_logits.float(), batch.masks, config.call_pixel_weight)
            else:
                mask_loss, logits = images.new_zeros(()), model.classify(images, batch.guide)
        of_calls = joint_loss if config.classifier.head == "joint" else weighted_bce
        return mask_loss, of_calls(logits.float(), batch.targets, batch.weights)

    @torch.inference_mode()
    def judge(self, validation: Examples) -> float:
        """Call loss of the averaged weights on validation examples; the best weights are kept with `patience`."""
        model = self._averaged_module().eval()
        size, total = self._config.batch_size, 0.0
        for first in range(0, len(validation), size):
            chosen = np.arange(first, min(first + size, len(validation)))
            total += chosen.size * float(self._losses_of(model, plain_batch(validation, chosen).to(self._device))[1])
        self._losses.append(total / len(validation))
        if self._config.patience is not None and self._losses[-1] == min(self._losses):
            self._best = {name: value.cpu().clone() for name, value in model.state_dict().items()}
        return self._losses[-1]

    def _averaged_module(self) -> MaskGuidedClassifier:
        module = self._average.module
        if not isinstance(module, MaskGuidedClassifier):  # torch types it as any module
            raise TypeError(f"expected the averaged classifier, got {type(module)}")
        return module

    def averaged(self) -> MaskGuidedClassifier:
        """The averaged model, or its best state by validation, ready to be evaluated on the CPU."""
        model = MaskGuidedClassifier(self._config.classifier)
        model.load_state_dict(self._best or self._average.module.state_dict())
        return model.eval()

    def save(self, path: Path) -> None:
        """Keep everything needed to go on."""
        average = self._average.state_dict()
        if self._best is not None and self.over:
            average |= {f"module.{name}": value for name, value in self._best.items()}
        write_checkpoint(
            path,
            {
                "config": self._config.model_dump_json(),
                "model": self._model.state_dict(),
                "average": average,
                "optimizer": self._optimizer.state_dict(),
                "scaler": self._scaler.state_dict(),
                "steps": self.steps,
                "losses": self._losses,
                "best": self._best,
                "before": self._before,
                "examples": self._examples,
                "commit": self._commit,
                "trained": time.strftime("%Y-%m-%d", time.gmtime()),
                "spent_s": self._spent_s + time.monotonic() - self._began,
            },
        )

    def resume(self, path: Path) -> None:
        """Take up a checkpoint of the same configuration, if there is one."""
        if not path.exists():
            return
        kept = read_checkpoint(path)
        if kept["config"] != self._config.model_dump_json():
            raise ValueError(f"{path} was written under another configuration; remove it or name another")
        if kept.get("examples") != self._examples:
            raise ValueError(f"{path} learned from other windows; remove it or name another")
        self._before, self._commit = kept["before"], kept["commit"]
        self._model.load_state_dict(kept["model"])
        self._average.load_state_dict(kept["average"])
        self._optimizer.load_state_dict(kept["optimizer"])
        self._scaler.load_state_dict(kept["scaler"])
        self.steps, self._spent_s = kept["steps"], kept["spent_s"]
        self._losses, self._best = kept["losses"], kept["best"]
