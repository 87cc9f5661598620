"""Photograph -> expression, probabilities and the neutral face of everyone in it, on ONNX Runtime, without torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from deadpan.expressions import check_expressions
from deadpan.faces import (
    CONFIDENCE,
    LONGEST_SIDE,
    Face,
    PhotographError,
    WholePicture,
    align,
    centre,
    check_photograph,
    make_detector,
    read_photograph,
)
from deadpan.models import ModelError, find

__all__ = ["FaceResult", "ModelError", "PhotographResult", "Predictor", "Recognition", "load"]

DEFAULT_MODEL = "derl"
FORMAT = 1
BATCH = 64
"""Faces per run of the network: more is no faster on a CPU and only takes memory."""

RGB = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class FaceResult:
    """What was read from one face; S is the side of what the model sees."""

    box: tuple[float, float, float, float]  # left, top, right, bottom in pixels of the photograph
    score: float  # the detector's confidence, 0..1
    landmarks: NDArray[np.float32]  # (5, 2) eyes, nose tip, mouth corners in pixels of the photograph
    expression: str  # the most probable one
    probabilities: dict[str, float]  # of each of the model's expressions; sum to 1
    aligned: RGB  # (S, S, 3)
    neutral: RGB | None  # (S, S, 3) the same person without expression; None where the model makes none
    residue: float | None  # mean of residue_map, 0..1; None where the model makes no neutral face
    residue_map: NDArray[np.float32] | None  # (S, S) absolute difference of aligned and neutral, 0..1

    def as_json(self) -> dict[str, Any]:
        """Everything but the pixels, in plain types; see docs/output.md."""
        return {
            "box": [round(value, 1) for value in self.box],
            "score": round(self.score, 4),
            "landmarks": [[round(float(x), 1), round(float(y), 1)] for x, y in self.landmarks],
            "expression": self.expression,
            "probabilities": {name: round(value, 6) for name, value in self.probabilities.items()},
            "residue": None if self.residue is None else round(self.residue, 6),
        }


@dataclass(frozen=True)
class PhotographResult:
    """What was read from one file: its faces from left to right, or the error that kept it from being read."""

    path: str
    width: int = 0  # pixels, upright; 0 where the file could not be read
    height: int = 0
    faces: list[FaceResult] = field(default_factory=list)
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The line of `deadpan predict --json`; see docs/output.md."""
        return {
            "path": self.path,
            "width": self.width,
            "height": self.height,
            "faces": [face.as_json() for face in self.faces],
            "error": self.error,
        }


class Recognition(NamedTuple):
    """The model's answer to N aligned faces."""

    probabilities: NDArray[np.float64]  # (N, K) over the model's expressions, rows sum to 1
    neutral: RGB | None  # (N, S, S, 3); None where the model makes no neutral face


