"""Converts a module to ONNX, and compares the results with torch's."""

from __future__ import annotations

import contextlib
import io
import logging
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as passes
import torch
from google.protobuf.message import DecodeError
from onnxscript import optimizer
from torch import nn

from deadpan.onnx_runtime import open_session

OPSET = 18


def to_onnx(module: nn.Module, image_size: int, shows: int = 0, *, compares: bool = False) -> onnx.ModelProto:
    """Convert a module to ONNX, for any N: "image" (N, 3, S, S) in [-1, 1] -> "logits" (N, K), "neutral" (N, 3, S, S).

    With `compares`, "rest" (N, 3, S, S) and "given" (N,) are inputs too. Explanations are outputs named "show_0" to
    "show_`shows` - 1". Raises ValueError if the module cannot be exported.
    """
    names = ("image", "rest") if compares else ("image",)
    inputs = {name: torch.zeros(2, 3, image_size, image_size) for name in names}  # equal inputs would merge
    if compares:
        inputs["given"] = torch.zeros(2)
    batch = torch.export.Dim("batch")
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):  # the exporter prints its steps
        program = torch.onnx.export(
            module,
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=["logits", "neutral", *(f"show_{i}" for i in range(shows))],
            dynamic_shapes={name: {0: batch} for name in inputs},
            opset_version=OPSET,
            dynamo=True,
            optimize=False,
        )
    quiet.setLevel(level)
    if program is None:
        raise ValueError("the method could not be exported to ONNX")
    part_outputs_from_inputs(program.model, list(inputs))
    simplify(program.model)
    return without_traces(program.model_proto)


def part_outputs_from_inputs(model: ir.Model, names: list[str]) -> None:
    """Copy an input that is also an output, as the image of a method without generator: the exporter makes them one."""
    graph = model.graph
    for index, value in enumerate(graph.outputs):
        if value.is_graph_input():
            copy = ir.node("Identity", [value])
            (made,) = copy.outputs
            made.name, made.shape, made.type = value.name, value.shape, value.type
            graph.append(copy)
            graph.outputs[index] = made
    for value, name in zip(graph.inputs, names, strict=True):
        value.name = name


def simplify(model: ir.Model) -> None:
    """Fold constants and merge equal nodes, but keep every weight of the method under its name.

    The exporter's own `optimize` also folds batch normalisations into convolutions, after which no training can start
    from the weights in the file (`train --start`). The runtime folds them in when it opens the file.
    """
    optimizer.inline(model)
    optimizer.fold_constants_ir(model, onnx_shape_inference=True)
    for step in (
        passes.RemoveUnusedNodesPass(),
        passes.RemoveUnusedOpsetsPass(),
        passes.IdentityEliminationPass(),
        passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        passes.DeduplicateInitializersPass(),
        passes.CommonSubexpressionEliminationPass(),
        passes.RemoveUnusedNodesPass(),
    ):
        step(model)


def without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove the exporter's notes from each node: stack traces with the paths of the exporting machine."""
    graph = model.graph
    for each in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del each.metadata_props[:]
        each.doc_string = ""
    return model


def is_released(path: Path) -> bool:
    """Whether the file is an ONNX model that deadpan wrote."""
    try:
        model = onnx.load(path, load_external_data=False)
    except (OSError, DecodeError):
        return False
    return any(each.key == "deadpan" for each in model.metadata_props)


def parity(module: nn.Module, data: bytes, image_size: int) -> float:
    """The largest difference of any output between torch and ONNX Runtime, for batches of 1 and 5 random faces."""
    session = open_session(data, rearrange=True)
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for count in (1, 5):
        faces = [torch.rand(count, 3, image_size, image_size, generator=generator) * 2 - 1 for _ in range(2)]
        inputs = [*faces, torch.arange(count) % 2.0][: len(session.get_inputs())]
        with torch.no_grad():
            expected = module(*inputs)
        names = [node.name for node in session.get_inputs()]
        answers = session.run(None, {name: value.numpy() for name, value in zip(names, inputs, strict=True)})
        for got, want in zip(answers, expected, strict=True):
            worst = max(worst, float(np.abs(got - want.numpy()).max()))
    return worst
