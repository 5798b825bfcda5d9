"""The model: its files, its contract, what it really runs on, and whether it answers."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from seacanary.cluster.worker_config import WorkerConfig
from seacanary.config import Configuration, StationConfig, check_against_model
from seacanary.contract import ModelContract
from seacanary.detection import PROVIDER_NAMES, Detector, DetectorSection
from seacanary.doctor.apart import Died, apart
from seacanary.doctor.findings import Finding, broken, ok, warning
from seacanary.errors import ConfigError, ModelRefused, ProviderRefused
from seacanary.image_detection import ImageJudge, Transformer

LIMIT_S = 60.0

# Which of T and M a process has, by its role.
PARTS = {"station": "T and M", "edge": "T", "worker": "M"}


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading a model came to.

    Attributes:
        contract: as both files say.
        provider: what it really runs on.
        offered: what ONNX Runtime claims to have.
        finite: whether it answers noise with numbers; None: it was not asked.
    """

    contract: ModelContract
    provider: str
    offered: tuple[str, ...]
    finite: bool | None


def load(section: DetectorSection, role: str) -> Loaded:
    """Load the parts that a role needs, and ask them once.

    Raises:
        ModelRefused: as Detector.load.
    """
    import onnxruntime as ort

    section = section.model_copy(update={"sessions": 1})
    offered = tuple(ort.get_available_providers())
    match role:
        case "edge":
            transformer = Transformer.load(section)
            return Loaded(transformer.contract, transformer.provider, offered, None)
        case "worker":
            judge = ImageJudge.load(section)
            return Loaded(judge.contract, judge.provider, offered, None)
    detector = Detector.load(section)
    pcm = np.random.default_rng(1).normal(0, 1e-3, (1, detector.contract.window_samples)).astype(np.float32)
    finite = all(bool(np.isfinite(part).all()) for part in detector.look(pcm))
    return Loaded(detector.contract, detector.provider, offered, finite)


def try_model(section: DetectorSection, role: str) -> tuple[Loaded | None, list[Finding]]:
    """Load it in a process of its own, and say how that went."""
    try:
        loaded = apart(partial(load, section, role), limit_s=LIMIT_S)
    except (ModelRefused, ImportError, Died) as exc:
        return None, [_refused(exc)]
    except TimeoutError:
        return None, [_hanging(section)]
    return loaded, list(_findings(loaded, section, role))


def fits(config: Configuration | None, contract: ModelContract | None) -> Iterator[Finding]:
    """Whether the configuration speaks of species and call types that the model knows."""
    if contract is None:
        return
    try:
        if isinstance(config, StationConfig):
            check_against_model(config, contract)
        elif isinstance(config, WorkerConfig):
            config.presence.check(contract)
    except ConfigError as exc:
        yield broken(
            "model and configuration",
            str(exc),
            means="the configuration asks for what this model cannot tell; the process refuses to start",
            remedy="use the names that the message lists, or another model (model.path)",
        )


def _refused(exc: Exception) -> Finding:
    remedy = "put the exported files there again (seacanary-models export), or leave model.path out for the bundled one"
    if isinstance(exc, ProviderRefused):
        remedy = "install what the message names, or set model.providers: [cuda, cpu] or [cpu]"
    return broken("model", str(exc), means="without its model the process refuses to start", remedy=remedy)


def _hanging(section: DetectorSection) -> Finding:
    return broken(
        "model",
        f"it was not loaded within {LIMIT_S:g} s from {section.path or 'the package'}",
        means="the disk or the GPU's driver hangs, or the machine is far too slow",
        remedy="see the system's log (dmesg); set model.providers: [cpu] to do without the GPU",
    )


def _findings(loaded: Loaded, section: DetectorSection, role: str) -> Iterator[Finding]:
    contract = loaded.contract
    calls = ", ".join(contract.call_type_names)
    yield ok("model", f"{contract.model_id} ({PARTS[role]}): {calls}; contract version {contract.contract_version}")
    if loaded.finite is False:
        yield broken(
            "model",
            "it answers quiet noise with values that are no numbers",
            means="the file is damaged, or the provider computes wrongly",
            remedy="put the exported files there again; set model.providers: [cpu]",
        )
    asked = PROVIDER_NAMES[section.providers[0]]
    if loaded.provider == asked:
        yield ok("provider", f"runs on {loaded.provider}, as asked")
        return
    claims = " ONNX Runtime claims to have it, and fell back." if asked in loaded.offered else ""
    yield warning(
        "provider",
        f"model.providers asks for {section.providers[0]} first; it really runs on {loaded.provider}.{claims}",
        means="several times slower than with a GPU",
        remedy="install 'seacanary[gpu]' alone (never both onnxruntime packages) with CUDA 13, cuDNN 9 and a driver "
        "that `nvidia-smi` shows, or put cpu first if that is what you want",
    )
