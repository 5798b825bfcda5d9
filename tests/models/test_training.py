"""The training loop: losses by hand, batches, learning something easy, and going on where it stopped."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from seacanary_models import training
from seacanary_models.checkpoints import git_commit, load_model, run_facts
from seacanary_models.classifier import ClassifierConfig
from seacanary_models.examples import Examples, Variation, draw_batch
from seacanary_models.losses import segmentation_loss, weighted_bce
from seacanary_models.training import Step, train
from seacanary_models.training_config import TrainingConfig, learning_rate

pytestmark = pytest.mark.torch
TINY = ClassifierConfig(preset="tiny")


def windows_with_a_bar(count: int) -> Examples:
    """Half of the windows hold a bright bar, which is a whistle; nobody knows about porpoises."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 40, (count, 256, 256), dtype=np.uint8)
    marks = np.zeros_like(image)
    targets = np.zeros((count, 3), np.float32)
    for n in range(0, count, 2):
        row = int(rng.integers(10, 110))
        image[n, row : row + 6, 40:200] = 220
        marks[n, row : row + 6, 40:200] = 1
        targets[n, 0] = 1
    weights = np.tile(np.float32([1, 1, 0]), (count, 1))
    return Examples(image, marks, targets, weights)


def ignore(_: Step) -> None:
    pass


def test_weighted_bce_leaves_out_what_nobody_knows() -> None:
    logits = torch.tensor([[0.0, 9.0], [0.0, -9.0]])
    targets, weights = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert float(weighted_bce(logits, targets, weights)) == pytest.approx(np.log(2))
    assert float(weighted_bce(logits, targets, torch.zeros(2, 2))) == 0


def test_the_right_mask_costs_less_than_an_empty_one() -> None:
    masks = torch.zeros(1, 8, 8, dtype=torch.int64)
    masks[:, 2:4] = 1
    right = torch.stack([1.0 - masks, masks.float()], dim=1) * 8
    empty = torch.stack([torch.ones(1, 8, 8), torch.zeros(1, 8, 8)], dim=1) * 8
    assert float(segmentation_loss(right, masks, 4.0)) < 0.05
    assert float(segmentation_loss(empty, masks, 4.0)) > 1.0


def test_the_rate_rises_then_falls() -> None:
    config = TrainingConfig(learning_rate=1.0, warmup_share=0.1)
    rates = [learning_rate(config, share) for share in (0.0, 0.05, 0.1, 0.55, 1.0)]
    assert rates == pytest.approx([0.02, 0.5, 1.0, 0.505, 0.01])


def test_a_batch_is_what_the_model_takes() -> None:
    batch = draw_batch(np.random.default_rng(0), windows_with_a_bar(4), np.arange(4), Variation(mix=0.0))
    assert batch.images.shape == (4, 1, 256, 256)
    assert batch.images.dtype == torch.float32
    assert (batch.masks.shape, batch.masks.dtype) == ((4, 256, 256), torch.int64)
    assert batch.targets[:, 0].tolist() == [1, 0, 1, 0]
    assert batch.weights[:, 2].tolist() == [0, 0, 0, 0]
    assert batch.guide is None


def test_mixing_keeps_the_calls_of_both_and_doubts_of_either() -> None:
    windows = windows_with_a_bar(2)
    batch = draw_batch(np.random.default_rng(1), windows, np.zeros(8, np.int64), Variation(mix=1.0))
    assert batch.targets[:, 0].tolist() == [1] * 8
    assert batch.weights[:, 0].tolist() == [1] * 8
    assert batch.weights[:, 2].tolist() == [0] * 8
    assert int(batch.masks.sum(dim=(1, 2)).min()) > 0


def test_a_given_mask_is_varied_with_its_image() -> None:
    windows = windows_with_a_bar(4)
    guided = replace(windows, guide=(windows.marks > 0).astype(np.uint8) * np.uint8(255))
    batch = draw_batch(np.random.default_rng(2), guided, np.arange(4), Variation(mix=0.3, stitch=0.3))
    assert batch.guide is not None
    torch.testing.assert_close(batch.guide, batch.masks.float())


def test_another_transform_shows_the_same_calls() -> None:
    windows = windows_with_a_bar(2)
    other = replace(windows, other_image=np.full_like(windows.image, 128))
    batch = draw_batch(np.random.default_rng(0), other, np.arange(2), Variation(mix=0.0, other_transform=1.0))
    assert 0.3 < float(batch.images.median()) < 0.7
    assert batch.targets[:, 0].tolist() == [1, 0]


def test_examples_are_chosen_and_joined_in_step() -> None:
    windows = windows_with_a_bar(6)
    joined = windows.chosen(np.array([1, 3])).joined(windows.first(2))
    assert joined.targets[:, 0].tolist() == [0, 0, 1, 0]
    assert joined.other_image is not None
    np.testing.assert_array_equal(joined.other_image, joined.image)


def test_it_learns_a_bright_bar(tmp_path: Path) -> None:
    windows = windows_with_a_bar(32)
    config = TrainingConfig(
        epochs=12, batch_size=8, learning_rate=5e-3, ema_decay=0.8, mix_share=0.0, threads=1, classifier=TINY
    )
    model = train(windows, config, checkpoint=tmp_path / "c.pt", report=ignore)
    with torch.inference_mode():
        output = model(torch.from_numpy(windows.image[:, None].astype(np.float32) / 255))
    heard = output.call_logits[:, 0].numpy()
    assert heard[::2].min() > heard[1::2].max()
    kept = load_model(tmp_path / "c.pt")
    with torch.inference_mode():
        again = kept(torch.from_numpy(windows.image[:2, None].astype(np.float32) / 255))
    torch.testing.assert_close(again.call_logits, output.call_logits[:2], rtol=1e-4, atol=1e-4)


