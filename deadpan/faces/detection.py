"""Photograph -> faces with five landmarks, by any of several detectors, all of which return the same type, Face."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deadpan.faces.alignment import TEMPLATE, crop_alignment, margin_size, similarity
from deadpan.faces.cascade import Cascade
from deadpan.faces.face import Detector, Face, in_reading_order
from deadpan.faces.networks import find_blazeface, find_centerface
from deadpan.faces.photographs import check_photograph
from deadpan.pixels import RGB

DEFAULT_DETECTOR = "centerface"

CONFIDENCE = 0.5
"""Least score of a detected face. The lowest score of 738 faces (old prints, studio portraits, news pictures) was 0.62.
In 739 pictures whose face was painted over, three boxes reached 0.5; the face mesh rejected all three."""

LONGEST_SIDE = 640
"""Photographs with a longer side than this, in pixels, are scaled down for detection."""

MAX_SIDE = 16_000

YUNET_TEMPLATE: NDArray[np.float64] = np.array(
    [[0.301, 0.3666], [0.699, 0.3666], [0.5, 0.603], [0.340, 0.768], [0.660, 0.768]]
)
"""Positions of YuNet's landmarks in an aligned face, in the units of TEMPLATE: the medians over 1,452 FER+ crops, made
symmetric. They were measured with libfacedetection, which contains the same network."""


class FaceDetectorYN:
    """OpenCV's FaceDetectorYN with the user's own model file (YuNet's .onnx).

    YuNet's landmarks differ from those of the face mesh by a constant offset, which is subtracted.
    """

    def __init__(
        self, model: str | Path, longest_side: int | None = LONGEST_SIDE, confidence: float = CONFIDENCE
    ) -> None:
        """Load the model file; ValueError if it is missing or OpenCV cannot use it, or if an option is out of range."""
        _check_options(longest_side, confidence)
        if not Path(model).is_file():
            raise ValueError(f"{model}: no such detector model; expected a YuNet .onnx file")
        self.longest_side = longest_side
        self._one_at_a_time = threading.Lock()  # OpenCV's detector stores the size of the picture it reads next
        try:
            self._detector = cv2.FaceDetectorYN.create(str(model), "", (320, 320), confidence)
            self._raw(np.zeros((320, 320, 3), dtype=np.uint8))  # another network fails only when it runs
        except cv2.error as error:
            raise ValueError(
                f"{model}: OpenCV cannot use it as a face detector; expected a YuNet .onnx file"
            ) from error

    def _raw(self, bgr: RGB) -> NDArray[np.float64]:
        with self._one_at_a_time:
            self._detector.setInputSize((bgr.shape[1], bgr.shape[0]))
            rows = self._detector.detect(bgr)[1]
        return np.zeros((0, 15)) if rows is None else np.asarray(rows, dtype=np.float64)

    def __call__(self, photograph: RGB) -> list[Face]:
        """Find the faces of an (H, W, 3) uint8 RGB photograph, sorted by their left edge.

        Raises PhotographError for another array.
        """
        picture, scale = _scaled(photograph, self.longest_side)
        rows = self._raw(np.ascontiguousarray(picture[..., ::-1]))
        rows = rows[[np.ptp(row[4:14].reshape(5, 2), axis=0).min() > 0 for row in rows]]
        return in_reading_order([_face(row[:4], row[14], row[4:14].reshape(5, 2), scale, photograph) for row in rows])


class WholePicture:
    """A detector for pictures that are already face crops: it returns the whole picture as one face.

    `align` with that face's landmarks gives the same result as `align_crop`.
    """

    def __call__(self, photograph: RGB) -> list[Face]:
        """One face of score 1 whose landmarks are those of TEMPLATE, scaled to the picture."""
        height, width = photograph.shape[:2]
        size = 64  # any size gives the same landmarks
        matrix = crop_alignment(height, width, size)
        target = TEMPLATE * size + (margin_size(size) - size) // 2 - 0.5
        landmarks = (target - matrix[:, 2]) / matrix[0, 0]
        return [Face((0.0, 0.0, float(width), float(height)), 1.0, landmarks.astype(np.float32), is_crop=True)]


def make_detector(
    name: str | Path = DEFAULT_DETECTOR, longest_side: int | None = LONGEST_SIDE, confidence: float = CONFIDENCE
) -> Detector:
    """Build a face detector by name, or from the path of a YuNet .onnx file.

    "centerface" finds faces of any size. "blazeface" finds large faces only; it was trained on Google's own pictures
    only. "none" is for pictures that are already face crops. Photographs whose longer side has more than
    `longest_side` pixels (16 to 16,000) are scaled down; None keeps their size, so that small faces are found too.
    `confidence`, in 0..1, is the least score of a face. Raises ValueError for an unknown name, a file that is missing
    or not a detector, and an option out of range.
    """
    _check_options(longest_side, confidence)
    if name == "centerface":
        return Cascade(find_centerface, longest_side, confidence)
    if name == "blazeface":
        return Cascade(find_blazeface, longest_side, confidence)
    if name == "none":
        return WholePicture()
    if Path(name).suffix == ".onnx":
        return FaceDetectorYN(name, longest_side, confidence)
    known = "centerface, blazeface, none or the path of a YuNet .onnx file"
    raise ValueError(f"unknown detector {str(name)!r}; expected {known}")


def _check_options(longest_side: int | None, confidence: float) -> None:
    if longest_side is not None and not 16 <= longest_side <= MAX_SIDE:
        raise ValueError(f"longest side must be 16 to {MAX_SIDE} pixels, got {longest_side}")
    if not 0 <= confidence <= 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}")


def _scaled(photograph: RGB, longest_side: int | None) -> tuple[RGB, NDArray[np.float64]]:
    """Scale the photograph down for detection; also return the (x, y) factors from its pixels to the result's."""
    check_photograph(photograph)
    height, width = photograph.shape[:2]
    longest = min(longest_side or max(height, width), MAX_SIDE)
    factor = longest / max(height, width)
    if factor >= 1:
        return photograph, np.ones(2)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    resized = np.asarray(cv2.resize(photograph, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return resized, np.array([size[0] / width, size[1] / height])


def _face(
    box: NDArray[np.float64], score: float, points: NDArray[np.float64], scale: NDArray[np.float64], photograph: RGB
) -> Face:
    """A Face in pixels of the photograph, from a box (x, y, width, height) and points in pixels of the scaled one."""
    height, width = photograph.shape[:2]
    corners = np.array([box[:2], box[:2] + box[2:]]) / scale
    corners = np.clip(corners, 0, [width, height])
    landmarks = (points + 0.5) / scale - 0.5
    onto = similarity(YUNET_TEMPLATE, landmarks)
    landmarks = landmarks + (TEMPLATE - YUNET_TEMPLATE) @ onto[:, :2].T
    left, top, right, bottom = (float(value) for value in corners.ravel())
    return Face((left, top, right, bottom), float(score), landmarks.astype(np.float32))
