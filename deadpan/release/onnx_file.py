"""A module as an ONNX file, and its parity with torch."""

from __future__ import annotations

import contextlib
import io
import logging
from pathlib import Path

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from torch import nn

from deadpan.onnx_runtime import open_session

OPSET = 18


def to_onnx(module: nn.Module, image_size: int, shows: int = 0, *, compares: bool = False) -> onnx.ModelProto:
    """The module as ONNX: "image" (N, 3, S, S) in [-1, 1] -> "logits" (N, K), "neutral" (N, 3, S, S), any N.

    Of a module that `compares`, "rest" (N, 3, S, S) and "given" (N,) are inputs too; "show_0" to "show_`shows` - 1" are
    further outputs.
    """
    names = ("image", "rest") if compares else ("image",)
    inputs = {name: torch.zeros(2, 3, image_size, image_size) for name in names}  # one tensor for two would merge them
    if compares:
        inputs["given"] = torch.zeros(2)
    batch = torch.export.Dim("batch")
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):  # the exporter reports its steps there
        program = torch.onnx.export(
            module,
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=["logits", "neutral", *(f"show_{i}" for i in range(shows))],
            dynamic_shapes={name: {0: batch} for name in inputs},
            opset_version=OPSET,
            dynamo=True,
        )
    quiet.setLevel(level)
    if program is None:
        raise ValueError("the method could not be exported to ONNX")
    return without_traces(program.model_proto)


def without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without the exporter's notes on each node: stack traces with the paths of the exporting machine."""
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
    """Largest difference of an output between torch and ONNX Runtime over batches of 1 and 5 random faces."""
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
