"""The default model and its smaller variants, each a folder that the service can load.

fp32 lies in the artifacts folder itself, int8 and fp16 in folders of their own below it.
T is the same in all of them: half precision cannot hold the power of a quiet sea.
"""

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from seacanary.contract import ModelContract
from seacanary_models.classifier import MaskGuidedClassifier
from seacanary_models.export import export
from seacanary_models.half_precision import HalfPrecisionModel
from seacanary_models.onnx_files import MODEL_FILE, TRANSFORM_FILE, to_onnx, write_graph
from seacanary_models.quantise import quantised

Variant = Literal["fp32", "int8", "fp16"]
VARIANTS: Final[tuple[Variant, ...]] = get_args(Variant)
HOW: Final[dict[Variant, str]] = {
    "fp32": "as trained",
    "int8": "convolutions of M in 8 bits (QDQ, unsigned activations, signed 7-bit weights per channel), rest fp32",
    "fp16": "M in half precision, soft mask and outputs fp32, T fp32",
}


def variant_folder(artifacts: Path, variant: Variant) -> Path:
    """Where a variant's two files lie."""
    return artifacts if variant == "fp32" else artifacts / variant


def variant_contract(contract: ModelContract, variant: Variant, *, calibration_images: int) -> ModelContract:
    """The contract of a variant: its own model_id, and in the provenance how it was made."""
    if variant == "fp32":
        return contract
    made = HOW[variant] + (f", calibrated on {calibration_images} images" if variant == "int8" else "")
    return contract.model_copy(
        update={
            "model_id": f"{contract.model_id}-{variant}",
            "provenance": contract.provenance | {"variant": f"{variant} of {contract.model_id}: {made}"},
        }
    )


def export_variants(
    model: MaskGuidedClassifier,
    contract: ModelContract,
    artifacts: Path,
    *,
    variants: Collection[Variant],
    calibration_images: NDArray[np.uint8],
) -> dict[Variant, Path]:
    """Write the fp32 model and the variants asked for.

    Args:
        model: the trained model.
        contract: of the fp32 model.
        artifacts: gets transform.onnx and model.onnx, and a folder for each variant.
        variants: fp32 is always written, the others are made from it and measured against it; those not
            asked for are removed, as they would be of another model.
        calibration_images: uint8 [n, 256, 256] for the ranges of int8.

    Returns:
        the folder of each variant written, fp32 first.

    Raises:
        ModelRefused: the contract disagrees with the model.
        ValueError: int8 is wanted and there are no images.
    """
    paths = export(model, contract, artifacts)
    remove_variants(artifacts, keep=variants)
    folders: dict[Variant, Path] = {"fp32": artifacts}
    for variant in (v for v in VARIANTS if v in variants and v != "fp32"):
        own = variant_contract(contract, variant, calibration_images=len(calibration_images))
        folders[variant] = variant_folder(artifacts, variant)
        folders[variant].mkdir(exist_ok=True)
        graph = quantised(paths[1], calibration_images) if variant == "int8" else _half_precision(model)
        write_graph(graph, own, folders[variant] / MODEL_FILE)
        write_graph(onnx.load(paths[0]), own, folders[variant] / TRANSFORM_FILE)
    return folders


def remove_variants(artifacts: Path, *, keep: Collection[Variant]) -> None:
    """Remove the folders of variants, never fp32's, that are not to be kept."""
    for variant in VARIANTS:
        if variant != "fp32" and variant not in keep:
            shutil.rmtree(variant_folder(artifacts, variant), ignore_errors=True)


def _half_precision(model: MaskGuidedClassifier) -> onnx.ModelProto:
    image = torch.zeros(2, 1, 256, 256)
    return to_onnx(HalfPrecisionModel(model), image, inputs="image", outputs=("mask_probability", "probability"))
