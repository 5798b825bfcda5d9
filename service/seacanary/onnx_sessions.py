"""ONNX Runtime sessions: opened for a folder's graphs, checked against their contract, shared among threads."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import metadata, resources
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, Literal, TypeAlias, TypeVar

from seacanary.contract import ModelContract
from seacanary.errors import ModelRefused, ProviderRefused

if TYPE_CHECKING:
    import onnxruntime as ort

TRANSFORM_FILE, MODEL_FILE = "transform.onnx", "model.onnx"

Provider = Literal["cpu", "cuda", "tensorrt"]
PROVIDER_NAMES: dict[Provider, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}

# Shapes without the batch axis, by tensor name: of the inputs, of the outputs.
Shapes: TypeAlias = tuple[Mapping[str, Sequence[int]], Mapping[str, Sequence[int]]]

SessionT = TypeVar("SessionT")
ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")


class SessionPool(Generic[SessionT]):
    """Sessions with a thread each; a session works for one caller at a time. Calls may overlap."""

    def __init__(self, sessions: Sequence[SessionT], *, in_turn: bool) -> None:
        """Take the sessions over.

        Args:
            sessions: at least one.
            in_turn: whether items are worked on one by one (a CPU is no faster with a batch)
                or in as many shares as there are sessions (a GPU is).
        """
        self._count, self._in_turn = len(sessions), in_turn
        self._idle = SimpleQueue[SessionT]()
        for session in sessions:
            self._idle.put(session)
        self._threads = ThreadPoolExecutor(len(sessions), thread_name_prefix="inference")

    @contextmanager
    def session(self) -> Iterator[SessionT]:
        """Wait for an idle session and have it to oneself."""
        session = self._idle.get()
        try:
            yield session
        finally:
            self._idle.put(session)

    def answers(
        self, ask: Callable[[SessionT, Sequence[ItemT]], Sequence[AnswerT]], items: Sequence[ItemT]
    ) -> list[AnswerT]:
        """One answer for each item, in order."""
        share = 1 if self._in_turn else -(-len(items) // self._count)
        parts = [items[i : i + share] for i in range(0, len(items), share)]

        def of_part(part: Sequence[ItemT]) -> Sequence[AnswerT]:
            with self.session() as session:
                return ask(session, part)

        return [answer for answers in self._threads.map(of_part, parts) for answer in answers]

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown()


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


def open_session(path: Path, providers: Sequence[Provider]) -> "ort.InferenceSession":
    """Open a graph on one thread, on the first of the providers that is really there.

    Raises:
        ModelRefused: the file is missing or damaged.
        ProviderRefused: no provider asked for is really there.
    """
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


def on_gpu(session: "ort.InferenceSession") -> bool:
    """Whether it really runs on a GPU."""
    return bool(session.get_providers()[0] != PROVIDER_NAMES["cpu"])


def contract_of(session: "ort.InferenceSession", path: Path) -> ModelContract:
    """The contract a graph carries.

    Raises:
        ModelRefused: it carries none, or a wrong one.
    """
    return ModelContract.from_metadata(session.get_modelmeta().custom_metadata_map, where=str(path))


def transform_shapes(contract: ModelContract) -> Shapes:
    """What T's tensors must be."""
    return {"pcm": [contract.window_samples]}, {"image": [1, *image_shape(contract)]}


def model_shapes(contract: ModelContract) -> Shapes:
    """What M's tensors must be."""
    answers = {"mask_probability": image_shape(contract), "probability": [len(contract.call_types)]}
    return {"image": [1, *image_shape(contract)]}, answers


def image_shape(contract: ModelContract) -> tuple[int, int]:
    """Rows and columns of T's image."""
    return sum(rows.count for rows in contract.transform.rows), contract.transform.columns


def check_shapes(session: "ort.InferenceSession", shapes: Shapes, path: Path) -> None:
    """Compare a graph's tensors with what its contract says.

    Raises:
        ModelRefused: they are not the same.
    """
    for kind, tensors, wanted in zip(
        ("input", "output"), (session.get_inputs(), session.get_outputs()), shapes, strict=True
    ):
        said = {name: list(shape) for name, shape in wanted.items()}
        got = {tensor.name: list(tensor.shape[1:]) for tensor in tensors}
        if got != said:
            raise ModelRefused(f"{path}: {kind}s [batch, ...] are {got}, the contract says {said}")
