"""Where the workshop keeps a model's windows and checkpoints, and what it says of how the model came about."""

import json
from dataclasses import dataclass
from functools import reduce
from hashlib import sha256
from pathlib import Path
from typing import Final

from seacanary_models.checkpoints import git_commit, load_model, run_facts
from seacanary_models.datasets import LoudRecipe, ShardPlan, WindowRecipe, load_windows
from seacanary_models.examples import Examples
from seacanary_models.mgc_benchmark import load_part
from seacanary_models.recordings import Part, read_catalogue
from seacanary_models.scenes import CALL_TYPES
from seacanary_models.training_config import PRESETS, TrainingConfig

CALIBRATION_SEED, VALIDATION_SEED = 7_001, 7_002
HELD_OUT_WINDOWS: Final = {"smoke": 64, "cpu": 512, "gpu": 2048}
# More scenes without a call, and more sounds that could be taken for one, than windows are judged by.
TRAINING_RECIPE: Final = WindowRecipe(
    seed=21, shares=(0.38, 0.27, 0.19, 0.1, 0.06), none_share=0.35, negative_share=0.5
)
# Hard negatives in every window, calls in one of ten: what a station hears for days.
NEGATIVE_RECIPE: Final = WindowRecipe(seed=22, shares=(1.0, 0.0, 0.0, 0.0, 0.0), none_share=0.9, negative_share=1.0)
NEGATIVE_SHARE: Final = 1.1  # of the number of the windows of TRAINING_RECIPE
LOUD_RECIPE: Final = LoudRecipe(
    seed=23, shares=(0.7, 0.3, 0.0, 0.0, 0.0), none_share=0.0, negative_share=0.3, snr_db=(20.0, 45.0)
)
LOUD_SHARE: Final = 0.25
QUIET_RECIPE: Final = WindowRecipe(seed=7_003, shares=(1.0, 0.0, 0.0, 0.0, 0.0), none_share=1.0, negative_share=1.0)
# These presets learn from the benchmark's part train as well.
WITH_BENCHMARK: Final = frozenset({"cpu", "gpu"})


@dataclass(frozen=True, slots=True)
class Workspace:
    """One preset's files.

    Attributes:
        audio: folder of the real recordings.
        work: folder for windows and checkpoints.
        preset: name of the training preset.
    """

    audio: Path
    work: Path
    preset: str

    @property
    def config(self) -> TrainingConfig:
        """The training configuration.

        Raises:
            ValueError: no such preset.
        """
        return self._preset[1]

    @property
    def checkpoint(self) -> Path:
        """File of the training run."""
        return self.work / f"checkpoint-{self.preset}.pt"

    @property
    def model_id(self) -> str:
        """Name of the trained model, from its weights."""
        return f"seacanary-mgc-{sha256(self.checkpoint.read_bytes()).hexdigest()[:8]}"

    @property
    def train_plan(self) -> ShardPlan:
        """Windows that are learned from."""
        return ShardPlan(self.audio, "train", TRAINING_RECIPE, self._preset[0], self.work)

    @property
    def negatives_plan(self) -> ShardPlan:
        """Windows full of hard negatives that are learned from too."""
        count = round(NEGATIVE_SHARE * self._preset[0])
        return ShardPlan(self.audio, "train", NEGATIVE_RECIPE, count, self.work)

    @property
    def loud_plan(self) -> ShardPlan:
        """Windows with near animals that are learned from too."""
        return ShardPlan(self.audio, "train", LOUD_RECIPE, round(LOUD_SHARE * self._preset[0]), self.work)

    @property
    def learned_plans(self) -> tuple[ShardPlan, ...]:
        """All windows that are learned from, the benchmark's aside."""
        return self.train_plan, self.negatives_plan, self.loud_plan

    @property
    def quiet_plan(self) -> ShardPlan:
        """Windows of hard negatives alone that thresholds are chosen on."""
        return ShardPlan(self.audio, "train", QUIET_RECIPE, 2 * HELD_OUT_WINDOWS[self.preset], self.work)

    @property
    def calibration_plan(self) -> ShardPlan:
        """Windows that temperatures and thresholds are chosen on: the training part's recordings, other seeds."""
        return self._held_out("train", CALIBRATION_SEED)

    @property
    def validation_plan(self) -> ShardPlan:
        """Windows that are only reported on."""
        return self._held_out("validation", VALIDATION_SEED)

    @property
    def plans(self) -> tuple[ShardPlan, ...]:
        """All of them."""
        return *self.learned_plans, self.quiet_plan, self.calibration_plan, self.validation_plan

    def examples(self) -> Examples:
        """Everything that is learned from.

        Raises:
            FileNotFoundError: windows have not been made.
        """
        own = reduce(Examples.joined, (Examples.of_windows(load_windows(plan)) for plan in self.learned_plans))
        if self.preset not in WITH_BENCHMARK:
            return own
        return own.joined(Examples.of_benchmark(load_part("train", cache=self.work)))

    def judges(self) -> Examples | None:
        """What early stopping is decided by, the benchmark's part validation; None: the preset does not stop early.

        Raises:
            FileNotFoundError: windows have not been made.
        """
        if self.config.patience is None:
            return None
        return Examples.of_benchmark(load_part("validation", cache=self.work))

    def provenance(self) -> dict[str, str]:
        """How the model came about, as its contract says it."""
        examples = self.examples()
        counts = ", ".join(f"{name} {int((examples.targets[:, k] > 0).sum())}" for k, name in enumerate(CALL_TYPES))
        return {
            "preset": self.preset,
            **run_facts(self.checkpoint),
            "recipe": self.train_plan.recipe.model_dump_json(),
            "negatives_recipe": self.negatives_plan.recipe.model_dump_json(),
            "loud_recipe": self.loud_plan.recipe.model_dump_json(),
            "windows": f"{len(examples)}; with {counts}; none {int((examples.targets.sum(axis=1) == 0).sum())}",
            "benchmark_windows": "part train" if self.preset in WITH_BENCHMARK else "none",
            "published_weights": json.dumps(load_model(self.checkpoint).published_weights),
            "recordings_sha256": read_catalogue(self.audio).digest,
            "evaluated_by": git_commit(Path(__file__).parent),
        }

    @property
    def _preset(self) -> tuple[int, TrainingConfig]:
        if self.preset not in PRESETS:
            raise ValueError(f"preset '{self.preset}' is not known; choose one of {', '.join(PRESETS)}")
        return PRESETS[self.preset]

    def _held_out(self, part: Part, seed: int) -> ShardPlan:
        return ShardPlan(self.audio, part, WindowRecipe(seed=seed), HELD_OUT_WINDOWS[self.preset], self.work)
