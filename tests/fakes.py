"""Stand-ins shared by tests: a tiny real ONNX model, a scripted source, a list publisher."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from seacanary.audio import AudioBlock, read_only
from seacanary.contract import CallType, ImageRows, ModelContract, Transform
from seacanary.errors import SourceLost
from seacanary.events import JournalEntry

EPOCH = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
ROWS, COLUMNS, COLUMN_SAMPLES = 4, 16, 64


def tiny_contract(**changes: object) -> ModelContract:
    """A model of 1,024 samples at 8 kHz (0.128 s), hop half: quick enough for property tests."""
    call_types = (
        CallType(name="whistle", species="beluga", band_hz=(0, 2000), min_sample_rate_hz=2000, enter=0.5, leave=0.3),
        CallType(
            name="porpoise_click",
            species="porpoise",
            band_hz=(2000, 4000),
            min_sample_rate_hz=6000,
            enter=0.7,
            leave=0.4,
        ),
    )
    contract = ModelContract(
        model_id="tiny-1",
        sample_rate_hz=8000,
        window_samples=COLUMNS * COLUMN_SAMPLES,
        hop_samples=COLUMNS * COLUMN_SAMPLES // 2,
        call_types=call_types,
        transform=Transform(
            columns=COLUMNS,
            column_samples=COLUMN_SAMPLES,
            rows=(
                ImageRows(first=0, count=ROWS, low_hz=0, step_hz=1000, fft_samples=64, hop_samples=64, pooling="mean"),
            ),
            floor_db=-120,
            range_db=(0, 40),
        ),
        sigma_px=1.0,
    )
    return contract.model_copy(update=changes)


def write_tiny_model(folder: Path, contract: ModelContract | None = None) -> Path:
    """Write T and M that call a column loud when its mean |pcm| is: probability is the loudest column.

    It is a stand-in for the trained model: real ONNX, run by the real runtime,
    but with an answer that a test can work out by hand.
    """
    contract = contract or tiny_contract()
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(_with(contract, _transform_graph()), folder / "transform.onnx")
    onnx.save(_with(contract, _model_graph(len(contract.call_types))), folder / "model.onnx")
    return folder


def _with(contract: ModelContract, graph: onnx.GraphProto) -> onnx.ModelProto:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, contract.to_metadata())
    onnx.checker.check_model(model)
    return model


def _transform_graph() -> onnx.GraphProto:
    shape = np.array([0, 1, COLUMNS, COLUMN_SAMPLES], np.int64)
    nodes = [
        helper.make_node("Abs", ["pcm"], ["loud"]),
        helper.make_node("Reshape", ["loud", "by_column"], ["columns"]),
        helper.make_node("ReduceMean", ["columns", "last"], ["level"], keepdims=0),
        helper.make_node("Unsqueeze", ["level", "row_axis"], ["row"]),
        helper.make_node("Concat", ["row"] * ROWS, ["image"], axis=2),
    ]
    constants = {"by_column": shape, "last": np.array([3], np.int64), "row_axis": np.array([2], np.int64)}
    return helper.make_graph(
        nodes,
        "T",
        [helper.make_tensor_value_info("pcm", TensorProto.FLOAT, ["batch", COLUMNS * COLUMN_SAMPLES])],
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, ROWS, COLUMNS])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )


def _model_graph(call_types: int) -> onnx.GraphProto:
    nodes = [
        helper.make_node("Clip", ["image", "zero", "one"], ["clipped"]),
        helper.make_node("Squeeze", ["clipped", "channel"], ["mask_probability"]),
        helper.make_node("ReduceMax", ["mask_probability", "pixels"], ["loudest"], keepdims=0),
        helper.make_node("Unsqueeze", ["loudest", "channel"], ["one_type"]),
        helper.make_node("Concat", ["one_type"] * call_types, ["probability"], axis=1),
    ]
    constants = {
        "zero": np.array(0, np.float32),
        "one": np.array(1, np.float32),
        "channel": np.array([1], np.int64),
        "pixels": np.array([1, 2], np.int64),
    }
    return helper.make_graph(
        nodes,
        "M",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, ROWS, COLUMNS])],
        [
            helper.make_tensor_value_info("mask_probability", TensorProto.FLOAT, ["batch", ROWS, COLUMNS]),
            helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["batch", call_types]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )


def blocks_of(
    samples: NDArray[np.float32],
    sizes: Iterable[int],
    *,
    hydrophone: str = "h1",
    sample_rate_hz: int = 8000,
    epoch: datetime = EPOCH,
) -> list[AudioBlock]:
    """Cut samples into blocks of the given sizes; what is left over is the last block."""
    blocks, first = [], 0
    for size in [*sizes, samples.size]:
        part = samples[first : first + size]
        if part.size:
            blocks.append(AudioBlock(hydrophone, read_only(part.copy()), first, sample_rate_hz, epoch))
        first += part.size
    return blocks


class ScriptedSource:
    """A source that yields given blocks, then ends, or breaks with SourceLost."""

    def __init__(self, blocks: Sequence[AudioBlock], *, breaks: str | None = None) -> None:
        self._blocks, self._breaks = blocks, breaks
        self.closed = False

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        for block in self._blocks:
            yield block
        if self._breaks:
            raise SourceLost(self._breaks)

    async def aclose(self) -> None:
        self.closed = True


class ListPublisher:
    """A publisher that remembers; `fail` may raise before it does."""

    def __init__(self, name: str = "list", fail: Callable[[], None] = lambda: None) -> None:
        self.name, self._fail = name, fail
        self.received: list[JournalEntry] = []

    async def publish(self, entries: Sequence[JournalEntry]) -> None:
        self._fail()
        self.received.extend(entries)

    async def aclose(self) -> None:
        return
