"""ONNX Runtime: windows in, Detections out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from seacanary.audio import Window
from seacanary.contract import ModelContract
from seacanary.errors import ModelRefused
from seacanary.observations import Detection, Placed
from seacanary.onnx_sessions import (
    MODEL_FILE,
    PROVIDER_NAMES,
    TRANSFORM_FILE,
    Provider,
    SessionPool,
    bundled_model,
    check_shapes,
    contract_of,
    model_shapes,
    on_gpu,
    open_session,
    require_runtime,
    transform_shapes,
)
from seacanary.spans import call_spans, rows_of

if TYPE_CHECKING:
    import onnxruntime as ort

__all__ = [
    "MODEL_FILE",
    "PROVIDER_NAMES",
    "TRANSFORM_FILE",
    "Answer",
    "Detector",
    "DetectorSection",
    "Reading",
    "Seen",
    "answer_of",
    "bundled_model",
    "require_runtime",
]

# mask_probability [B, rows, columns] and probability [B, K], float32.
Answer: TypeAlias = tuple[NDArray[np.float32], NDArray[np.float32]]
# image [B, rows, columns], then as Answer.
Seen: TypeAlias = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


class DetectorSection(BaseModel):
    """Which model to run, and on what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path | None = Field(
        None, description=f"folder with {TRANSFORM_FILE} and {MODEL_FILE}; none: the bundled model"
    )
    providers: tuple[Provider, ...] = Field(
        ("cpu",),
        min_length=1,
        description="execution providers in order of preference; [cuda] refuses to start without a GPU, "
        "[cuda, cpu] starts on the CPU with a warning",
    )
    sessions: int = Field(2, ge=1, le=64, description="inference threads, one ONNX Runtime session each")
    keep_masks: bool = Field(False, description="keep each window's mask in its Detection")


class Reading:
    """Reads Detections off M's answers, by the contract."""

    def __init__(self, contract: ModelContract, *, keep_masks: bool) -> None:
        self._contract, self._keep_masks = contract, keep_masks
        self._rows = {c.name: rows_of(c, contract) for c in contract.call_types}

    def detections(self, windows: Sequence[Placed], answer: Answer) -> list[Detection]:
        """One for each window of a batch."""
        return [self._detection(w, mask, said) for w, mask, said in zip(windows, *answer, strict=True)]

    def _detection(
        self, window: Placed, mask_probability: NDArray[np.float32], probability: NDArray[np.float32]
    ) -> Detection:
        call_types = self._contract.call_types
        unobserved = self._contract.unobservable(window.sample_rate_hz)
        observed = {c.name: float(p) for c, p in zip(call_types, probability, strict=True) if c.name not in unobserved}
        mask = mask_probability >= self._contract.mask_threshold
        heard = {c.name for c in call_types if observed.get(c.name, 0.0) >= c.leave}
        spans = call_spans(
            mask,
            window=window,
            contract=self._contract,
            rows_by_call_type={name: rows for name, rows in self._rows.items() if name in heard},
        )
        return Detection(
            hydrophone=window.hydrophone,
            epoch=window.epoch,
            first_sample=window.first_sample,
            end_sample=window.end_sample,
            sample_rate_hz=window.sample_rate_hz,
            start=window.start,
            probability=observed,
            unobserved=unobserved,
            spans=spans,
            mask=mask.view(np.uint8) if self._keep_masks else None,
            model_id=self._contract.model_id,
            source_file=window.source_file,
            abstained=frozenset(c.name for c in call_types if c.name in observed and c.abstains(observed[c.name])),
        )


@dataclass(frozen=True, slots=True)
class _SessionPair:
    """T and M chained on one device; used by one thread at a time."""

    transform: "ort.InferenceSession"
    model: "ort.InferenceSession"
    device: str

    def run(self, pcm: NDArray[np.float32]) -> Answer:
        """Pcm [B, window_samples] to mask_probability [B, 256, 256] and probability [B, K].

        T's image stays on the device for M.
        """
        return answer_of(self.model, self._image(pcm))

    def look(self, pcm: NDArray[np.float32]) -> Seen:
        """As run, with T's image [B, 256, 256] before the answer."""
        image = self._image(pcm)
        return (np.squeeze(image.numpy(), axis=1), *answer_of(self.model, image))

    def _image(self, pcm: NDArray[np.float32]) -> "ort.OrtValue":
        binding = self.transform.io_binding()
        binding.bind_cpu_input("pcm", pcm)
        binding.bind_output("image", self.device)
        self.transform.run_with_iobinding(binding)
        image: ort.OrtValue = binding.get_outputs()[0]
        return image


