"""Photograph -> faces with five landmarks, by any of three detectors; their own types stop here.

Landmarks are (x, y) in pixels with whole numbers at pixel centres (OpenCV's convention); boxes are (left, top, right,
bottom) in pixels. Faces come in reading order of their left edge.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from deadpan.faces.alignment import TEMPLATE, crop_alignment, margin_size
from deadpan.faces.photographs import check_photograph
from deadpan.pixels import RGB

CONFIDENCE = 0.6
"""Least detector score. With yuface 0.6 found all 71 faces of 66 photographs (old plates, studio portraits) and a face
in each of 1,500 news pictures, one of them with a second box; 60 portraits with the head painted over gave none."""

LONGEST_SIDE = 640
"""Photographs are scaled down to this many pixels for detection, never up: enlarging 300 news pictures of 176 pixels to
640 lost 32 faces and added 5 false ones at a score of 0.6."""

MAX_DETECTOR_SIDE = 16_000  # yuface answers in 16-bit coordinates, the upper half of which stand for negative ones


@dataclass(frozen=True, eq=False)
class Face:
    """One face in a photograph."""

    box: tuple[float, float, float, float]  # left, top, right, bottom in pixels, inside the photograph
    score: float  # the detector's confidence, 0..1
    landmarks: NDArray[np.float32]  # (5, 2) in the order of TEMPLATE; may lie outside where the border cuts the face


class Detector(Protocol):
    """Anything that finds faces in an (H, W, 3) uint8 RGB photograph."""

    def __call__(self, photograph: RGB) -> list[Face]:
        """The faces, sorted by their left edge; empty when there is none."""


class YuFace:
    """libfacedetection, compiled into the package yuface (BSD licence, nothing to download)."""

    def __init__(self, longest_side: int | None = LONGEST_SIDE, confidence: float = CONFIDENCE) -> None:
        """`longest_side` in pixels is what larger photographs are scaled down to; None: not at all (small faces)."""
        _check_options(longest_side, confidence)
        self.longest_side = longest_side
        self.confidence = confidence
        with _one_openmp_thread():
            import yuface
        self._detect = yuface.detect

    def __call__(self, photograph: RGB) -> list[Face]:
        """Find the faces of an (H, W, 3) uint8 RGB photograph, sorted by their left edge."""
        picture, scale = _scaled(photograph, self.longest_side)
        bgr = np.ascontiguousarray(picture[..., ::-1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns about time from 960 pixels on; that was asked for
            scores, boxes, points = self._detect(bgr, 0.0)
        # Some builds of it return uint16, where a face cut by the left or top border wraps below 0 to 65530 or so.
        boxes, points = boxes.astype(np.int16).astype(np.float64), points.astype(np.int16).astype(np.float64)
        scores = scores.astype(np.float64) / 100
        found = [
            _face(box, score, landmarks.reshape(5, 2), scale, photograph)
            for box, score, landmarks in zip(boxes, scores, points, strict=True)
            if score >= self.confidence
        ]
        return _sorted(found)


class FaceDetectorYN:
    """OpenCV's FaceDetectorYN with the user's own model file (YuNet's .onnx)."""

    def __init__(
        self, model: str | Path, longest_side: int | None = LONGEST_SIDE, confidence: float = CONFIDENCE
    ) -> None:
        """Load the model file; ValueError when it is missing or OpenCV cannot use it."""
        _check_options(longest_side, confidence)
        if not Path(model).is_file():
            raise ValueError(f"{model}: no such detector model; expected a YuNet .onnx file")
        self.longest_side = longest_side
        try:
            self._detector = cv2.FaceDetectorYN.create(str(model), "", (320, 320), confidence)
            self._raw(np.zeros((320, 320, 3), dtype=np.uint8))  # a foreign network only fails when it runs
        except cv2.error as error:
            raise ValueError(
                f"{model}: OpenCV cannot use it as a face detector; expected a YuNet .onnx file"
            ) from error

    def _raw(self, bgr: RGB) -> NDArray[np.float64]:
        self._detector.setInputSize((bgr.shape[1], bgr.shape[0]))
        rows = self._detector.detect(bgr)[1]
        return np.zeros((0, 15)) if rows is None else np.asarray(rows, dtype=np.float64)

    def __call__(self, photograph: RGB) -> list[Face]:
        """Find the faces of an (H, W, 3) uint8 RGB photograph, sorted by their left edge."""
        picture, scale = _scaled(photograph, self.longest_side)
        rows = self._raw(np.ascontiguousarray(picture[..., ::-1]))
        return _sorted([_face(row[:4], row[14], row[4:14].reshape(5, 2), scale, photograph) for row in rows])


class WholePicture:
    """For pictures that are face crops already: the one face is the whole picture, and `align` equals `align_crop`."""

    def __call__(self, photograph: RGB) -> list[Face]:
        """One face of score 1 whose landmarks are TEMPLATE laid onto the picture."""
        height, width = photograph.shape[:2]
        size = 64  # any: the landmarks in the picture do not depend on it
        matrix = crop_alignment(height, width, size)
        target = TEMPLATE * size + (margin_size(size) - size) // 2 - 0.5
        landmarks = (target - matrix[:, 2]) / matrix[0, 0]
        return [Face((0.0, 0.0, float(width), float(height)), 1.0, landmarks.astype(np.float32))]


def make_detector(
    name: str | Path = "yuface", longest_side: int | None = LONGEST_SIDE, confidence: float = CONFIDENCE
) -> Detector:
    """The detector of that name: "yuface", "none" (pictures are crops already) or the path of a YuNet .onnx file."""
    if name == "yuface":
        return YuFace(longest_side, confidence)
    if name == "none":
        return WholePicture()
    if Path(name).suffix == ".onnx":
        return FaceDetectorYN(name, longest_side, confidence)
    raise ValueError(f"unknown detector {str(name)!r}; expected yuface, none or the path of a YuNet .onnx file")


def _check_options(longest_side: int | None, confidence: float) -> None:
    if longest_side is not None and not 16 <= longest_side <= MAX_DETECTOR_SIDE:
        raise ValueError(f"longest side must be 16 to {MAX_DETECTOR_SIDE} pixels, got {longest_side}")
    if not 0 <= confidence <= 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}")


