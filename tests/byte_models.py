"""Models whose M puts its image on the byte grid, as the exporter makes them."""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from fakes import tiny_contract, write_tiny_model
from seacanary.contract import ModelContract


def write_byte_model(folder: Path, contract: ModelContract | None = None) -> Path:
    """The tiny model, with an M that sees its image in its contract's steps."""
    write_tiny_model(folder, contract)
    put_on_byte_grid(folder / "model.onnx", steps=(contract or tiny_contract()).image_steps)
    return folder


def put_on_byte_grid(path: Path, *, steps: int) -> None:
    """Let an M round its image to multiples of 1/steps before anything else sees it."""
    model = onnx.load(path)
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name == "image":
                node.input[place] = "image_on_grid"
    steps = numpy_helper.from_array(np.array(steps, np.float32), "grid_steps")
    model.graph.initializer.append(steps)
    grid = (
        helper.make_node("Mul", ["image", "grid_steps"], ["image_scaled"], name="grid_mul"),
        helper.make_node("Round", ["image_scaled"], ["image_rounded"], name="grid_round"),
        helper.make_node("Div", ["image_rounded", "grid_steps"], ["image_on_grid"], name="grid_div"),
    )
    for place, node in enumerate(grid):
        model.graph.node.insert(place, node)
    onnx.save(model, path)
