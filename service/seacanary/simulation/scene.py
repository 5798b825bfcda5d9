"""Scene: everything that decides what a simulated hydrophone hears."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from seacanary.simulation.ambient import Ambient
from seacanary.simulation.negatives import NEGATIVES
from seacanary.simulation.recorder import Recorder
from seacanary.simulation.ships import Ship


class CallBouts(BaseModel):
    """How often and how loud one call type is heard."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bouts_per_min: float = Field(4.0, ge=0, le=600, description="mean bouts per minute, at random moments")
    calls_per_bout: tuple[int, int] = Field((1, 6), description="fewest and most calls of a bout")
    pause_s: tuple[float, float] = Field((0.1, 2.5), description="shortest and longest pause between its calls' onsets")
    snr_db: tuple[float, float] = Field((8.0, 25.0), description="lowest and highest SNR, dB (see SimulatedCall)")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name in ("calls_per_bout", "pause_s", "snr_db"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} must be (low, high), got ({low}, {high})")
        return self


class HardNegative(BaseModel):
    """How often and how loud one kind of hard negative is heard."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field(description="name of the kind, as in NEGATIVES")
    per_min: float = Field(2.0, ge=0, le=6000, description="mean number per minute")
    snr_db: tuple[float, float] = Field((6.0, 30.0), description="lowest and highest SNR, dB")
    sound_seed: int | None = Field(
        None, ge=0, description="every one is this same sound, as of a machine; None: each is drawn anew"
    )

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in NEGATIVES:
            raise ValueError(f"unknown kind {kind!r}; known are {', '.join(sorted(NEGATIVES))}")
        return kind


class Scene(BaseModel):
    """A place, its noises, its animals and the recorder there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(1, ge=0, description="the same seed gives the same audio, sample for sample")
    ambient: Ambient = Field(default_factory=Ambient, description="wind, rain, ice, flow, distant traffic")
    ships: tuple[Ship, ...] = Field((), description="vessels that pass")
    whistle: CallBouts = Field(
        default_factory=lambda: CallBouts(bouts_per_min=6), description="beluga whistles and pulsed calls"
    )
    beluga_click: CallBouts = Field(
        default_factory=lambda: CallBouts(bouts_per_min=4, calls_per_bout=(1, 3), snr_db=(15, 35)),
        description="beluga echolocation trains",
    )
    porpoise_click: CallBouts = Field(
        default_factory=lambda: CallBouts(bouts_per_min=5, calls_per_bout=(1, 3), snr_db=(15, 35)),
        description="porpoise echolocation trains",
    )
    negatives: tuple[HardNegative, ...] = Field((), description="sounds easily taken for calls")
    recorder: Recorder = Field(default_factory=Recorder, description="the instrument")
