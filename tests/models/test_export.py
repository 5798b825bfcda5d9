"""What is exported is what was trained: same numbers, same bytes, a contract that can be read."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray

from seacanary.contract import ModelContract
from seacanary.errors import ModelRefused
from seacanary.simulation import training_window
from seacanary_models.byte_images import STEPS, on_byte_grid, seeing_steps
from seacanary_models.classifier import ClassifierConfig, MaskGuidedClassifier
from seacanary_models.export import Parity, check_contract, check_parity, default_contract, export
from seacanary_models.onnx_files import open_session, run_in_batches

CALL_TYPES = ("whistle", "beluga_click", "porpoise_click")

pytestmark = pytest.mark.torch


def model_of(seed: int) -> MaskGuidedClassifier:
    torch.manual_seed(seed)
    model = MaskGuidedClassifier(ClassifierConfig(preset="tiny"))
    model.set_temperatures([1.5, 1.0, 0.8])
    return model


def sounds() -> NDArray[np.float32]:
    """Windows [7, 393216]: silence, noise from under T's floor to full scale, and every call."""
    rng = np.random.default_rng(3)
    levels = (0.0, 1e-6, 1e-4, 1.0)
    heard = [training_window(1, call_types=names, part="test").samples for names in ((), ("whistle",), CALL_TYPES)]
    noises = [np.clip(rng.standard_normal(393_216) * level, -1, 1) for level in levels]
    return np.stack([*noises, *heard]).astype(np.float32)


def noise(windows: int) -> NDArray[np.float32]:
    pcm = np.random.default_rng(0).standard_normal((windows, 393_216)) * 0.01
    pcm[:, 100_000:100_040] += 0.3
    return pcm.astype(np.float32)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[MaskGuidedClassifier, tuple[Path, Path]]:
    model = model_of(0).train()
    contract = default_contract("test-1", {"seed": "0"}, {"whistle": (0.8, 0.3)}, model=model)
    return model, export(model, contract, tmp_path_factory.mktemp("model"))


Exported = tuple[MaskGuidedClassifier, tuple[Path, Path]]


def test_onnx_runtime_matches_torch_from_silence_to_full_scale_at_any_batch(exported: Exported) -> None:
    parity = check_parity(*exported, sounds(), batches=(1, 2, 5))
    assert parity.image_error < 1e-4
    assert parity.probability_error <= 1e-4
    assert parity.mask_agreement >= 0.999
    assert parity.chained_error < 1e-2


def test_silence_has_a_finite_image_and_probability(exported: Exported) -> None:
    transform, model = (ort.InferenceSession(path, providers=["CPUExecutionProvider"]) for path in exported[1])
    (image,) = transform.run(None, {"pcm": np.zeros((1, 393_216), np.float32)})
    assert np.isfinite(image).all()
    assert all(np.isfinite(output).all() for output in model.run(None, {"image": image}))


def test_an_image_sent_as_bytes_is_the_same_to_the_model(exported: Exported) -> None:
    transform, classifier = (open_session(path) for path in exported[1])
    (image,) = run_in_batches(transform, {"pcm": sounds()}, batch=2)
    sent = np.rint(image * np.float32(STEPS)).astype(np.uint8).astype(np.float32) / np.float32(STEPS)
    assert np.abs(sent - image).max() > 0
    for straight, over_the_wire in zip(
        run_in_batches(classifier, {"image": image}, batch=2),
        run_in_batches(classifier, {"image": sent}, batch=2),
        strict=True,
    ):
        assert np.array_equal(straight, over_the_wire)


def test_what_is_evaluated_sees_its_image_as_what_is_exported() -> None:
    image = torch.rand(2, 1, 256, 256, generator=torch.Generator().manual_seed(1))
    plain, stepped = model_of(0).eval(), seeing_steps(model_of(0).eval())
    with torch.inference_mode():
        assert torch.equal(stepped(image).call_logits, plain(on_byte_grid(image)).call_logits)
        assert not torch.equal(stepped(image).call_logits, plain(image).call_logits)


def test_nothing_that_is_not_a_number_counts_as_parity() -> None:
    nan = float("nan")
    assert Parity(0.0, 0.0, 1.0, 0.0).within(1e-4)
    assert not Parity(nan, 0.0, 1.0, 0.0).within(1e-4)
    assert not Parity(0.0, nan, 1.0, 0.0).within(1e-4)
    assert not Parity(0.0, 2e-4, 1.0, 0.0).within(1e-4)
    assert not Parity(0.0, 0.0, 0.99, 0.0).within(1e-4)


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


def test_a_model_in_training_is_exported_for_inference_and_goes_on_training(exported: Exported) -> None:
    assert exported[0].training
    assert not {node.op_type for node in onnx.load(exported[1][1]).graph.node} & {"Dropout", "BatchNormalization"}


_EXPORT = """
import sys, torch
from pathlib import Path
from seacanary_models.byte_images import STEPS, on_byte_grid, seeing_steps
from seacanary_models.classifier import ClassifierConfig, MaskGuidedClassifier
from seacanary_models.export import default_contract, export
torch.manual_seed(0)
model = MaskGuidedClassifier(ClassifierConfig(preset="tiny"))
model.set_temperatures([1.5, 1.0, 0.8])
contract = default_contract("test-1", {"seed": "0"}, {"whistle": (0.8, 0.3)}, model=model)
export(model, contract, Path(sys.argv[1]))
"""


def test_another_process_writes_the_same_bytes(exported: Exported, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONHASHSEED": "4711", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "ignore", "-c", _EXPORT, str(tmp_path)]
    subprocess.run(command, check=True, env=environment, cwd=tmp_path)
    for path in exported[1]:
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_no_path_or_source_of_the_exporting_machine_is_left(exported: Exported) -> None:
    places = {str(Path(module).parent) for module in (__file__, torch.__file__, onnx.__file__, os.__file__)}
    places |= {str(Path.home()) + os.sep, str(Path.cwd()), sys.prefix, str(exported[1][0].parent)}
    for path in exported[1]:
        held = path.read_bytes()
        assert not [word for word in (b".py", b"site-packages", b"stack_trace", b"pkg.torch") if word in held]
        assert not [place for place in places if place.encode() in held]


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


def test_a_band_to_abstain_in_reaches_the_contract() -> None:
    contract = default_contract("m", {}, {"whistle": (0.8, 0.3)}, abstain={"whistle": (0.2, 0.8)})
    whistle, beluga_click, _ = contract.call_types
    assert (whistle.abstain_low, whistle.abstain_high) == (0.2, 0.8)
    assert beluga_click.abstain_low is None


def test_a_band_that_does_not_fit_its_threshold_is_refused() -> None:
    with pytest.raises(ModelRefused, match=r"whistle: .*enter \(0\.8\)"):
        default_contract("m", {}, {"whistle": (0.8, 0.3)}, abstain={"whistle": (0.2, 0.9)})
    with pytest.raises(ModelRefused, match="moo"):
        default_contract("m", {}, abstain={"moo": (0.2, 0.9)})
