"""QualityState: lasting conditions of a hydrophone's signal, from short against long averages, with hysteresis."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import exp, log10
from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from seacanary.quality.signal import SignalQuality

QualityCondition = Literal["clipping", "silent", "stuck", "dc", "hum", "spiky", "noise_jump"]
QUALITY_CONDITIONS: tuple[QualityCondition, ...] = get_args(QualityCondition)

# Below this there is no noise whose level could jump: the hydrophone is silent.
LEAST_RMS = 1e-7


class QualityThreshold(BaseModel):
    """The two values of one condition's hysteresis, of a short average."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    enter: float = Field(gt=0, description="at this value and above the condition begins")
    leave: float = Field(ge=0, description="below this value it may end")

    @model_validator(mode="after")
    def _hysteresis(self) -> Self:
        if self.leave >= self.enter:
            raise ValueError(f"leave ({self.leave}) must be below enter ({self.enter})")
        return self


def _threshold(enter: float, leave: float, description: str) -> QualityThreshold:
    chosen: QualityThreshold = Field(QualityThreshold(enter=enter, leave=leave), description=description)
    return chosen


class QualityRules(BaseModel):
    """When a signal counts as bad."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    short_s: float = Field(5.0, gt=0, description="time constant of the short average, seconds")
    long_s: float = Field(600.0, gt=0, description="time constant of the long average of the level, seconds")
    hold_s: float = Field(30.0, ge=0, description="seconds below `leave` before a condition ends")
    clipping: QualityThreshold = _threshold(1e-3, 1e-4, "share of samples at full scale")
    silent: QualityThreshold = _threshold(0.5, 0.1, "share of time below any recorder's noise")
    stuck: QualityThreshold = _threshold(0.05, 0.01, "share of samples in long runs of one value")
    dc: QualityThreshold = _threshold(0.05, 0.03, "offset, share of full scale")
    hum: QualityThreshold = _threshold(0.6, 0.4, "share of mains lines in the power around them")
    spiky: QualityThreshold = _threshold(50.0, 25.0, "spikes per second")
    noise_jump: QualityThreshold = _threshold(10.0, 6.0, "level over or under its long average, dB")

    @model_validator(mode="after")
    def _short_is_shorter(self) -> Self:
        if self.short_s >= self.long_s:
            raise ValueError(f"short_s ({self.short_s}) must be below long_s ({self.long_s})")
        return self

    def threshold(self, condition: QualityCondition) -> QualityThreshold:
        """The threshold of a condition."""
        chosen: QualityThreshold = getattr(self, condition)
        return chosen


class Averaged(BaseModel):
    """An exponential average over time that weighs its first values as a plain mean.

    Attributes:
        value: the average.
        heard_s: seconds it was made of.
    """

    model_config = ConfigDict(frozen=True)

    value: float
    heard_s: float

    def with_next(self, value: float, *, duration_s: float, constant_s: float) -> "Averaged":
        """The average with one more value; no value weighs less than it would in a mean."""
        heard_s = self.heard_s + duration_s
        weight = max(1 - exp(-duration_s / constant_s), duration_s / heard_s)
        return Averaged(value=self.value + weight * (value - self.value), heard_s=heard_s)


class QualityMemory(BaseModel):
    """What a QualityState remembers, to be kept over a restart.

    Attributes:
        short: short average of each condition's measure, for noise_jump the level in dB.
        usual_db: long average of the level, None before the first.
        quiet_s: conditions that hold -> seconds their measure has been below `leave`.
    """

    model_config = ConfigDict(frozen=True)

    short: dict[QualityCondition, Averaged] = Field(default_factory=dict)
    usual_db: Averaged | None = None
    quiet_s: dict[QualityCondition, float] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QualityChange:
    """A condition began or ended.

    Attributes:
        condition: which.
        holds: whether it holds now.
        measure: the short average that said so, in the threshold's unit.
    """

    condition: QualityCondition
    holds: bool
    measure: float


_MEASURES: Mapping[QualityCondition, Callable[[SignalQuality, float], float | None]] = {
    "clipping": lambda quality, _: quality.clipped,
    "silent": lambda quality, _: quality.silent,
    "stuck": lambda quality, _: quality.stuck,
    "dc": lambda quality, _: quality.dc_offset,
    "hum": lambda quality, _: quality.hum,
    "spiky": lambda quality, duration_s: quality.spikes / duration_s,
    "noise_jump": lambda quality, _: 20 * log10(quality.rms) if quality.rms > LEAST_RMS else None,
}


class QualityState:
    """Which conditions hold for one hydrophone. Time is the audio's own: what was not heard does not count."""

    def __init__(self, rules: QualityRules) -> None:
        self._rules = rules
        self._short: dict[QualityCondition, Averaged] = {}
        self._usual_db: Averaged | None = None
        self._quiet_s: dict[QualityCondition, float] = {}

    @property
    def held(self) -> frozenset[QualityCondition]:
        """The conditions that hold."""
        return frozenset(self._quiet_s)

    def observe(self, quality: SignalQuality, *, duration_s: float) -> list[QualityChange]:
        """Take what the next stretch is like; return what changed."""
        changes = []
        for condition, measured in _MEASURES.items():
            value = measured(quality, duration_s)
            if value is None:  # not measured: no evidence either way
                continue
            short = self._averaged(condition, value, duration_s)
            change = self._judge(condition, self._deviation(condition, short, duration_s), duration_s)
            changes += [change] if change else []
        return changes

    def snapshot(self) -> QualityMemory:
        """What must survive a restart."""
        return QualityMemory(short=dict(self._short), usual_db=self._usual_db, quiet_s=dict(self._quiet_s))

    def restore(self, memory: QualityMemory) -> None:
        """Go on from an earlier snapshot()."""
        self._short, self._quiet_s = dict(memory.short), dict(memory.quiet_s)
        self._usual_db = memory.usual_db

    def _averaged(self, condition: QualityCondition, value: float, duration_s: float) -> Averaged:
        before = self._short.get(condition, Averaged(value=0.0, heard_s=0.0))
        after = before.with_next(value, duration_s=duration_s, constant_s=self._rules.short_s)
        self._short[condition] = after
        return after

    def _deviation(self, condition: QualityCondition, short: Averaged, duration_s: float) -> float:
        """How bad it is, in the threshold's unit, >= 0."""
        if condition != "noise_jump":
            return abs(short.value)
        usual = self._usual_db or Averaged(value=0.0, heard_s=0.0)
        self._usual_db = usual.with_next(short.value, duration_s=duration_s, constant_s=self._rules.long_s)
        return abs(short.value - self._usual_db.value)

    def _judge(self, condition: QualityCondition, measure: float, duration_s: float) -> QualityChange | None:
        threshold = self._rules.threshold(condition)
        if condition not in self._quiet_s:
            # The first moments after a start are no average yet.
            if measure < threshold.enter or self._short[condition].heard_s < self._rules.short_s:
                return None
            self._quiet_s[condition] = 0.0
            return QualityChange(condition, holds=True, measure=measure)
        quiet_s = self._quiet_s[condition] + duration_s if measure < threshold.leave else 0.0
        self._quiet_s[condition] = quiet_s
        if measure >= threshold.leave or quiet_s < self._rules.hold_s:
            return None
        del self._quiet_s[condition]
        return QualityChange(condition, holds=False, measure=measure)
