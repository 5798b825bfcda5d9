"""When a species counts as present: the site's presence section and the thresholds it resolves to."""

from collections.abc import Iterable, Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from seacanary.contract import CallType, ModelContract
from seacanary.errors import ConfigError


class Thresholds(BaseModel):
    """The two probabilities of one call type's hysteresis."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    enter: float = Field(gt=0, le=1, description="probability that opens a presence")
    leave: float = Field(ge=0, lt=1, description="probability below which it may close")

    @model_validator(mode="after")
    def _hysteresis(self) -> Self:
        if self.leave >= self.enter:
            raise ValueError(f"leave ({self.leave}) must be below enter ({self.enter})")
        return self

    @classmethod
    def of(cls, call_type: CallType) -> Self:
        """The thresholds the model itself proposes."""
        return cls(enter=call_type.enter, leave=call_type.leave)


class PresenceRule(BaseModel):
    """How many windows make a presence, how much quiet ends it, how often it is reported."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    k: int = Field(3, ge=1, description="windows over enter, of the last n observed, that make a presence")
    n: int = Field(6, ge=1, le=256, description="observed windows looked back on")
    certain: float | None = Field(
        None, gt=0, le=1, description="probability at which one window is enough; null: never"
    )
    hold_s: float = Field(30.0, gt=0, description="observed seconds without a call before a presence ends")
    update_s: float = Field(900.0, gt=0, description="stream seconds between `updated` events")

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.k > self.n:
            raise ValueError(f"k ({self.k}) must not exceed n ({self.n})")
        return self


class PresenceSection(BaseModel):
    """The site's word on presence; whatever it leaves out comes from the model and the defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: PresenceRule = Field(default_factory=PresenceRule, description="for every species not named below")
    species: dict[str, PresenceRule] = Field(default_factory=dict, description="rules of single species")
    thresholds: dict[str, Thresholds] = Field(
        default_factory=dict, description="by call type, in place of the model's own"
    )

    @property
    def longest_hold_s(self) -> float:
        """The longest quiet after which a presence ends, of any species."""
        return max(rule.hold_s for rule in (self.rule, *self.species.values()))

    def rule_for(self, species: str) -> PresenceRule:
        """The rule that holds for a species."""
        return self.species.get(species, self.rule)

    def thresholds_for(self, contract: ModelContract, species: str) -> dict[str, Thresholds]:
        """Thresholds of each of a species' call types, in the model's order."""
        return {
            call_type.name: self.thresholds.get(call_type.name, Thresholds.of(call_type))
            for call_type in contract.call_types
            if call_type.species == species
        }

    def check(self, contract: ModelContract) -> None:
        """Refuse overrides of what the model does not know.

        Raises:
            ConfigError: a species or call type is not the model's; names those that are.
        """
        species = sorted({call_type.species for call_type in contract.call_types})
        _refuse_unknown("presence.species", self.species, known=species)
        _refuse_unknown("presence.thresholds", self.thresholds, known=contract.call_type_names)


def _refuse_unknown(path: str, named: Iterable[str], *, known: Sequence[str]) -> None:
    for name in named:
        if name not in known:
            raise ConfigError(f"{path}.{name}: the model does not know '{name}'; it knows {', '.join(known)}")
