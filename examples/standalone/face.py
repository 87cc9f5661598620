"""Reads one aligned face with a model of `deadpan export --standalone`, with numpy and onnxruntime alone.

    python face.py MODEL.onnx FACE.rgb NEUTRAL.rgb

FACE.rgb holds the bytes of an aligned face, S x S pixels in RGB order; NEUTRAL.rgb receives the neutral face.
"""

import sys

import numpy as np
import onnxruntime

model, face, neutral = sys.argv[1:]
session = onnxruntime.InferenceSession(model)
size = int(session.get_modelmeta().custom_metadata_map["image_size"])
faces = np.fromfile(face, np.uint8).reshape(1, size, size, 3)
outputs = ["expressions", "probabilities", "neutral", "residue"]
expressions, probabilities, made, residue = session.run(outputs, {"faces": faces})
for name, probability in zip(expressions, probabilities[0], strict=True):
    print(f"{name} {probability:.6f}")
print(f"residue {residue[0]:.6f}")
made.tofile(neutral)
