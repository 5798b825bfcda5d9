"""ONNX files: from a torch module to a graph, and from a graph to the same bytes every time."""

import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seacanary.contract import ModelContract
from seacanary.errors import ModelRefused

TRANSFORM_FILE: Final = "transform.onnx"
MODEL_FILE: Final = "model.onnx"
# 18 is the newest opset whose ReduceMin and ReduceMax ONNX Runtime runs on CUDA.
OPSET: Final = 18


def to_onnx(module: nn.Module, example: Tensor, *, inputs: str, outputs: Sequence[str]) -> onnx.ModelProto:
    """The graph of a module with one input, dynamic in its first dimension.

    Args:
        module: is put into eval mode.
        example: an input of batch 2 (a batch of 1 would be taken for a constant).
        inputs: name of the input.
        outputs: names of the outputs, in order.

    Raises:
        ModelRefused: torch gives no graph.
    """
    with warnings.catch_warnings(), quiet("torch.onnx", "onnxscript"):
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
def quiet(*names: str) -> Iterator[None]:
    """Let these loggers speak of errors only."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def write_graph(graph: onnx.ModelProto, contract: ModelContract, path: Path) -> None:
    """Strip what varies between runs, put in the contract, check, write."""
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


def open_session(path: Path) -> ort.InferenceSession:
    """ONNX Runtime on one thread of the CPU, as a service's session is opened."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run_in_batches(
    session: ort.InferenceSession, feed: Mapping[str, NDArray[np.float32]], *, batch: int
) -> list[NDArray[np.float32]]:
    """Every output for one input [n, ...], computed so many at a time and stacked again."""
    ((name, values),) = feed.items()
    parts = [session.run(None, {name: values[i : i + batch]}) for i in range(0, len(values), batch)]
    return [np.concatenate(output) for output in zip(*parts, strict=True)]
