"""Writes a model as one ONNX file that needs no deadpan: uint8 faces in, probabilities and neutral faces out.

The file holds everything that a program in another language needs beside the pixels: conversion, softmax, names of the
expressions, and as metadata the alignment, the licence, the terms of the training data and the whole card.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from deadpan.faces.alignment import STABLE, STABLE_TEMPLATE, TEMPLATE
from deadpan.files import replacing
from deadpan.models import ModelError, card, find, released
from deadpan.onnx_runtime import open_session
from deadpan.outputs import check_file, check_folder
from deadpan.pixels import LUMA
from deadpan.prediction.model_file import STANDALONE, open_model, read_facts
from deadpan.prediction.predictor import Predictor
from deadpan.version import __version__

ENDING = ".standalone.onnx"

CLOSE = 1e-4
"""Largest allowed difference of a probability or a residue between the file and `Predictor`; 1e-6 is usual."""

BEFORE = """before (uint8[N, S, S, 3] faces) => (float image, float rest, float given) {
    half = Constant <value_float = 127.5> ()
    one = Constant <value_float = 1.0> ()
    pixels = Cast <to = 1> (faces)
    planes = Transpose <perm = [0, 3, 1, 2]> (pixels)
    doubled = Div (planes, half)
    image = Sub (doubled, one)
    rest = Identity (image)
    count = Shape <start = 0, end = 1> (faces)
    given = ConstantOfShape (count)
}"""
"""From uint8 pixels to the inputs of a network, as `to_network`; a model that compares gets no rest face."""

PROBABILITIES = """after (float logits) => (float probabilities) {
    probabilities = Softmax <axis = -1> (logits)
}"""

NEUTRAL = """after (float generated, float pixels, float one, float half) => (uint8 neutral, float residue) {
    zero = Constant <value_float = 0.0> ()
    most = Constant <value_float = 255.0> ()
    channel = Constant <value_ints = [3]> ()
    sides = Constant <value_ints = [1, 2]> ()
    raised = Add (generated, one)
    scaled = Mul (raised, half)
    whole = Round (scaled)
    clipped = Clip (whole, zero, most)
    coloured = Transpose <perm = [0, 2, 3, 1]> (clipped)
    low = ReduceMin <keepdims = 1> (pixels, channel)
    high = ReduceMax <keepdims = 1> (pixels, channel)
    colour = Sub (high, low)
    strongest = ReduceMax <keepdims = 1> (colour, sides)
    is_grey = Equal (strongest, zero)
    light = MatMul (coloured, luma)
    grey = Round (light)
    made = Where (is_grey, grey, coloured)
    neutral = Cast <to = 2> (made)
    change = Sub (pixels, made)
    size = Abs (change)
    mean = ReduceMean <keepdims = 0> (size, channel)
    residue_map = Div (mean, most)
    residue = ReduceMean <keepdims = 0> (residue_map, sides)
}"""
"""From the network's neutral face to pixels, grey where the face is grey, and to the residue, as `Predictor`."""


ENDS = {"image": "image", "rest": "rest", "given": "given", "logits": "logits", "neutral": "generated"}
"""The inputs and outputs of a model, and their names in the standalone file."""


def export_standalone(model: str | Path, out: str | Path | None = None, **options: Any) -> Path:
    """Write a model as one ONNX file that needs no deadpan, and return its path.

    `model` is the name of a released model, a model file with its card, or the folder of a finished run, which is
    exported first with the `options` of `export`. `out` is a folder or a path ending in .onnx; by default
    NAME.standalone.onnx, in the run's folder for a run and in the current folder for other models.

    The file has one input, `faces` (N, S, S, 3) uint8 RGB, aligned. Its outputs are `probabilities` (N, K),
    `expressions` (K,), their names, and for a model that generates `neutral` (N, S, S, 3) uint8, `residue` (N,) and
    `residue_map` (N, S, S), from 0 to 1. Raises ModelError for a model or card that cannot be used, OutputError if
    `out` would replace a file that deadpan did not write, and ValueError if the file does not give the results of
    `Predictor`.
    """
    source = Path(model)
    if str(model) not in released() and source.is_dir():
        from deadpan.release.export import export  # needs torch

        with TemporaryDirectory() as folder:
            path, _ = export(source, Path(folder), **options)
            return _write(path, source if out is None else Path(out), [source])
    if options:
        raise ValueError(f"{', '.join(options)}: only for a run; {model} is exported already")
    return _write(find(model), Path() if out is None else Path(out), [find(model)])


def _write(path: Path, out: Path, inputs: list[Path]) -> Path:
    facts = read_facts(open_model(path, 1), path)
    known = card(path)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != known.get("sha256"):
        raise ModelError(f"{path} is damaged, or {path.with_suffix('.json').name} is the card of another model")
    place = out if out.suffix == ".onnx" else out / f"{path.stem}{ENDING}"
    check_folder(place.parent, "--standalone")
    check_file(place, "--standalone", is_standalone, inputs, "a folder, or the name of an .onnx file")
    model = standalone(onnx.load_from_string(content), facts)
    for key, value in describe(facts, known).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(model, full_check=True)
    data = model.SerializeToString(deterministic=True)
    check_same(data, Predictor(path), place)
    with replacing(place) as partial:
        partial.write_bytes(data)
    return place