def answer_of(model: "ort.InferenceSession", image: "ort.OrtValue") -> Answer:
    """What M says of image [B, 1, rows, columns] on its device."""
    binding = model.io_binding()
    binding.bind_ortvalue_input("image", image)
    binding.bind_output("mask_probability")
    binding.bind_output("probability")
    model.run_with_iobinding(binding)
    mask_probability, probability = binding.copy_outputs_to_cpu()
    return mask_probability, probability


class Detector:
    """A model with its contract, ready to detect.

    Blocks while it runs: call it from threads of your own. Calls may overlap; each
    session works for one window (on a GPU: one share of a batch) at a time.
    """

    def __init__(self, pairs: Sequence[_SessionPair], contract: ModelContract, *, keep_masks: bool) -> None:
        self.contract = contract
        self.provider = pairs[0].model.get_providers()[0]
        # On a CPU a batch is no faster than its windows one by one, which need no copy to stack them.
        self._pool = SessionPool(pairs, in_turn=pairs[0].device == "cpu")
        self._reading = Reading(contract, keep_masks=keep_masks)

    @classmethod
    def load(cls, section: DetectorSection) -> Self:
        """Open T and M and check both against one contract.

        Raises:
            ModelRefused: a file is missing or damaged, a contract is wrong, or
                T and M do not belong together.
            ProviderRefused: no provider asked for is really there.
        """
        require_runtime()
        folder = section.path or bundled_model()
        pairs = [_open_pair(folder, section) for _ in range(section.sessions)]
        contract = _contract_of(pairs[0], folder)
        check_shapes(pairs[0].transform, transform_shapes(contract), folder / TRANSFORM_FILE)
        check_shapes(pairs[0].model, model_shapes(contract), folder / MODEL_FILE)
        return cls(pairs, contract, keep_masks=section.keep_masks)

    def close(self) -> None:
        """Stop the inference threads."""
        self._pool.close()

    def detect(self, windows: Sequence[Window]) -> list[Detection]:
        """Classify windows of one or more hydrophones; results in the same order."""
        return self._pool.answers(self._detect_part, windows)

    def look(self, pcm: NDArray[np.float32]) -> Seen:
        """Show what the model sees and answers, for pictures: the very image that detect() judges.

        Takes one session for one window at a time, so that live windows wait no longer for it than for each other.

        Args:
            pcm: float32 [B, window_samples] at the model's rate, full scale ±1; B >= 1.

        Returns:
            image float32 [B, rows, columns], mask_probability float32 [B, rows, columns]
            and probability float32 [B, K], calibrated, in the contract's order.
        """
        seen = [self._look_at(window) for window in pcm]
        images, masks, probabilities = (np.concatenate(parts) for parts in zip(*seen, strict=True))
        return images, masks, probabilities

    def _look_at(self, pcm: NDArray[np.float32]) -> Seen:
        with self._pool.session() as pair:
            return pair.look(np.ascontiguousarray(pcm[np.newaxis]))

    def _detect_part(self, pair: _SessionPair, windows: Sequence[Window]) -> list[Detection]:
        return self._reading.detections(windows, pair.run(stacked_pcm(windows)))


def stacked_pcm(windows: Sequence[Window]) -> NDArray[np.float32]:
    """Float32 [B, window_samples]; one window is not copied."""
    return windows[0].pcm[np.newaxis] if len(windows) == 1 else np.stack([w.pcm for w in windows])


def _open_pair(folder: Path, section: DetectorSection) -> _SessionPair:
    transform = open_session(folder / TRANSFORM_FILE, section.providers)
    model = open_session(folder / MODEL_FILE, section.providers)
    return _SessionPair(transform, model, "cuda" if on_gpu(model) else "cpu")


def _contract_of(pair: _SessionPair, folder: Path) -> ModelContract:
    first = contract_of(pair.transform, folder / TRANSFORM_FILE)
    second = contract_of(pair.model, folder / MODEL_FILE)
    if first != second:
        raise ModelRefused(
            f"{folder}: {TRANSFORM_FILE} ({first.model_id}) and {MODEL_FILE} ({second.model_id}) "
            "carry different contracts; export them together"
        )
    return first