def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(tmp_path: Path) -> None:
    windows = windows_with_a_bar(16)
    config = TrainingConfig(epochs=2, batch_size=8, threads=1, classifier=TINY)
    straight = train(windows, config, checkpoint=tmp_path / "straight.pt", report=ignore)

    def stop_in_the_second_epoch(step: Step) -> None:
        if step.epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(windows, config, checkpoint=tmp_path / "broken.pt", report=stop_in_the_second_epoch)
    resumed = train(windows, config, checkpoint=tmp_path / "broken.pt", report=ignore)
    for name, weight in straight.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], weight, msg=name)


def test_a_run_killed_within_an_epoch_goes_on_from_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_EVERY_STEPS", 3)
    windows = windows_with_a_bar(8)
    config = TrainingConfig(epochs=2, batch_size=2, threads=1, classifier=TINY, stitch_share=0.2)
    straight = train(windows, config, checkpoint=tmp_path / "straight.pt", report=ignore)
    seen: list[float] = []

    def stop_after_the_kept_step(step: Step) -> None:
        seen.append(step.done_share)
        if len(seen) == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(windows, config, checkpoint=tmp_path / "broken.pt", report=stop_after_the_kept_step)
    assert seen[-1] == 7 / 8  # one step past the kept sixth, in the middle of the second epoch
    resumed = train(windows, config, checkpoint=tmp_path / "broken.pt", report=ignore)
    for name, weight in straight.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], weight, msg=name)


def test_patience_ends_a_run_that_no_longer_improves(tmp_path: Path) -> None:
    windows = windows_with_a_bar(8)
    wrong = replace(windows, targets=1 - windows.targets)  # the better it learns, the worse it judges
    config = TrainingConfig(
        epochs=60, batch_size=8, learning_rate=5e-3, ema_decay=0.5, patience=3, threads=1, classifier=TINY
    )
    steps: list[Step] = []
    train(windows, config, checkpoint=tmp_path / "c.pt", report=steps.append, validation=wrong)
    assert 4 <= len(steps) < 60
    with pytest.raises(ValueError, match="validation"):
        train(windows, config, checkpoint=tmp_path / "d.pt", report=ignore)


def test_the_curves_can_be_looked_at(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    config = TrainingConfig(epochs=1, batch_size=4, threads=1, classifier=TINY)
    train(windows_with_a_bar(4), config, checkpoint=tmp_path / "c.pt", report=ignore, log_folder=tmp_path / "logs")
    assert list((tmp_path / "logs").glob("events.out.*"))


def test_a_run_may_begin_with_the_weights_of_another_and_tells_so(tmp_path: Path) -> None:
    windows = windows_with_a_bar(8)
    config = TrainingConfig(epochs=1, batch_size=8, threads=1, classifier=TINY)
    first = train(windows, config, checkpoint=tmp_path / "first.pt", report=ignore)
    still = config.model_copy(update={"learning_rate": 1e-9, "ema_decay": 0.9999})
    second = train(windows, still, checkpoint=tmp_path / "second.pt", report=ignore, start_from=tmp_path / "first.pt")
    torch.testing.assert_close(second.head.weight, first.head.weight)
    assert "begun_from" not in run_facts(tmp_path / "first.pt")
    assert '"steps": "1"' in run_facts(tmp_path / "second.pt")["begun_from"]


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path: Path) -> None:
    windows = windows_with_a_bar(8)
    config = TrainingConfig(epochs=1, batch_size=8, threads=1, classifier=TINY)
    train(windows, config, checkpoint=tmp_path / "c.pt", report=ignore)
    other = config.model_copy(update={"learning_rate": 1e-4})
    with pytest.raises(ValueError, match="another configuration"):
        train(windows, other, checkpoint=tmp_path / "c.pt", report=ignore)


def test_a_checkpoint_that_learned_from_other_windows_is_refused(tmp_path: Path) -> None:
    config = TrainingConfig(epochs=1, batch_size=8, threads=1, classifier=TINY)
    train(windows_with_a_bar(8), config, checkpoint=tmp_path / "c.pt", report=ignore)
    with pytest.raises(ValueError, match="other windows"):
        train(windows_with_a_bar(16), config, checkpoint=tmp_path / "c.pt", report=ignore)


def test_a_run_begins_only_with_weights_of_its_own_network(tmp_path: Path) -> None:
    windows = windows_with_a_bar(8)
    config = TrainingConfig(epochs=1, batch_size=8, threads=1, classifier=TINY)
    train(windows, config, checkpoint=tmp_path / "c.pt", report=ignore)
    other = config.model_copy(update={"classifier": ClassifierConfig(preset="tiny", fusion="concat")})
    with pytest.raises(ValueError, match="another network"):
        train(windows, other, checkpoint=tmp_path / "d.pt", report=ignore, start_from=tmp_path / "c.pt")


def test_outside_a_repository_the_commit_is_unknown(tmp_path: Path) -> None:
    assert git_commit(tmp_path) == "unknown"