@contextmanager
def _one_openmp_thread() -> Iterator[None]:
    """Let yuface's private OpenMP library start with one thread, and leave the process as it was.

    With more it spins against everything else on the machine: 113 ms a photograph instead of 44 on two cores.
    """
    name = "OMP_NUM_THREADS"
    unset = name not in os.environ
    if unset:
        os.environ[name] = "1"  # read once, when the library is loaded
    try:
        yield
    finally:
        if unset:
            del os.environ[name]


def _scaled(photograph: RGB, longest_side: int | None) -> tuple[RGB, NDArray[np.float64]]:
    """The photograph at the detector's size, and (x, y) factors from its pixels to those of the result."""
    check_photograph(photograph)
    height, width = photograph.shape[:2]
    longest = min(longest_side or max(height, width), MAX_DETECTOR_SIDE)
    factor = longest / max(height, width)
    if factor >= 1:
        return photograph, np.ones(2)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    resized = np.asarray(cv2.resize(photograph, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return resized, np.array([size[0] / width, size[1] / height])


def _face(
    box: NDArray[np.float64], score: float, points: NDArray[np.float64], scale: NDArray[np.float64], photograph: RGB
) -> Face:
    """A Face in pixels of the photograph from (x, y, width, height) and points in pixels of the scaled one."""
    height, width = photograph.shape[:2]
    corners = np.array([box[:2], box[:2] + box[2:]]) / scale
    corners = np.clip(corners, 0, [width, height])
    landmarks = (points + 0.5) / scale - 0.5
    left, top, right, bottom = (float(value) for value in corners.ravel())
    return Face((left, top, right, bottom), float(score), landmarks.astype(np.float32))


def _sorted(faces: list[Face]) -> list[Face]:
    """By left edge, then top; without those whose box or landmarks have no extent."""
    usable = [
        face
        for face in faces
        if face.box[2] > face.box[0] and face.box[3] > face.box[1] and np.ptp(face.landmarks, axis=0).min() > 0
    ]
    return sorted(usable, key=lambda face: face.box[:2])
