"""ONNX Runtime: windows in, Detections out."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from seacanary.audio import Window
from seacanary.contract import ModelContract
from seacanary.errors import ModelRefused, ProviderRefused
from seacanary.observations import Detection
from seacanary.spans import call_spans, rows_of

if TYPE_CHECKING:
    import onnxruntime as ort

TRANSFORM_FILE, MODEL_FILE = "transform.onnx", "model.onnx"

Provider = Literal["cpu", "cuda", "tensorrt"]
PROVIDER_NAMES: dict[Provider, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}

# image [B, rows, columns], mask_probability [B, rows, columns], probability [B, K], all float32.
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


@dataclass(frozen=True, slots=True)
class _SessionPair:
    """T and M chained on one device; used by one thread at a time."""

    transform: "ort.InferenceSession"
    model: "ort.InferenceSession"
    device: str

    def run(self, pcm: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Pcm [B, window_samples] to mask_probability [B, 256, 256] and probability [B, K].

        T's image stays on the device for M.
        """
        return self._answer(self._image(pcm))

    def look(self, pcm: NDArray[np.float32]) -> Seen:
        """As run, with T's image [B, 256, 256] before the answer."""
        image = self._image(pcm)
        return (np.squeeze(image.numpy(), axis=1), *self._answer(image))

    def _image(self, pcm: NDArray[np.float32]) -> "ort.OrtValue":
        binding = self.transform.io_binding()
        binding.bind_cpu_input("pcm", pcm)
        binding.bind_output("image", self.device)
        self.transform.run_with_iobinding(binding)
        image: ort.OrtValue = binding.get_outputs()[0]
        return image

    def _answer(self, image: "ort.OrtValue") -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        binding = self.model.io_binding()
        binding.bind_ortvalue_input("image", image)
        binding.bind_output("mask_probability")
        binding.bind_output("probability")
        self.model.run_with_iobinding(binding)
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
        self._sessions = len(pairs)
        self._in_turn = pairs[0].device == "cpu"
        self._idle = SimpleQueue[_SessionPair]()
        for pair in pairs:
            self._idle.put(pair)
        self._keep_masks = keep_masks
        self._rows = {c.name: rows_of(c, contract) for c in contract.call_types}
        self._pool = ThreadPoolExecutor(len(pairs), thread_name_prefix="inference")

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
        _check_shapes(pairs[0], contract, folder)
        return cls(pairs, contract, keep_masks=section.keep_masks)

    def close(self) -> None:
        """Stop the inference threads."""
        self._pool.shutdown()

    def detect(self, windows: Sequence[Window]) -> list[Detection]:
        """Classify windows of one or more hydrophones; results in the same order."""
        # On a CPU a batch is no faster than its windows one by one, which need no copy to stack them.
        share = 1 if self._in_turn else -(-len(windows) // self._sessions)
        parts = [windows[i : i + share] for i in range(0, len(windows), share)]
        return [detection for part in self._pool.map(self._detect_part, parts) for detection in part]

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
        pair = self._idle.get()
        try:
            return pair.look(np.ascontiguousarray(pcm[np.newaxis]))
        finally:
            self._idle.put(pair)

    def _detect_part(self, windows: Sequence[Window]) -> list[Detection]:
        pcm = windows[0].pcm[np.newaxis] if len(windows) == 1 else np.stack([w.pcm for w in windows])
        pair = self._idle.get()
        try:
            masks, probabilities = pair.run(pcm)
        finally:
            self._idle.put(pair)
        return [self._detection(w, masks[i], probabilities[i]) for i, w in enumerate(windows)]

    def _detection(
        self, window: Window, mask_probability: NDArray[np.float32], probability: NDArray[np.float32]
    ) -> Detection:
        unobserved = self.contract.unobservable(window.sample_rate_hz)
        observed = {
            c.name: float(p)
            for c, p in zip(self.contract.call_types, probability, strict=True)
            if c.name not in unobserved
        }
        mask = mask_probability >= self.contract.mask_threshold
        heard = {c.name for c in self.contract.call_types if observed.get(c.name, 0.0) >= c.leave}
        spans = call_spans(
            mask,
            window=window,
            contract=self.contract,
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
            model_id=self.contract.model_id,
            source_file=window.source_file,
            abstained=frozenset(
                c.name for c in self.contract.call_types if c.name in observed and c.abstains(observed[c.name])
            ),
        )


def bundled_model() -> Path:
    """Folder of the model that ships with the package."""
    packaged = Path(str(resources.files("seacanary"))) / "artifacts"
    if packaged.is_dir():
        return packaged
    return Path(__file__).parents[2] / "models" / "artifacts"


def require_runtime() -> None:
    """Check that exactly one of the two ONNX Runtime packages is installed.

    Raises:
        ModelRefused: neither is there, or both are and shadow one another.
    """
    found = [name for name in ("onnxruntime", "onnxruntime-gpu") if _installed(name)]
    if not found:
        raise ModelRefused(
            "no ONNX Runtime here: pip install 'seacanary[cpu]', or 'seacanary[gpu]' on a machine with an NVIDIA GPU"
        )
    if len(found) == 2:
        raise ModelRefused(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other: "
            "pip uninstall both, then install 'seacanary[cpu]' or 'seacanary[gpu]', in an environment of its own"
        )


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _open_pair(folder: Path, section: DetectorSection) -> _SessionPair:
    transform = _open_session(folder / TRANSFORM_FILE, section.providers)
    model = _open_session(folder / MODEL_FILE, section.providers)
    on_gpu = model.get_providers()[0] != PROVIDER_NAMES["cpu"]
    return _SessionPair(transform, model, "cuda" if on_gpu else "cpu")


def _open_session(path: Path, providers: Sequence[Provider]) -> "ort.InferenceSession":
    import onnxruntime as ort

    if not path.is_file():
        raise ModelRefused(f"{path}: no such model file; a model is a folder with {TRANSFORM_FILE} and {MODEL_FILE}")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    available = set(ort.get_available_providers())
    asked = [PROVIDER_NAMES[p] for p in providers if PROVIDER_NAMES[p] in available]
    if not asked:
        raise ProviderRefused(_no_provider(path, providers, got=sorted(available)))
    # TF32 keeps ten bits of the mantissa: too few for T's 120 dB.
    exact: list[dict[str, str]] = [{"use_tf32": "0"} if name == PROVIDER_NAMES["cuda"] else {} for name in asked]
    try:
        session = ort.InferenceSession(path, options, providers=asked, provider_options=exact)
    except Exception as exc:  # ONNX Runtime raises many unrelated types
        raise ModelRefused(f"{path}: ONNX Runtime cannot load it: {exc}") from exc
    got = session.get_providers()
    # ONNX Runtime falls back to the CPU with only a log line, so look at what it took.
    if got[0] not in {PROVIDER_NAMES[p] for p in providers}:
        raise ProviderRefused(_no_provider(path, providers, got=got))
    return session


def _no_provider(path: Path, providers: Sequence[Provider], *, got: Sequence[str]) -> str:
    return (
        f"{path}: model.providers asks for {list(providers)}, but ONNX Runtime offers {list(got)}; "
        "install 'seacanary[gpu]' and a working driver, or add cpu to model.providers"
    )


def _contract_of(pair: _SessionPair, folder: Path) -> ModelContract:
    first, second = (
        ModelContract.from_metadata(session.get_modelmeta().custom_metadata_map, where=str(folder / name))
        for session, name in ((pair.transform, TRANSFORM_FILE), (pair.model, MODEL_FILE))
    )
    if first != second:
        raise ModelRefused(
            f"{folder}: {TRANSFORM_FILE} ({first.model_id}) and {MODEL_FILE} ({second.model_id}) "
            "carry different contracts; export them together"
        )
    return first


def _check_shapes(pair: _SessionPair, contract: ModelContract, folder: Path) -> None:
    """Refuse graphs whose tensors are not what the contract says."""
    rows = sum(r.count for r in contract.transform.rows)
    columns = contract.transform.columns
    wanted = {
        TRANSFORM_FILE: (pair.transform, {"pcm": [contract.window_samples]}, {"image": [1, rows, columns]}),
        MODEL_FILE: (
            pair.model,
            {"image": [1, rows, columns]},
            {"mask_probability": [rows, columns], "probability": [len(contract.call_types)]},
        ),
    }
    for name, (session, inputs, outputs) in wanted.items():
        for kind, tensors, shapes in (
            ("input", session.get_inputs(), inputs),
            ("output", session.get_outputs(), outputs),
        ):
            got = {tensor.name: list(tensor.shape[1:]) for tensor in tensors}
            if got != shapes:
                raise ModelRefused(f"{folder / name}: {kind}s [batch, ...] are {got}, the contract says {shapes}")
