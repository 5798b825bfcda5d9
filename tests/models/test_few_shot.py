"""Few-shot runs learn, are seeded, go on where they stopped, and measure what they say."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seacanary.errors import SeaCanaryError
from seacanary_models.few_shot import FewShotConfig, FewShotStep, run_few_shot, segment, train_segmenter
from seacanary_models.masked_windows import MaskedWindows

pytestmark = pytest.mark.torch
CONFIG = FewShotConfig(sizes=(2, 4), steps=30, batch_size=2, learning_rate=0.3)


class Level(nn.Module):
    """The smallest segmenter: a threshold on the level."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.layer(20 * (image - 0.5))
        return logits


def windows(count: int, seed: int) -> MaskedWindows:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 100, (count, 256, 256), np.uint8)
    call = np.zeros(image.shape, np.bool_)
    for number in range(count - 1):  # the last holds nothing
        call[number, 20 * number : 20 * number + 30, 40:120] = True
    image[call] += 140
    return MaskedWindows(image, call)


def silent(step: FewShotStep) -> None:
    assert np.isfinite(step.loss)


def test_cross_entropy_finds_a_threshold_between_call_and_background() -> None:
    learn = windows(4, 0)
    model, losses = train_segmenter(learn, CONFIG, factory=Level, report=silent)
    assert losses[-1] < losses[0]
    held_out = windows(3, 1)
    assert (segment(model, held_out.image, batch_size=2) == held_out.call).mean() > 0.99


def test_a_run_reports_every_size_and_draws_nothing_from_chance(tmp_path: Path) -> None:
    learn, held_out = windows(5, 0), windows(3, 1)
    steps: list[FewShotStep] = []
    first, second = (
        run_few_shot(
            learn, held_out, CONFIG, factory=Level, segmenter="level", out=tmp_path / f"{n}.json", report=steps.append
        )
        for n in range(2)
    )
    assert [(r.masks, r.examples) for r in first.results] == [(2, 4), (4, 8)]
    assert (first.held_out_windows, first.held_out_with_calls) == (3, 2)
    assert len(steps) == 2 * 2 * 30
    without_time = [[r.model_dump(exclude={"minutes"}) for r in run.results] for run in (first, second)]
    assert without_time[0] == without_time[1]
    assert first.results[-1].iou_pooled is not None
    assert first.results[-1].iou_pooled > 0.9


class Left(nn.Module):
    """Says that the left half is call, whatever it is shown; keeps a weight so that it can be trained."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, image: Tensor) -> Tensor:
        call = torch.zeros_like(image)
        call[..., :128] = 1.0
        return torch.cat([1 - call, call], 1) + self.weight


def test_pooled_and_mean_iou_are_told_apart(tmp_path: Path) -> None:
    call = np.zeros((3, 256, 256), np.bool_)
    call[0, :, :128] = True  # IoU 1
    call[1, :, 64:128] = True  # IoU 1/2; the third window holds nothing, and half of it is wrongly marked
    held_out = MaskedWindows(np.zeros(call.shape, np.uint8), call)
    run = run_few_shot(
        windows(4, 0),
        held_out,
        CONFIG.model_copy(update={"sizes": (2,), "steps": 2}),
        factory=Left,
        segmenter="left",
        out=tmp_path / "run.json",
        report=silent,
    )
    (result,) = run.results
    assert result.iou_pooled == pytest.approx((128 + 64) / (3 * 128))
    assert result.iou_mean == pytest.approx(0.75)
    assert result.precision == pytest.approx(0.5)
    assert result.recall == 1.0


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    learn, held_out, out = windows(5, 0), windows(3, 1), tmp_path / "run.json"

    def stop_at_four(step: FewShotStep) -> None:
        if step.masks == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_few_shot(learn, held_out, CONFIG, factory=Level, segmenter="level", out=out, report=stop_at_four)
    seen: set[int] = set()
    run = run_few_shot(
        learn, held_out, CONFIG, factory=Level, segmenter="level", out=out, report=lambda s: seen.add(s.masks)
    )
    assert seen == {4}
    assert [result.masks for result in run.results] == [2, 4]
    with pytest.raises(SeaCanaryError, match=r"run\.json holds a run of other windows"):
        run_few_shot(held_out, learn, CONFIG, factory=Level, segmenter="level", out=out, report=silent)
