"""ModelContract: what a model says of itself, in the ONNX metadata of T and M."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from seacanary.errors import ModelRefused

METADATA_KEY = "seacanary.contract"


class CallType(BaseModel):
    """One class of sound the model knows, in the order of M's `probability`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="whistle, beluga_click, porpoise_click")
    species: str = Field(min_length=1, description="species whose presence this call shows")
    band_hz: tuple[float, float] = Field(description="where the call type lives, hertz")
    min_sample_rate_hz: int = Field(gt=0, description="below this rate the call type is unobserved")
    enter: float = Field(gt=0, le=1, description="default probability that opens a presence")
    leave: float = Field(ge=0, lt=1, description="default probability below which it may close")
    temperature: float = Field(1.0, gt=0, description="calibration: logits are divided by it inside M")
    abstain_low: float | None = Field(None, ge=0, le=1, description="from this probability on the model does not know")
    abstain_high: float | None = Field(None, ge=0, le=1, description="from this probability on it knows again")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.band_hz[0] >= self.band_hz[1]:
            raise ValueError(f"band_hz must be (low, high), got {self.band_hz}")
        if self.leave >= self.enter:
            raise ValueError(f"leave ({self.leave}) must be below enter ({self.enter})")
        return self

    @model_validator(mode="after")
    def _band_below_enter(self) -> Self:
        low, high = self.abstain_low, self.abstain_high
        if (low is None) != (high is None):
            raise ValueError(f"abstain_low ({low}) and abstain_high ({high}) must be given together")
        if low is not None and high is not None and not low <= high <= self.enter:
            raise ValueError(f"abstain_low ({low}) <= abstain_high ({high}) <= enter ({self.enter}) must hold")
        return self

    def abstains(self, probability: float) -> bool:
        """Whether the probability lies in the abstain band [low, high); never without a band."""
        if self.abstain_low is None or self.abstain_high is None:
            return False
        return self.abstain_low <= probability < self.abstain_high


class ImageRows(BaseModel):
    """A run of image rows made by one STFT; row r covers low_hz + step_hz * [r-first, r-first+1)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: int = Field(ge=0)
    count: int = Field(gt=0)
    low_hz: float = Field(ge=0)
    step_hz: float = Field(gt=0)
    fft_samples: int = Field(gt=0)
    hop_samples: int = Field(gt=0)
    pooling: Literal["mean", "max"]


class Transform(BaseModel):
    """How T makes an image of a window, so that pixels can be read as Hz and s."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: int = Field(256, gt=0)
    column_samples: int = Field(1536, gt=0, description="samples per image column, at the model's rate")
    rows: tuple[ImageRows, ...]
    floor_db: float = Field(description="power below this is not looked at, dB re full scale")
    range_db: tuple[float, float] = Field(description="dB over the row's noise floor shown as 0 and 1")


class ModelContract(BaseModel):
    """Everything the service must know of a model; it hard-codes none of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contract_version: Literal[1] = 1
    model_id: str = Field(min_length=1, description="name and version of the model")
    sample_rate_hz: int = Field(gt=0)
    window_samples: int = Field(gt=0)
    hop_samples: int = Field(gt=0, description="default distance between windows")
    call_types: tuple[CallType, ...] = Field(min_length=1)
    transform: Transform
    mask_threshold: float = Field(0.5, gt=0, lt=1, description="mask_probability over which a pixel is call")
    sigma_px: float = Field(gt=0, description="fade width of the Gaussian soft mask inside M")
    image_steps: int = Field(
        255, ge=1, le=255, description="M rounds each pixel to multiples of one in this many: what a byte can carry"
    )
    provenance: dict[str, str] = Field(default_factory=dict, description="how it was trained: data, seed, commit")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        pixels = self.transform.columns * self.transform.column_samples
        if pixels != self.window_samples:
            raise ValueError(f"columns x column_samples is {pixels}, but window_samples is {self.window_samples}")
        if not self.hop_samples <= self.window_samples:
            raise ValueError(f"hop_samples ({self.hop_samples}) must not exceed window_samples")
        return self

    @property
    def call_type_names(self) -> tuple[str, ...]:
        """Names in the order of M's `probability`."""
        return tuple(call_type.name for call_type in self.call_types)

    @property
    def window_s(self) -> float:
        """Length of a window, seconds."""
        return self.window_samples / self.sample_rate_hz

    def unobservable(self, sample_rate_hz: int) -> frozenset[str]:
        """Call types that a stream of this rate cannot carry: unobserved, never absent."""
        return frozenset(c.name for c in self.call_types if sample_rate_hz < c.min_sample_rate_hz)

    def row_hz(self, row: int) -> tuple[float, float]:
        """Frequency band of one image row, [low, high) hertz.

        Raises:
            ValueError: no STFT of the transform makes this row.
        """
        for rows in self.transform.rows:
            if rows.first <= row < rows.first + rows.count:
                low = rows.low_hz + rows.step_hz * (row - rows.first)
                return low, low + rows.step_hz
        raise ValueError(f"row {row} is outside the image")

    def to_metadata(self) -> dict[str, str]:
        """The ONNX metadata_props that carry this contract; what is not set is left out."""
        return {METADATA_KEY: self.model_dump_json(exclude_none=True)}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], *, where: str) -> Self:
        """Read a contract from ONNX metadata.

        Args:
            metadata: the file's metadata_props.
            where: the file, for messages.

        Raises:
            ModelRefused: no contract, or a wrong one; the message lists each fault.
        """
        text = metadata.get(METADATA_KEY)
        if text is None:
            raise ModelRefused(
                f"{where}: no '{METADATA_KEY}' in the ONNX metadata; export the model with `seacanary-models export`"
            )
        try:
            return cls.model_validate_json(text)
        except ValidationError as exc:
            faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'contract'}: {e['msg']}" for e in exc.errors())
            raise ModelRefused(f"{where}: contract refused: {faults}") from exc
