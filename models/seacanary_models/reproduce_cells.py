"""The rows and cells of the benchmark's table: which networks, which shifts, and what each came to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from seacanary_models.classifier import ClassifierConfig
from seacanary_models.encoder_kinds import EncoderKind, FullEncoder
from seacanary_models.fusion import FusionKind
from seacanary_models.joint_metrics import JointFigures
from seacanary_models.mgc_benchmark import BenchmarkPart
from seacanary_models.training_config import TrainingConfig

MaskKind = Literal["none", "hand_made", "generated", "soft"]
Shift = Literal["in_distribution", "alternative_transform", "unseen_noise", "unseen_recorder", "real"]

BASELINES: Final[tuple[EncoderKind, ...]] = ("small_resnet", "small_convnext", "small_vit", "small_deit", "small_ast")
MASKS: Final[tuple[MaskKind, ...]] = ("hand_made", "generated", "soft")
FUSIONS: Final[tuple[FusionKind, ...]] = ("concat", "gated", "cross_attention")
PART_OF: Final[dict[Shift, BenchmarkPart]] = {
    "in_distribution": "test",
    "alternative_transform": "test",
    "unseen_noise": "unseen_noise",
    "unseen_recorder": "unseen_recorder",
    "real": "real",
}


class ReproducePreset(BaseModel):
    """How large the table is made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    seeds: tuple[int, ...] = Field((1, 2, 3), min_length=1)
    encoder: EncoderKind = Field("small_resnet", description="of every mask-guided network")
    baselines: tuple[EncoderKind, ...] = BASELINES
    training: TrainingConfig
    windows: int = Field(4096, gt=0, description="how many of the part train are learned from")


_SMALL: Final = TrainingConfig(
    epochs=6, batch_size=16, learning_rate=2e-3, ema_decay=0.99, stitch_share=0.05, other_transform_share=0.2, threads=1
)
PRESETS: Final[dict[str, ReproducePreset]] = {
    "smoke": ReproducePreset(
        name="smoke",
        seeds=(1,),
        windows=64,
        training=_SMALL.model_copy(update={"epochs": 1}),
        baselines=("small_resnet",),
    ),
    "cpu": ReproducePreset(name="cpu", training=_SMALL),
    "gpu": ReproducePreset(
        name="gpu",
        encoder="resnet50",
        baselines=("resnet50", "convnext_tiny", "vit_b_16", "deit_b_16", "ast"),
        training=TrainingConfig(
            epochs=30, batch_size=64, learning_rate=3e-4, device="cuda", precision="bfloat16",
            stitch_share=0.05, other_transform_share=0.2, patience=6,
        ),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Network:
    """One row of the table."""

    encoder: EncoderKind
    masks: MaskKind
    fusion: FusionKind | None

    @property
    def name(self) -> str:
        """Name of the row and of its files."""
        return self.encoder if self.fusion is None else f"mgc-{self.masks}-{self.fusion}"

    @property
    def classifier(self) -> ClassifierConfig:
        """What to build."""
        size: Literal["small", "full"] = "full" if self.encoder in get_args(FullEncoder) else "small"
        if self.fusion is None:
            return ClassifierConfig(preset=size, encoder=self.encoder, guide="none")
        form: Literal["soft", "hard"] = "soft" if self.masks == "soft" else "hard"
        return ClassifierConfig(
            preset=size, encoder=self.encoder, segmenter="given", fusion=self.fusion, mask_form=form
        )


class ShiftResult(BaseModel):
    """One network under one shift."""

    model_config = ConfigDict(frozen=True)

    windows: int
    joint: JointFigures
    average_precision: dict[str, float]
    expected_calibration_error: dict[str, float]


class Cell(BaseModel):
    """What one network, trained with one seed, came to."""

    model_config = ConfigDict(frozen=True)

    network: str
    encoder: str
    masks: MaskKind
    fusion: str | None
    seed: int
    parameters: int
    training: dict[str, object] = Field(description="the training configuration")
    windows: int
    training_s: float
    thresholds: tuple[float, ...] = Field(description="per call type, chosen on part validation")
    shifts: dict[Shift, ShiftResult]
    commit: str
    torch: str
    machine: str


def networks(preset: ReproducePreset) -> list[Network]:
    """Rows of the table: image-only baselines, then MGC with every mask and fusion."""
    guided = [Network(preset.encoder, masks, fusion) for masks in MASKS for fusion in FUSIONS]
    return [Network(encoder, "none", None) for encoder in preset.baselines] + guided


def missing_cells(preset: ReproducePreset, folder: Path) -> list[tuple[Network, int]]:
    """Cells without a result, the first seed of every network first."""
    wanted = [(network, seed) for seed in preset.seeds for network in networks(preset)]
    return [(network, seed) for network, seed in wanted if not cell_path(folder, network, seed).exists()]


def cell_path(folder: Path, network: Network, seed: int) -> Path:
    """File of one cell."""
    return folder / f"{network.name}-seed{seed}.json"


def read_cells(folder: Path) -> list[Cell]:
    """All finished cells of a folder."""
    return [Cell.model_validate_json(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*-seed*.json"))]
