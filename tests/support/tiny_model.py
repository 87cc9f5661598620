"""Writes tiny ONNX models in deadpan's format: random weights, and a blurred face instead of a neutral one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from deadpan.expressions import EXPRESSIONS


def tiny_model(
    path: Path, *, size: int = 64, generates: bool = True, description: dict[str, Any] | str | None = None
) -> Path:
    """Write the model to `path`; `description` replaces parts of its deadpan metadata or, as text, all of it."""
    count = len(EXPRESSIONS)
    weights = np.random.default_rng(0).normal(0, 0.5, (3 * 64, count)).astype(np.float32)
    cell = [size // 8, size // 8]
    nodes = [
        helper.make_node("AveragePool", ["image"], ["cells"], kernel_shape=cell, strides=cell),
        helper.make_node("Flatten", ["cells"], ["row"]),
        helper.make_node("MatMul", ["row", "weights"], ["logits"]),
        helper.make_node("AveragePool", ["image"], ["neutral"], kernel_shape=[9, 9], pads=[4] * 4),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, size, size])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", count]),
            helper.make_tensor_value_info("neutral", TensorProto.FLOAT, ["batch", 3, size, size]),
        ],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    facts: dict[str, Any] = {
        "format": 1,
        "name": "tiny",
        "method": "derl",
        "expressions": list(EXPRESSIONS),
        "image_size": size,
        "generates": generates,
    }
    text = description if isinstance(description, str) else json.dumps({**facts, **(description or {})})
    if text:
        entry = model.metadata_props.add()
        entry.key, entry.value = "deadpan", text
    onnx.save(model, str(path))
    return path


def comparing_model(path: Path, *, size: int = 64) -> Path:
    """Write a model of a method that compares and shows: logits from image - neutral, which is the rest face if given.

    It shows votes (softmax of the logits), a level (mean of image - neutral), a picture (the neutral face) and shifts
    (three fixed points).
    """
    count = len(EXPRESSIONS)
    weights = np.random.default_rng(0).normal(0, 0.5, (3 * 64, count)).astype(np.float32)
    points = np.array([[[10, 20], [12, 18]], [[30, 30], [30, 34]], [[50, 20], [50, 20]]], np.float32)
    cell = [size // 8, size // 8]
    constants: dict[str, np.ndarray[Any, np.dtype[Any]]] = {
        "weights": weights,
        "column": np.array([-1, 1, 1, 1], np.int64),
        "axes": np.array([1, 2, 3], np.int64),
        "points": points[None],
    }
    nodes = [
        helper.make_node("AveragePool", ["image"], ["made"], kernel_shape=[9, 9], pads=[4] * 4),
        helper.make_node("Reshape", ["given", "column"], ["share"]),
        helper.make_node("Sub", ["rest", "made"], ["step"]),
        helper.make_node("Mul", ["step", "share"], ["taken"]),
        helper.make_node("Add", ["made", "taken"], ["neutral"]),
        helper.make_node("Sub", ["image", "neutral"], ["difference"]),
        helper.make_node("AveragePool", ["difference"], ["cells"], kernel_shape=cell, strides=cell),
        helper.make_node("Flatten", ["cells"], ["row"]),
        helper.make_node("MatMul", ["row", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["show_0"], axis=1),
        helper.make_node("Abs", ["difference"], ["length"]),
        helper.make_node("ReduceMean", ["length", "axes"], ["show_1"], keepdims=0),
        helper.make_node("Identity", ["neutral"], ["show_2"]),
        helper.make_node("Mul", ["share", "points"], ["show_3"]),
    ]
    face: list[str | int] = ["batch", 3, size, size]
    shapes: dict[str, list[str | int]] = {"logits": ["batch", count], "neutral": [*face], "show_0": ["batch", count]}
    shapes |= {"show_1": ["batch"], "show_2": [*face], "show_3": ["batch", 3, 2, 2]}
    inputs: dict[str, list[str | int]] = {"image": face, "rest": face, "given": ["batch"]}
    graph = helper.make_graph(
        nodes,
        "comparing",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    shows = [("branch", "votes"), ("intensity", "level"), ("someone else", "picture"), ("displacements", "shifts")]
    entry = model.metadata_props.add()
    entry.key = "deadpan"
    facts = {"format": 1, "name": "comparing", "method": "dgcn", "expressions": list(EXPRESSIONS), "image_size": size}
    shown = [{"caption": caption, "kind": kind} for caption, kind in shows]
    entry.value = json.dumps({**facts, "generates": True, "compares": True, "shows": shown})
    onnx.save(model, str(path))
    return path


def yunet_like(path: Path, side: int = 320) -> Path:
    """Write a network with YuNet's twelve outputs that always detects one face, for pictures of `side` pixels.

    The face: left 130, top 140, 60 wide, 80 high, landmarks at 150/170, 170/170, 160/180, 150/200, 170/200.
    """
    cells = {stride: (side // stride) ** 2 for stride in (8, 16, 32)}
    column, row, stride = 20, 22, 8  # the cell that detects the face
    cell = row * (side // stride) + column
    outputs: dict[str, np.ndarray[Any, np.dtype[np.float32]]] = {}
    for kind, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
        outputs |= {f"{kind}_{s}": np.zeros((1, number, width), np.float32) for s, number in cells.items()}
    outputs["cls_8"][0, cell], outputs["obj_8"][0, cell] = 0.9, 0.9
    outputs["bbox_8"][0, cell] = [160 / 8 - column, 180 / 8 - row, np.log(60 / 8), np.log(80 / 8)]
    points = np.array([[150, 170], [170, 170], [160, 180], [150, 200], [170, 200]]) / stride - [column, row]
    outputs["kps_8"][0, cell] = points.ravel()
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        *(helper.make_node("Add", [f"{name}_fixed", "nothing"], [name]) for name in outputs),
    ]
    graph = helper.make_graph(
        nodes,
        "yunet",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape) for name, value in outputs.items()],
        [
            numpy_helper.from_array(np.zeros((), np.float32), "zero"),
            *(numpy_helper.from_array(value, f"{name}_fixed") for name, value in outputs.items()),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    return path
