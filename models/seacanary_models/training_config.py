"""What decides a training run besides its windows: one configuration, its presets, its schedule."""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from seacanary_models.classifier import ClassifierConfig


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
    stitch_share: float = Field(0.0, ge=0, le=1, description="share of images whose end is another one's")
    other_transform_share: float = Field(
        0.0, ge=0, le=1, description="share of images that another transform made, where the windows have them"
    )
    ema_decay: float = Field(0.995, ge=0, lt=1, description="of the averaged weights that are kept")
    patience: int | None = Field(
        None, gt=0, description="epochs without a better validation loss after which the run ends with its best weights"
    )
    max_minutes: float | None = Field(None, gt=0, description="the schedule is shortened to end by then")
    threads: int = Field(2, gt=0, description="CPU threads of torch")
    device: Literal["cpu", "cuda"] = Field("cpu", description="where the network is")
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="lower ones pay on a GPU; on a processor without them they are ten times slower"
    )
    classifier: ClassifierConfig = Field(default_factory=ClassifierConfig)


PRESETS: dict[str, tuple[int, TrainingConfig]] = {
    "smoke": (128, TrainingConfig(epochs=1, max_minutes=2)),
    "cpu": (
        4096,
        TrainingConfig(
            seed=5,
            epochs=10,
            learning_rate=1.2e-3,
            max_minutes=45,
            stitch_share=0.06,
            other_transform_share=0.2,
            threads=1,
        ),
    ),
    "gpu": (
        40_960,
        TrainingConfig(
            epochs=30,
            batch_size=128,
            device="cuda",
            precision="bfloat16",
            stitch_share=0.08,
            patience=6,
            classifier=ClassifierConfig(preset="full", encoder="resnet50", segmenter="deeplabv3_resnet50"),
        ),
    ),
}


def learning_rate(config: TrainingConfig, done_share: float) -> float:
    """Linear rise, then half a cosine down to a hundredth."""
    if done_share < config.warmup_share:
        return config.learning_rate * max(0.02, done_share / config.warmup_share)
    fall = (min(done_share, 1.0) - config.warmup_share) / (1 - config.warmup_share)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * fall)))
