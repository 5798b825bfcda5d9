"""T and M to ONNX with their contract, the same bytes from the same weights, parity checked."""

import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seacanary.contract import CallType, ModelContract
from seacanary.errors import ModelRefused
from seacanary_models.classifier import ClassifierConfig, MaskGuidedClassifier, mask_probability
from seacanary_models.transforms import SAMPLE_RATE_HZ, TRANSFORM, WINDOW_SAMPLES, CompositeSpectrogram

TRANSFORM_FILE: Final = "transform.onnx"
MODEL_FILE: Final = "model.onnx"
# 18 is the newest opset whose ReduceMin and ReduceMax ONNX Runtime runs on CUDA.
OPSET: Final = 18

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
    """How far ONNX Runtime is from torch.

    Attributes:
        image_error: largest difference of a pixel of T's image.
        probability_error: largest difference of a call or mask probability.
        mask_agreement: share of pixels on the same side of the mask threshold.
    """

    image_error: float
    probability_error: float
    mask_agreement: float


class ExportableModel(nn.Module):
    """M as it ships: probabilities in place of logits, temperatures applied."""

    def __init__(self, model: MaskGuidedClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """`mask_probability` [B, 256, 256] and `probability` [B, K] of an image [B, 1, 256, 256]."""
        output = self.model(image)
        return mask_probability(output.mask_logits), self.model.probabilities(output.call_logits)


def default_contract(
    model_id: str,
    provenance: Mapping[str, str],
    thresholds: Mapping[str, tuple[float, float]] | None = None,
    *,
    model: MaskGuidedClassifier | None = None,
) -> ModelContract:
    """The contract of a model that knows whistle, beluga_click and porpoise_click.

    Args:
        model_id: name and version.
        provenance: how it was trained: data, seed, commit.
        thresholds: (enter, leave) per call type; a call type left out keeps (0.7, 0.4).
        model: gives temperatures, mask threshold and sigma; without it they are the defaults.

    Raises:
        ModelRefused: thresholds name a call type that does not exist, or the model has not three.
    """
    thresholds = thresholds or {}
    unknown = thresholds.keys() - {call_type.name for call_type in _CALL_TYPES}
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
            _call_type(call_type, thresholds, temperature)
            for call_type, temperature in zip(_CALL_TYPES, temperatures, strict=True)
        ),
        transform=TRANSFORM,
        mask_threshold=config.mask_threshold,
        sigma_px=config.sigma_px,
        provenance=dict(provenance),
    )


def _call_type(base: CallType, thresholds: Mapping[str, tuple[float, float]], temperature: float) -> CallType:
    enter, leave = thresholds.get(base.name, (base.enter, base.leave))
    return CallType.model_validate(base.model_dump() | {"enter": enter, "leave": leave, "temperature": temperature})


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
    _write(_to_onnx(CompositeSpectrogram(), pcm, inputs="pcm", outputs=("image",)), contract, transform_path)
    with _evaluating(model):
        graph = _to_onnx(ExportableModel(model), image, inputs="image", outputs=("mask_probability", "probability"))
    _write(graph, contract, model_path)
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
        "temperature": (model.temperatures.tolist(), [c.temperature for c in contract.call_types]),
        "transform": (TRANSFORM, contract.transform),
        "window_samples": (WINDOW_SAMPLES, contract.window_samples),
        "sample_rate_hz": (SAMPLE_RATE_HZ, contract.sample_rate_hz),
    }
    for field, (real, stated) in facts.items():
        if real != stated:
            raise ModelRefused(f"{contract.model_id}: {field} is {real} in the model, {stated} in the contract")


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _to_onnx(module: nn.Module, example: Tensor, *, inputs: str, outputs: Sequence[str]) -> onnx.ModelProto:
    """The graph of a module with one input, dynamic in its first dimension."""
    with warnings.catch_warnings(), _quiet("torch.onnx", "onnxscript"):
        # The exporter deprecates parts of itself on every run; nothing here can act on it.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(),
            (example,),
            input_names=[inputs],
            output_names=list(outputs),
            dynamo=True,
            opset_version=OPSET,
            external_data=False,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            verbose=False,
        )
    if program is None:
        raise ModelRefused(f"torch exported nothing for {type(module).__name__}")
    return program.model_proto


@contextmanager
def _quiet(*names: str) -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _write(graph: onnx.ModelProto, contract: ModelContract, path: Path) -> None:
    """Strip what varies between runs, add the contract, check, write."""
    _strip(graph)
    for key, value in contract.to_metadata().items():
        graph.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(graph, full_check=True)
    path.write_bytes(graph.SerializeToString(deterministic=True))


def _strip(graph: onnx.ModelProto) -> None:
    """Remove producer, stack traces and paths: they vary, and they are nobody's business."""
    for field in ("producer_name", "producer_version", "doc_string", "domain", "metadata_props"):
        graph.ClearField(field)
    inner = graph.graph
    parts: Iterable[onnx.NodeProto | onnx.ValueInfoProto | onnx.TensorProto | onnx.GraphProto] = (
        inner,
        *inner.node,
        *inner.input,
        *inner.output,
        *inner.value_info,
        *inner.initializer,
    )
    for part in parts:
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    inner.name = "seacanary"


def check_parity(
    model: MaskGuidedClassifier, paths: tuple[Path, Path], pcm: NDArray[np.float32], *, tolerance: float = 1e-4
) -> Parity:
    """Compare ONNX Runtime with torch on real windows.

    Args:
        model: what was exported.
        paths: transform.onnx and model.onnx.
        pcm: float32 [B, 393216], full scale ±1.
        tolerance: largest difference allowed of a probability.

    Raises:
        ModelRefused: a probability differs by more than the tolerance, or fewer than 0.999 of the
            mask's pixels agree.
    """
    transform_path, model_path = paths
    with _evaluating(model), torch.no_grad():
        image = CompositeSpectrogram()(torch.from_numpy(pcm))
        mask, calls = (value.numpy() for value in ExportableModel(model)(image))
    (onnx_image,) = _run(transform_path, {"pcm": pcm})
    onnx_mask, onnx_calls = _run(model_path, {"image": image.numpy()})
    threshold = model.config.mask_threshold
    parity = Parity(
        image_error=float(np.abs(onnx_image - image.numpy()).max()),
        probability_error=float(max(np.abs(onnx_mask - mask).max(), np.abs(onnx_calls - calls).max())),
        mask_agreement=float(((onnx_mask > threshold) == (mask > threshold)).mean()),
    )
    if parity.probability_error > tolerance or parity.mask_agreement < 0.999:
        raise ModelRefused(f"{model_path.name} does not match torch: {parity}")
    return parity


def _run(path: Path, feed: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    outputs: list[NDArray[np.float32]] = session.run(None, feed)
    return outputs
