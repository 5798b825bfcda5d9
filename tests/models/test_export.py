"""What is exported is what was trained: same numbers, same bytes, a contract that can be read."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray

from seacanary.contract import ModelContract
from seacanary.errors import ModelRefused
from seacanary_models.classifier import ClassifierConfig, MaskGuidedClassifier
from seacanary_models.export import check_contract, check_parity, default_contract, export

pytestmark = pytest.mark.torch


def model_of(seed: int) -> MaskGuidedClassifier:
    torch.manual_seed(seed)
    model = MaskGuidedClassifier(ClassifierConfig(preset="tiny"))
    model.set_temperatures([1.5, 1.0, 0.8])
    return model


def noise(windows: int) -> NDArray[np.float32]:
    pcm = np.random.default_rng(0).standard_normal((windows, 393_216)) * 0.01
    pcm[:, 100_000:100_040] += 0.3
    return pcm.astype(np.float32)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[MaskGuidedClassifier, tuple[Path, Path]]:
    model = model_of(0)
    contract = default_contract("test-1", {"seed": "0"}, {"whistle": (0.8, 0.3)}, model=model)
    return model, export(model, contract, tmp_path_factory.mktemp("model"))


Exported = tuple[MaskGuidedClassifier, tuple[Path, Path]]


def test_onnx_runtime_matches_torch(exported: Exported) -> None:
    parity = check_parity(*exported, noise(2))
    assert parity.image_error < 1e-4
    assert parity.probability_error <= 1e-4
    assert parity.mask_agreement >= 0.999


def test_parity_with_other_weights_is_refused(exported: Exported) -> None:
    with pytest.raises(ModelRefused, match="does not match torch"):
        check_parity(model_of(1), exported[1], noise(1))


def test_both_files_carry_the_contract(exported: Exported) -> None:
    for path in exported[1]:
        metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
        contract = ModelContract.from_metadata(metadata, where=path.name)
        assert contract.call_type_names == ("whistle", "beluga_click", "porpoise_click")
        assert (contract.call_types[0].enter, contract.call_types[0].leave) == (0.8, 0.3)
        assert contract.call_types[0].temperature == 1.5
        assert contract.provenance == {"seed": "0"}


@pytest.mark.parametrize("batch", [1, 3])
def test_any_batch_runs_chained(exported: Exported, batch: int) -> None:
    transform, model = (ort.InferenceSession(path, providers=["CPUExecutionProvider"]) for path in exported[1])
    (image,) = transform.run(["image"], {"pcm": noise(batch)})
    mask, probability = model.run(["mask_probability", "probability"], {"image": image})
    assert mask.shape == (batch, 256, 256)
    assert probability.shape == (batch, 3)
    assert ((probability > 0) & (probability < 1)).all()


def test_the_same_weights_give_the_same_bytes_and_the_model_keeps_its_mode(exported: Exported, tmp_path: Path) -> None:
    contract = default_contract("test-1", {"seed": "0"}, {"whistle": (0.8, 0.3)}, model=exported[0])
    model = exported[0].train()
    again = export(model, contract, tmp_path)
    assert model.training
    for first, second in zip(exported[1], again, strict=True):
        assert hashlib.sha256(first.read_bytes()).digest() == hashlib.sha256(second.read_bytes()).digest()


def test_no_path_or_source_of_the_exporting_machine_is_left(exported: Exported) -> None:
    for path in exported[1]:
        assert not [word for word in (b".py", b"site-packages", b"stack_trace") if word in path.read_bytes()]


def test_only_the_batch_is_dynamic_and_no_operation_lacks_a_cuda_kernel(exported: Exported) -> None:
    for path in exported[1]:
        graph = onnx.load(path).graph
        for value in (*graph.input, *graph.output):
            batch, *others = value.type.tensor_type.shape.dim
            assert batch.dim_param
            assert not any(dimension.dim_param for dimension in others)
        assert not {node.op_type for node in graph.node} & {"STFT", "DFT", "Loop", "Scan", "If", "ReduceMin"}


def test_a_contract_that_disagrees_is_refused() -> None:
    model = model_of(0)
    with pytest.raises(ModelRefused, match="temperature"):
        check_contract(model, default_contract("m", {}))
    stated = default_contract("m", {}, model=model)
    with pytest.raises(ModelRefused, match=r"sigma_px is 4\.0 in the model, 6\.0"):
        check_contract(model, stated.model_copy(update={"sigma_px": 6.0}))


def test_a_model_with_other_call_types_gets_no_default_contract() -> None:
    model = MaskGuidedClassifier(ClassifierConfig(preset="tiny", call_types=2))
    with pytest.raises(ModelRefused, match="m has 2 call types"):
        default_contract("m", {}, model=model)


def test_thresholds_for_an_unknown_call_type_are_refused() -> None:
    with pytest.raises(ModelRefused, match="moo"):
        default_contract("m", {}, {"moo": (0.5, 0.2)})
