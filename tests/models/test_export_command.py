"""Export as a whole: variants that the service loads, in the precision they claim, measured and summed up."""

import hashlib
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto

from seacanary.audio import Window
from seacanary.contract import ModelContract
from seacanary.detection import Detector, DetectorSection
from seacanary_models.classifier import ClassifierConfig, MaskGuidedClassifier
from seacanary_models.datasets import WindowSet
from seacanary_models.export import Parity, default_contract
from seacanary_models.export_command import ExportJob, checksums, export_all, wanted_variants
from seacanary_models.export_variants import VARIANTS, Variant, remove_variants, variant_folder
from seacanary_models.onnx_files import write_graph
from seacanary_models.quantise import quantised
from seacanary_models.variant_report import VariantReport

pytestmark = pytest.mark.torch

EIGHT_BITS = {"QuantizeLinear", "DequantizeLinear"}


class Exported(NamedTuple):
    artifacts: Path
    parity: Parity
    report: VariantReport


def windows(count: int, seed: int) -> WindowSet:
    """Noise with a bright bar in half of the images, which is called a whistle."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 60, (count, 256, 256)).astype(np.uint8)
    marks = np.zeros_like(image)
    marks[::2, 60:64, 40:90] = 1
    image[marks > 0] = 230
    targets = np.zeros((count, 3), np.float32)
    targets[::2, 0] = 1
    numbers = np.zeros(count, np.int64)
    return WindowSet(
        image, marks, targets, np.ones_like(targets), np.full_like(targets, np.nan), numbers, numbers, numbers
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    torch.manual_seed(0)
    model = MaskGuidedClassifier(ClassifierConfig(preset="tiny"))
    job = ExportJob(
        model=model,
        contract=default_contract("test-1", {"seed": "0"}, model=model),
        artifacts=tmp_path_factory.mktemp("artifacts"),
        variants=wanted_variants("all"),
        calibration=windows(20, seed=1),
        validation=windows(6, seed=2),
        validation_is="drawn",
    )
    return Exported(job.artifacts, *export_all(job))


def graph_of(exported: Exported, variant: Variant) -> onnx.GraphProto:
    return onnx.load(variant_folder(exported.artifacts, variant) / "model.onnx").graph


def test_the_default_model_matches_torch(exported: Exported) -> None:
    assert exported.parity.within(1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_service_detects_with_each_variant(exported: Exported, variant: Variant) -> None:
    detector = Detector.load(DetectorSection(path=variant_folder(exported.artifacts, variant), sessions=1))
    pcm = (np.random.default_rng(0).standard_normal(393_216) * 1e-3).astype(np.float32)
    start = datetime(2026, 5, 1, tzinfo=UTC)
    (found,) = detector.detect([Window("h1", pcm, start, start, 0, pcm.size, 384_000)])
    detector.close()
    assert found.model_id == ("test-1" if variant == "fp32" else f"test-1-{variant}")
    assert set(found.probability) == {"whistle", "beluga_click", "porpoise_click"}
    assert all(0 < probability < 1 for probability in found.probability.values())


def test_a_variant_says_what_it_was_made_from(exported: Exported) -> None:
    props = onnx.load(exported.artifacts / "int8" / "transform.onnx").metadata_props
    contract = ModelContract.from_metadata({entry.key: entry.value for entry in props}, where="int8")
    assert contract.provenance["seed"] == "0"
    assert contract.provenance["variant"].startswith("int8 of test-1: convolutions")
    assert contract.provenance["variant"].endswith("calibrated on 20 images")


def test_transforms_of_all_variants_hold_the_same_graph(exported: Exported) -> None:
    folders = [variant_folder(exported.artifacts, variant) for variant in VARIANTS]
    graphs = {onnx.load(folder / "transform.onnx").graph.SerializeToString(deterministic=True) for folder in folders}
    assert len(graphs) == 1


def test_int8_holds_every_convolution_and_nothing_else(exported: Exported) -> None:
    graph = graph_of(exported, "int8")
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    inputs = {node.name: next(n for n in graph.node if n.output[0] == node.input[1]) for node in convolutions(graph)}
    assert len(inputs) == len(convolutions(graph_of(exported, "fp32")))
    for weights in inputs.values():
        assert weights.op_type == "DequantizeLinear"
        assert types[weights.input[0]] == TensorProto.INT8
    for node in graph.node:
        if node.op_type in {"MatMul", "Gemm", "Softmax", "LayerNormalization", "Log", "Exp", "Ceil"}:
            assert not {made_by.get(name) for name in node.input} & EIGHT_BITS


def convolutions(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    return [node for node in graph.node if node.op_type == "Conv"]


def test_weights_keep_to_seven_bits(exported: Exported) -> None:
    graph = graph_of(exported, "int8")
    weights = [t for t in graph.initializer if t.data_type == TensorProto.INT8 and len(t.dims) == 4]
    assert weights
    for tensor in weights:
        assert np.abs(onnx.numpy_helper.to_array(tensor).astype(int)).max() <= 64


def test_fp16_holds_the_weights_but_neither_soft_mask_nor_outputs(exported: Exported) -> None:
    graph = graph_of(exported, "fp16")
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    assert {types[node.input[1]] for node in convolutions(graph)} == {TensorProto.FLOAT16}
    assert {types[name] for name in types if name.endswith("row_weights")} == {TensorProto.FLOAT}
    whole = onnx.shape_inference.infer_shapes(onnx.load(exported.artifacts / "fp16" / "model.onnx")).graph
    value_types = {v.name: v.type.tensor_type.elem_type for v in (*whole.value_info, *whole.output, *whole.input)}
    exact = [n for n in whole.node if n.op_type in {"Log", "Ceil", "Max", "Exp", "Greater"}]
    assert {value_types[name] for node in exact for name in node.output} <= {TensorProto.FLOAT, TensorProto.BOOL}
    assert {value_types[value.name] for value in (*whole.output, *whole.input)} == {TensorProto.FLOAT}


def test_variants_are_smaller_and_nearly_say_the_same(exported: Exported) -> None:
    fp32, int8, fp16 = exported.report.variants
    assert max(int8.model_bytes, fp16.model_bytes) < fp32.model_bytes
    assert int8.mean_probability_difference < 0.02
    assert fp16.mean_probability_difference < 0.002
    assert int8.mask_agreement > 0.95
    assert fp16.mask_agreement > 0.99


def test_the_report_lies_beside_the_model(exported: Exported) -> None:
    text = (exported.artifacts / "variants.json").read_text()
    assert VariantReport.model_validate_json(text).model_dump_json() == exported.report.model_dump_json()


def test_checksums_name_every_file(exported: Exported) -> None:
    lines = checksums(exported.artifacts, ("variants.json",)).splitlines()
    assert len(lines) == 7
    for line in lines:
        digest, name = line.split("  ")
        assert digest == hashlib.sha256((exported.artifacts / name).read_bytes()).hexdigest()


def test_the_same_images_give_the_same_int8_bytes(exported: Exported, tmp_path: Path) -> None:
    def written(name: str, images: NDArray[np.uint8]) -> bytes:
        path = tmp_path / name
        write_graph(quantised(exported.artifacts / "model.onnx", images), default_contract("m", {}), path)
        return path.read_bytes()

    images = windows(4, seed=5).image
    first = written("first", images)
    assert first == written("second", images)
    assert first != written("third", images // 2)
    assert tempfile.gettempdir().encode() not in first
    assert str(Path.cwd()).encode() not in first


def test_int8_needs_images_to_calibrate_on(exported: Exported) -> None:
    with pytest.raises(ValueError, match="got none"):
        quantised(exported.artifacts / "model.onnx", np.zeros((0, 256, 256), np.uint8))


def test_variants_of_an_older_model_do_not_stay(tmp_path: Path) -> None:
    for variant in VARIANTS:
        variant_folder(tmp_path, variant).mkdir(exist_ok=True)
    (tmp_path / "model.onnx").touch()
    remove_variants(tmp_path, keep=("fp16",))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fp16", "model.onnx"]


def test_one_variant_or_all_can_be_asked_for() -> None:
    assert wanted_variants("all") == ("fp32", "int8", "fp16")
    assert wanted_variants("int8") == ("int8",)