def standalone(model: onnx.ModelProto, facts: Mapping[str, Any]) -> onnx.ModelProto:
    """Put the conversion of pixels before a model's graph and that of its results behind it.

    Explanations, and whatever only they need, are left out.
    """
    graph, size, count = model.graph, facts["image_size"], len(facts["expressions"])
    for node in graph.node:
        for ends in (node.input, node.output):
            ends[:] = [_inside(name) for name in ends]
    for weight in graph.initializer:
        weight.name = _inside(weight.name)
    parts = [BEFORE, PROBABILITIES, *([NEUTRAL] if facts["generates"] else [])]
    before, *after = (list(onnx.parser.parse_graph(text).node) for text in parts)
    names = helper.make_node("Constant", [], ["expressions"], value_strings=list(facts["expressions"]))
    nodes = [*before, *graph.node, *(node for part in after for node in part), names]
    outputs: dict[str, tuple[int, list[str | int]]] = {
        "probabilities": (TensorProto.FLOAT, ["N", count]),
        "expressions": (TensorProto.STRING, [count]),
    }
    weights = list(graph.initializer)
    if facts["generates"]:
        outputs["neutral"] = (TensorProto.UINT8, ["N", size, size, 3])
        outputs["residue"] = (TensorProto.FLOAT, ["N"])
        outputs["residue_map"] = (TensorProto.FLOAT, ["N", size, size])
        weights.append(helper.make_tensor("luma", TensorProto.FLOAT, [3, 1], LUMA))
    nodes = _needed(nodes, set(outputs))
    used = {name for node in nodes for name in node.input}
    made = helper.make_graph(
        nodes,
        f"{facts['name']}_standalone",
        [helper.make_tensor_value_info("faces", TensorProto.UINT8, ["N", size, size, 3])],
        [helper.make_tensor_value_info(name, *kind) for name, kind in outputs.items()],
        [weight for weight in weights if weight.name in used],
    )
    return helper.make_model(
        made,
        opset_imports=model.opset_import,
        ir_version=model.ir_version,
        functions=model.functions,
        producer_name="deadpan",
        producer_version=__version__,
    )


def _inside(name: str) -> str:
    """The new name of a value of the model's graph, which differs from all names before and behind that graph."""
    return ENDS.get(name, f"model/{name}" if name else "")


def _needed(nodes: list[onnx.NodeProto], outputs: set[str]) -> list[onnx.NodeProto]:
    """The nodes, in their order, on which the outputs depend."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= set(node.input)
            kept.append(node)
    return kept[::-1]


def describe(facts: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, str]:
    """The metadata of a standalone file, all of it text, from the description and the card of the model.

    `alignment` says where points of the face lie in an aligned face, as fractions (x, y) of its side: points of the
    468 of MediaPipe's face mesh, or eye centres, nose tip and mouth corners.
    """
    if facts["alignment"] == "mesh":
        alignment: dict[str, Any] = {"mesh_points": list(STABLE), "template": STABLE_TEMPLATE.tolist()}
    else:
        alignment = {"points": "eye centres, nose tip, mouth corners", "template": TEMPLATE.tolist()}
    terms = dict.fromkeys(f"{each['dataset']}: {each['terms']}" for each in known.get("data", []))
    return {
        STANDALONE: "1",
        "name": facts["name"],
        "method": facts["method"],
        "expressions": ",".join(facts["expressions"]),
        "image_size": str(facts["image_size"]),
        "alignment": json.dumps(alignment),
        "licence": known.get("licence", ""),
        "terms": "\n".join(terms),
        "use": json.dumps(known.get("use", {})),
        "card": json.dumps(known),
    }


def check_same(data: bytes, predictor: Predictor, path: Path) -> None:
    """Raise ValueError unless the file gives the results of the Predictor, for random faces of which one is grey."""
    side = predictor.image_size
    faces = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), dtype=np.uint8)
    faces[1] = faces[1, ..., :1]
    expected = predictor.predict_faces(faces)
    session = open_session(data, rearrange=True)
    answers = dict(zip((node.name for node in session.get_outputs()), session.run(None, {"faces": faces}), strict=True))
    worst = float(np.abs(answers["probabilities"] - expected.probabilities).max())
    if expected.neutral is not None:
        steps = np.abs(answers["neutral"].astype(int) - expected.neutral)
        worst = max(worst, float(steps.mean()) / 255, float(steps.max() > 1))  # rounding may differ by one step
    if worst > CLOSE:
        raise ValueError(f"{path.name} differs from its model by {worst:.2g}, more than {CLOSE}")


def is_standalone(path: Path) -> bool:
    """Whether the file is an ONNX model that `export_standalone` wrote."""
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception:  # protobuf's error is private, and a file that cannot be opened is not ours either
        return False
    return any(each.key == STANDALONE for each in model.metadata_props)
