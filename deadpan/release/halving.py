"""Stores the weights of an ONNX network as 16-bit floats."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def halve(model: onnx.ModelProto, names: Collection[str]) -> None:
    """Store the weights of these names as 16-bit floats, each behind a Cast that the runtime folds away at load."""
    graph, casts = model.graph, []
    for index, weight in enumerate(graph.initializer):
        if weight.name in names:
            stored = f"{weight.name}_16"
            halved = numpy_helper.to_array(weight).astype(np.float16)
            casts.append(helper.make_node("Cast", [stored], [weight.name], to=TensorProto.FLOAT))
            graph.initializer[index].CopyFrom(numpy_helper.from_array(halved, stored))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def large_weights(model: onnx.ModelProto, most: int = 16) -> set[str]:
    """The names of the weights of more than `most` values that are stored as 32-bit floats."""
    return {
        weight.name
        for weight in model.graph.initializer
        if weight.data_type == TensorProto.FLOAT and numpy_helper.to_array(weight).size > most
    }