class Predictor:
    """A model with a face detector, ready to read photographs."""

    def __init__(
        self,
        model: str | Path = DEFAULT_MODEL,
        detector: str | Path = "yuface",
        longest_side: int | None = LONGEST_SIDE,
        confidence: float = CONFIDENCE,
        threads: int = 1,
    ) -> None:
        """Load a released model by name or a model file, with a detector as `make_detector` takes it.

        `threads` is for the network alone. Raises ModelError for the model, ValueError for the rest.
        """
        if threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}")
        self.path = find(model)
        self._session = _open_session(self.path, threads)
        facts = _read_facts(self._session, self.path)
        self.name: str = facts["name"]
        self.method: str = facts["method"]
        self.expressions: tuple[str, ...] = facts["expressions"]
        self.image_size: int = facts["image_size"]
        self.generates: bool = facts["generates"]
        self.detector = make_detector(detector, longest_side, confidence)

    def predict(self, photograph: RGB | str | Path | bytes) -> list[FaceResult]:
        """Read every face of a photograph, from left to right; no face is an empty list.

        Takes a file, its bytes or (H, W, 3) uint8 RGB. Raises PhotographError for what cannot be read.
        """
        pixels = _pixels(photograph)
        return self._results(pixels, self.detector(pixels))

    def predict_crop(self, photograph: RGB | str | Path | bytes) -> FaceResult:
        """Read a picture that is a face crop already, without looking for a face in it."""
        pixels = _pixels(photograph)
        return self._results(pixels, WholePicture()(pixels))[0]

    def predict_faces(self, aligned: RGB) -> Recognition:
        """Read aligned faces, (N, S, S, 3) uint8 RGB with S = image_size, in batches."""
        size = self.image_size
        if aligned.ndim != 4 or aligned.shape[1:] != (size, size, 3) or aligned.dtype != np.uint8:
            expected = f"expected aligned faces (N, {size}, {size}, 3) uint8"
            raise ValueError(f"{expected}, got {aligned.shape} {aligned.dtype}; deadpan.faces.align makes them")
        if not len(aligned):
            return Recognition(np.zeros((0, len(self.expressions))), aligned if self.generates else None)
        parts = [self._run(aligned[start : start + BATCH]) for start in range(0, len(aligned), BATCH)]
        neutral = (
            np.concatenate([part.neutral for part in parts if part.neutral is not None]) if self.generates else None
        )
        return Recognition(np.concatenate([part.probabilities for part in parts]), neutral)

    def predict_files(self, paths: Iterable[str | Path]) -> Iterator[PhotographResult]:
        """Read files one after the other; one that cannot be read is reported in its result, not raised."""
        for path in paths:
            try:
                pixels = read_photograph(path)
            except PhotographError as error:
                reason = str(error).removeprefix(f"{path}: ")
                yield PhotographResult(str(path), error=reason)
                continue
            height, width = pixels.shape[:2]
            yield PhotographResult(str(path), width, height, self.predict(pixels))

    def _run(self, aligned: RGB) -> Recognition:
        image = np.ascontiguousarray(aligned.transpose(0, 3, 1, 2), dtype=np.float32) / 127.5 - 1  # (N, 3, S, S)
        names = ["logits", "neutral"] if self.generates else ["logits"]
        logits, *rest = self._session.run(names, {"image": image})
        powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))  # (N, K)
        probabilities = powers / powers.sum(axis=1, keepdims=True)
        if not rest:
            return Recognition(probabilities, None)
        neutral = np.clip(np.rint((rest[0] + 1) * 127.5), 0, 255).astype(np.uint8)  # (N, 3, S, S)
        return Recognition(probabilities, np.ascontiguousarray(neutral.transpose(0, 2, 3, 1)))

    def _results(self, photograph: RGB, faces: list[Face]) -> list[FaceResult]:
        if not faces:
            return []
        size = self.image_size
        aligned = np.stack([centre(align(photograph, face.landmarks, size), size) for face in faces])  # (N, S, S, 3)
        probabilities, neutral = self.predict_faces(aligned)
        pictures = [None] * len(faces) if neutral is None else list(neutral)
        return [self._result(*row) for row in zip(faces, probabilities, aligned, pictures, strict=True)]

    def _result(self, face: Face, probabilities: NDArray[np.float64], aligned: RGB, neutral: RGB | None) -> FaceResult:
        residue_map = None
        if neutral is not None:
            difference = np.abs(aligned.astype(np.float32) - neutral.astype(np.float32))  # (S, S, 3)
            residue_map = difference.mean(axis=2, dtype=np.float32) / np.float32(255)  # (S, S)
        return FaceResult(
            box=face.box,
            score=face.score,
            landmarks=face.landmarks,
            expression=self.expressions[int(probabilities.argmax())],
            probabilities=dict(zip(self.expressions, probabilities.tolist(), strict=True)),
            aligned=aligned,
            neutral=neutral,
            residue=None if residue_map is None else float(residue_map.mean()),
            residue_map=residue_map,
        )


def load(model: str | Path = DEFAULT_MODEL, **options: Any) -> Predictor:
    """A Predictor for a released model's name or a model file; options are those of Predictor."""
    return Predictor(model, **options)


def _pixels(photograph: RGB | str | Path | bytes) -> RGB:
    if not isinstance(photograph, np.ndarray):
        return read_photograph(photograph)
    check_photograph(photograph)
    return photograph


def _open_session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Rearranging the graph at load gains nothing here (13.5 to 15.6 ms a face through a half-width DeRL, either way)
    # and costs time and memory: loaded in .14 s instead of .25, in 120 MB instead of 220.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4  # what is wrong with a model is said once, by ModelError
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises one private class for each kind of damage
        raise ModelError(f"{path} is damaged or not an ONNX model: {str(error).splitlines()[0]}") from error


def _read_facts(session: onnxruntime.InferenceSession, path: Path) -> dict[str, Any]:
    """The model's own description, checked against its inputs and outputs (ModelError)."""
    text = session.get_modelmeta().custom_metadata_map.get("deadpan")
    if text is None:
        raise ModelError(f"{path} is an ONNX model, but not one of deadpan's: it carries no 'deadpan' description")
    try:
        facts = json.loads(text)
        if facts["format"] != FORMAT:
            raise ModelError(
                f"{path} has format {facts['format']}, this deadpan reads format {FORMAT}; upgrade deadpan"
            )
        facts["expressions"] = check_expressions(facts["expressions"])
        facts = {key: facts[key] for key in ("name", "method", "expressions", "image_size", "generates")}
    except ModelError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} carries a 'deadpan' description that cannot be read: {error!r}") from error
    size, count = facts["image_size"], len(facts["expressions"])
    got = {node.name: node.shape[1:] for node in (*session.get_inputs(), *session.get_outputs())}
    expected = {"image": [3, size, size], "logits": [count], "neutral": [3, size, size]}
    if not facts["generates"]:
        got.setdefault("neutral", expected["neutral"])
    if any(got.get(name) != shape for name, shape in expected.items()):
        raise ModelError(f"{path} does not fit its own description: expected (N, ...) of {expected}, got {got}")
    return facts
