"""What a training starts from: the weights of a finished or stopped run, or those of a released model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torch import Tensor

from deadpan.method import Method
from deadpan.models import released
from deadpan.training.checkpoint import CheckpointError, load_method, read_tensors, under

PREFIX = "released.method."
"""Comes before the name of every weight of the method in a released model's file."""


def place_of(start: str | Path) -> Path:
    """The run folder or model file that `start` names: a released model by its name, or a path.

    CheckpointError if there is neither.
    """
    path = released().get(str(start), Path(start))
    if not path.exists():
        names = ", ".join(released())
        raise CheckpointError(f"no run or model {start} to start from; released models: {names}")
    return path


def begin_from(method: Method, path: Path) -> None:
    """Initialise `method` with the weights of a run or of a model file, in all layers that have the same name.

    For a stopped run, the running averages of its last checkpoint are used. A model file (.onnx) stores most weights
    rounded to 16 bits. Raises CheckpointError for other expressions, if layers of the same name differ in shape, if no
    names are equal, or if a model file does not hold all weights.
    """
    expressions = expressions_in(path)
    if expressions != method.expressions:
        theirs, ours = ", ".join(expressions), ", ".join(method.expressions)
        raise CheckpointError(f"cannot start from {path}: it has the expressions {theirs}, this training has {ours}")
    own = method.state_dict()
    given = weights_in(path)
    shared = {key: value for key, value in given.items() if key in own}
    different = [key for key, value in shared.items() if own[key].shape != value.shape]
    if different or not shared:
        reason = f"{different[0]} has another shape" if different else "they share no layer"
        raise CheckpointError(f"cannot start from {path}: {reason}; use the same method, width and image size")
    if path.suffix == ".onnx":
        missing = [key for key, value in own.items() if key not in given and value.is_floating_point()]
        if missing:
            raise CheckpointError(f"cannot start from {path}: it does not hold {missing[0]}; export the run again")
    method.load_state_dict({**own, **shared})


def expressions_in(path: Path) -> tuple[str, ...]:
    """The expressions of a run folder, a file that `save_method` wrote, or a model file, in their order."""
    if path.suffix == ".onnx":
        entries = {each.key: each.value for each in _network(path).metadata_props}
        facts = json.loads(entries.get("deadpan", "{}"))
    elif (path / "state.safetensors").exists():
        facts = json.loads((path / "config.json").read_text(encoding="utf-8"))
    else:
        _, facts = load_method(path)
    return tuple(facts.get("expressions", ()))


def weights_in(path: Path) -> dict[str, Tensor]:
    """The weights in a run folder, a file that `save_method` wrote, or a model file, by their names in the method."""
    if path.suffix == ".onnx":
        return _released(path)
    stopped = path / "state.safetensors"
    if not stopped.exists():
        return load_method(path)[0].state_dict()
    tensors, _ = read_tensors(stopped)
    averages = {
        key.removeprefix("average/").replace("/module.", ".", 1): value
        for key, value in tensors.items()
        if key.startswith("average/") and "/module." in key
    }
    return under("method/", tensors) | averages


def _network(path: Path) -> onnx.ModelProto:
    try:
        return onnx.load(path)
    except (OSError, DecodeError) as error:
        raise CheckpointError(f"{path} cannot be read as a model: {error}") from None


def _released(path: Path) -> dict[str, Tensor]:
    graph = _network(path).graph
    widened = {node.input[0]: node.output[0] for node in graph.node if node.op_type == "Cast"}  # stored in 16 bits
    named = {widened.get(each.name, each.name): numpy_helper.to_array(each) for each in graph.initializer}
    return {
        name.removeprefix(PREFIX): torch.from_numpy(values.astype(np.float32))
        for name, values in named.items()
        if name.startswith(PREFIX)
    }
