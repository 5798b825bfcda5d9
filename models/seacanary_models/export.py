"""T and M to ONNX with their contract, the same bytes from the same weights, parity checked."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor, nn

from seacanary.contract import CallType, ModelContract
from seacanary.errors import ModelRefused
from seacanary_models.byte_images import STEPS, on_byte_grid
from seacanary_models.classifier import ClassifierConfig, MaskGuidedClassifier, mask_probability
from seacanary_models.onnx_files import MODEL_FILE, TRANSFORM_FILE, open_session, run_in_batches, to_onnx, write_graph
from seacanary_models.transforms import SAMPLE_RATE_HZ, TRANSFORM, WINDOW_SAMPLES, CompositeSpectrogram

_CALL_TYPES: Final = (
    CallType(name="whistle", species="beluga", band_hz=(400, 20_000), min_sample_rate_hz=16_000, enter=0.7, leave=0.4),
    CallType(
        name="beluga_click",
        species="beluga",
        band_hz=(30_000, 130_000),
        min_sample_rate_hz=96_000,
        enter=0.7,
        leave=0.4,
    ),
    CallType(
        name="porpoise_click",
        species="porpoise",
        band_hz=(110_000, 150_000),
        min_sample_rate_hz=300_001,
        enter=0.7,
        leave=0.4,
    ),
)


@dataclass(frozen=True, slots=True)
class Parity:
    """How far ONNX Runtime is from torch; the worst over windows and batch sizes.

    Attributes:
        image_error: largest difference of a pixel of T's image.
        probability_error: largest difference of a call or mask probability, M given the same image.
        mask_agreement: share of pixels on the same side of the mask threshold, T and M chained.
        chained_error: largest difference of a call or mask probability, T and M chained. It holds
            T's error, which M's segmenter multiplies.
    """

    image_error: float
    probability_error: float
    mask_agreement: float
    chained_error: float

    def within(self, tolerance: float) -> bool:
        """Whether image and probabilities differ by no more, and 0.999 of the mask agrees; NaN is not within."""
        close = self.image_error <= tolerance and self.probability_error <= tolerance
        return close and self.mask_agreement >= 0.999


class ExportableModel(nn.Module):
    """M as it ships: image put on the byte grid, probabilities in place of logits, temperatures applied."""

    def __init__(self, model: MaskGuidedClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """`mask_probability` [B, 256, 256] and `probability` [B, K] of an image [B, 1, 256, 256]."""
        output = self.model(on_byte_grid(image))
        return mask_probability(output.mask_logits), self.model.probabilities(output.call_logits)


def default_contract(
    model_id: str,
    provenance: Mapping[str, str],
    thresholds: Mapping[str, tuple[float, float]] | None = None,
    *,
    abstain: Mapping[str, tuple[float, float]] | None = None,
    model: MaskGuidedClassifier | None = None,
) -> ModelContract:
    """The contract of a model that knows whistle, beluga_click and porpoise_click.

    Args:
        model_id: name and version.
        provenance: how it was trained: data, seed, commit.
        thresholds: (enter, leave) per call type; a call type left out keeps (0.7, 0.4).
        abstain: band [low, high) of probabilities per call type where the model does not know, high at
            most `enter`; a call type left out never abstains.
        model: gives temperatures, mask threshold and sigma; without it they are the defaults.

    Raises:
        ModelRefused: thresholds or bands name a call type that does not exist or do not fit each
            other, or the model has not three call types.
    """
    thresholds, abstain = thresholds or {}, abstain or {}
    unknown = (thresholds.keys() | abstain.keys()) - {call_type.name for call_type in _CALL_TYPES}
    if unknown:
        raise ModelRefused(f"thresholds name unknown call types {sorted(unknown)}")
    config = model.config if model else ClassifierConfig()
    temperatures = model.temperatures.tolist() if model else [1.0] * len(_CALL_TYPES)
    if len(temperatures) != len(_CALL_TYPES):
        raise ModelRefused(f"{model_id} has {len(temperatures)} call types, this contract {len(_CALL_TYPES)}")
    return ModelContract(
        model_id=model_id,
        sample_rate_hz=SAMPLE_RATE_HZ,
        window_samples=WINDOW_SAMPLES,
        hop_samples=WINDOW_SAMPLES // 2,
        call_types=tuple(
            _call_type(base, thresholds.get(base.name), band=abstain.get(base.name), temperature=temperature)
            for base, temperature in zip(_CALL_TYPES, temperatures, strict=True)
        ),
        transform=TRANSFORM,
        mask_threshold=config.mask_threshold,
        sigma_px=config.sigma_px,
        image_steps=STEPS,
        provenance=dict(provenance),
    )


def _call_type(
    base: CallType, thresholds: tuple[float, float] | None, *, band: tuple[float, float] | None, temperature: float
) -> CallType:
    enter, leave = thresholds or (base.enter, base.leave)
    low, high = band or (None, None)
    chosen = {"enter": enter, "leave": leave, "temperature": temperature, "abstain_low": low, "abstain_high": high}
    try:
        return CallType.model_validate(base.model_dump() | chosen)
    except ValidationError as exc:
        raise ModelRefused(f"{base.name}: " + "; ".join(error["msg"] for error in exc.errors())) from exc


def export(model: MaskGuidedClassifier, contract: ModelContract, out_dir: Path) -> tuple[Path, Path]:
    """Write T and M, each with the contract in its metadata.

    Args:
        model: the trained model; it is left in the mode it came in.
        contract: must say what the model does.
        out_dir: made if missing; files of the same names are replaced.

    Returns:
        paths of transform.onnx and model.onnx.

    Raises:
        ModelRefused: the contract disagrees with the model.
    """
    check_contract(model, contract)
    out_dir.mkdir(parents=True, exist_ok=True)
    pcm = torch.zeros(2, WINDOW_SAMPLES)
    image = torch.zeros(2, 1, 256, 256)
    transform_path, model_path = out_dir / TRANSFORM_FILE, out_dir / MODEL_FILE
    write_graph(to_onnx(CompositeSpectrogram(), pcm, inputs="pcm", outputs=("image",)), contract, transform_path)
    with evaluating(model):
        graph = to_onnx(ExportableModel(model), image, inputs="image", outputs=("mask_probability", "probability"))
    write_graph(graph, contract, model_path)
    return transform_path, model_path


def check_contract(model: MaskGuidedClassifier, contract: ModelContract) -> None:
    """Refuse a contract that says other than the model does.

    Raises:
        ModelRefused: the message names the field, the model's value and the contract's.
    """
    facts: dict[str, tuple[object, object]] = {
        "call_types": (model.config.call_types, len(contract.call_types)),
        "mask_threshold": (model.config.mask_threshold, contract.mask_threshold),
        "sigma_px": (model.config.sigma_px, contract.sigma_px),
        "image_steps": (STEPS, contract.image_steps),
        "temperature": (model.temperatures.tolist(), [c.temperature for c in contract.call_types]),
        "transform": (TRANSFORM, contract.transform),
        "window_samples": (WINDOW_SAMPLES, contract.window_samples),
        "sample_rate_hz": (SAMPLE_RATE_HZ, contract.sample_rate_hz),
    }
    for field, (real, stated) in facts.items():
        if real != stated:
            raise ModelRefused(f"{contract.model_id}: {field} is {real} in the model, {stated} in the contract")


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into eval mode for a while."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def check_parity(
    model: MaskGuidedClassifier,
    paths: tuple[Path, Path],
    pcm: NDArray[np.float32],
    *,
    tolerance: float = 1e-4,
    batches: Sequence[int] = (1, 2, 5),
) -> Parity:
    """Compare ONNX Runtime with torch on windows, at several batch sizes.

    Args:
        model: what was exported.
        paths: transform.onnx and model.onnx.
        pcm: float32 [n, 393216], full scale ±1; best with silence, noise and calls among them.
        tolerance: largest difference allowed of a pixel of the image and of a probability.
        batches: how many windows at a time; the worst counts.

    Raises:
        ModelRefused: image or probability differ by more than the tolerance, or fewer than 0.999 of
            the mask's pixels agree.
    """
    wanted = _in_torch(model, pcm)
    transform, classifier = (open_session(path) for path in paths)
    threshold = model.config.mask_threshold
    # Reduced with numpy, whose max and min keep a NaN.
    errors, agreements = [], []
    for batch in batches:
        image = run_in_batches(transform, {"pcm": pcm}, batch=batch)
        alone = run_in_batches(classifier, {"image": wanted[0]}, batch=batch)
        chained = run_in_batches(classifier, {"image": image[0]}, batch=batch)
        errors.append([_apart(image, wanted[:1]), _apart(alone, wanted[1:]), _apart(chained, wanted[1:])])
        agreements.append(((chained[0] > threshold) == (wanted[1] > threshold)).mean())
    image_error, alone_error, chained_error = np.max(errors, axis=0).tolist()
    parity = Parity(image_error, alone_error, float(np.min(agreements)), chained_error)
    if not parity.within(tolerance):
        raise ModelRefused(f"{paths[1].name} does not match torch: {parity}")
    return parity


def _in_torch(model: MaskGuidedClassifier, pcm: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Image, mask probability and probability of each window."""
    with evaluating(model), torch.no_grad():
        image = CompositeSpectrogram()(torch.from_numpy(pcm))
        return [output.numpy() for output in (image, *ExportableModel(model)(image))]


def _apart(found: Sequence[NDArray[np.float32]], wanted: Sequence[NDArray[np.float32]]) -> float:
    """Largest difference; NaN if there is one anywhere."""
    return float(np.max([np.abs(a - b).max() for a, b in zip(found, wanted, strict=True)]))
