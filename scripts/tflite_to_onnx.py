"""Converts a small TensorFlow Lite network of 32-bit or 16-bit floats to ONNX: the operations of face networks.

The axes of a picture are (N, H, W, C) in TensorFlow Lite and (N, C, H, W) in ONNX. Weights and paddings are transposed
once, here; the graph contains a transposition only if an output flattens a picture. Needs the packages `onnx` and
`tflite`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import tflite
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8  # ONNX Runtime 1.19, the oldest that deadpan accepts, reads up to 10

Array = npt.NDArray[Any]

OPERATIONS = {value: name for name, value in vars(tflite.BuiltinOperator).items() if isinstance(value, int)}
TYPES = {0: np.float32, 1: np.float16, 2: np.int32}  # the schema's TensorType
SAME = 0  # the schema's Padding


def convert(content: bytes, name: str, input_name: str, outputs: dict[str, Sequence[int]]) -> onnx.ModelProto:
    """Convert a network to ONNX for any batch size; `outputs` maps output names, in order, to the shape of a row."""
    return _Conversion(content).model(name, input_name, outputs)


class _Conversion:
    def __init__(self, content: bytes) -> None:
        self.file = tflite.Model.GetRootAsModel(content, 0)
        self.graph = self.file.Subgraphs(0)
        self.constants: dict[int, Array] = {}  # dequantised weights by tensor
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def model(self, name: str, input_name: str, outputs: dict[str, Sequence[int]]) -> onnx.ModelProto:
        for index in range(self.graph.OperatorsLength()):
            self._add(self.graph.Operators(index))
        results = []
        for number, (output, row) in enumerate(outputs.items()):
            shape = self._weight(f"{output}_shape", np.array([-1, *row], np.int64))
            self._node("Reshape", [self._name(self.graph.Outputs(number)), shape], output)
            results.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", *row]))
        source = self.graph.Inputs(0)
        _, height, width, channels = (int(side) for side in self._shape(source))
        self._node("Identity", [input_name], self._name(source), first=True)
        picture = helper.make_tensor_value_info(input_name, TensorProto.FLOAT, ["N", channels, height, width])
        graph = helper.make_graph(self.nodes, name, [picture], results, self.weights)
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION)

    # --- the inputs of an operation ----------------------------------------------------------------------------------

    @staticmethod
    def _name(tensor: int) -> str:
        return f"t{tensor}"

    def _shape(self, tensor: int) -> Array:
        return np.asarray(self.graph.Tensors(tensor).ShapeAsNumpy())

    def _value(self, tensor: int) -> Array:
        """A constant tensor in TensorFlow Lite's own order of axes."""
        if tensor in self.constants:
            return self.constants[tensor]
        about = self.graph.Tensors(tensor)
        data = self.file.Buffers(about.Buffer()).DataAsNumpy().tobytes()
        return np.frombuffer(data, TYPES[about.Type()]).reshape(self._shape(tensor))

    @staticmethod
    def _options(operator: Any, kind: Any) -> Any:
        options, table = kind(), operator.BuiltinOptions()
        options.Init(table.Bytes, table.Pos)
        return options

    # --- the nodes that it adds to the graph --------------------------------------------------------------------------

    def _weight(self, name: str, values: Array) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _node(self, kind: str, inputs: list[str], output: str, *, first: bool = False, **attributes: Any) -> None:
        node = helper.make_node(kind, inputs, [output], **attributes)
        self.nodes.insert(0 if first else len(self.nodes), node)

    def _activated(self, kind: str, inputs: list[str], output: str, activation: int, **attributes: Any) -> None:
        if activation not in (tflite.ActivationFunctionType.NONE, tflite.ActivationFunctionType.RELU):
            raise ValueError(f"activation {activation} of {output} is not converted")
        linear = activation == tflite.ActivationFunctionType.NONE
        self._node(kind, inputs, output if linear else f"{output}_linear", **attributes)
        if not linear:
            self._node("Relu", [f"{output}_linear"], output)

    def _pads(self, source: int, kernel: Sequence[int], strides: Sequence[int], padding: int) -> list[int]:
        if padding != SAME:
            return [0, 0, 0, 0]
        sides = self._shape(source)[1:3]
        total = [
            max((-(-int(side) // stride) - 1) * stride + extent - int(side), 0)
            for side, extent, stride in zip(sides, kernel, strides, strict=True)
        ]
        return [both // 2 for both in total] + [both - both // 2 for both in total]

    def _add(self, operator: Any) -> None:
        code = self.file.OperatorCodes(operator.OpcodeIndex())
        kind = OPERATIONS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        sources = [operator.Inputs(index) for index in range(operator.InputsLength())]
        target = operator.Outputs(0)
        names, output = [self._name(source) for source in sources], self._name(target)
        if kind == "DEQUANTIZE":
            self.constants[target] = self._value(sources[0]).astype(np.float32)
        elif kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            self._convolution(operator, kind == "DEPTHWISE_CONV_2D", sources, output)
        elif kind == "MAX_POOL_2D":
            options = self._options(operator, tflite.Pool2DOptions)
            kernel = [options.FilterHeight(), options.FilterWidth()]
            strides = [options.StrideH(), options.StrideW()]
            pads = self._pads(sources[0], kernel, strides, options.Padding())
            self._node("MaxPool", names[:1], output, kernel_shape=kernel, strides=strides, pads=pads)
        elif kind == "RELU":
            self._node("Relu", names, output)
        elif kind == "PRELU":
            self._leaky(names[0], self._value(sources[1]).astype(np.float32).ravel(), output)
        elif kind == "ADD":
            activation = self._options(operator, tflite.AddOptions).FusedActivationFunction()
            self._activated("Add", names, output, activation)
        elif kind == "PAD":
            amounts = self._value(sources[1])[[0, 3, 1, 2]].T.ravel().astype(np.int64)
            self._node("Pad", [names[0], self._weight(f"{output}_pads", amounts)], output)
        elif kind == "RESHAPE":
            rows = self._weight(f"{output}_shape", np.array([-1, *self._shape(target)[1:]], np.int64))
            self._node("Transpose", names[:1], f"{output}_nhwc", perm=[0, 2, 3, 1])
            self._node("Reshape", [f"{output}_nhwc", rows], output)
        elif kind == "CONCATENATION":
            axis = self._options(operator, tflite.ConcatenationOptions).Axis()
            if len(self._shape(target)) != 3:
                raise ValueError("only flattened outputs are concatenated")
            self._node("Concat", names, output, axis=axis)
        else:
            raise ValueError(f"the operation {kind} is not converted")

    def _leaky(self, source: str, slopes: Array, output: str) -> None:
        """Write PRelu as slope x + relu((1 - slope) x), with two convolutions of one pixel and channel.

        ONNX Runtime computes these, unlike PRelu, in the memory layout of its fast convolutions: the face mesh takes
        1.05 ms instead of 2.9. For a slope above 1, slope x + (1 - slope) relu(x) is used.
        """
        count, rest = len(slopes), 1 - slopes

        def scaled(inner: str, by: Array, name: str) -> str:
            factors = self._weight(f"{name}_factors", by.reshape(count, 1, 1, 1))
            self._node("Conv", [inner, factors], name, group=count, kernel_shape=[1, 1])
            return name

        if (rest >= 0).all():
            self._node("Relu", [scaled(source, rest, f"{output}_above")], f"{output}_positive")
        else:
            self._node("Relu", [source], f"{output}_above")
            scaled(f"{output}_above", rest, f"{output}_positive")
        self._node("Add", [scaled(source, slopes, f"{output}_all"), f"{output}_positive"], output)

    def _convolution(self, operator: Any, depthwise: bool, sources: list[int], output: str) -> None:
        options = self._options(operator, tflite.DepthwiseConv2DOptions if depthwise else tflite.Conv2DOptions)
        weights = self._value(sources[1]).transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
        kernel, strides = list(weights.shape[2:]), [options.StrideH(), options.StrideW()]
        inputs = [
            self._name(sources[0]),
            self._weight(f"{output}_weights", weights),
            self._weight(f"{output}_bias", self._value(sources[2])),
        ]
        self._activated(
            "Conv",
            inputs,
            output,
            options.FusedActivationFunction(),
            kernel_shape=kernel,
            strides=strides,
            pads=self._pads(sources[0], kernel, strides, options.Padding()),
            group=len(weights) if depthwise else 1,
        )
