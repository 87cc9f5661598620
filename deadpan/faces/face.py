"""The types of a detected face and of a face detector.

Landmarks are (x, y) in pixels with whole numbers at pixel centres (OpenCV's convention); boxes are (left, top, right,
bottom) in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deadpan.pixels import RGB


@dataclass(frozen=True, eq=False)
class Face:
    """One detected face. All coordinates are in pixels of the photograph, also if the face is rotated."""

    box: tuple[float, float, float, float]  # left, top, right, bottom in pixels, inside the photograph
    score: float  # the detector's confidence, 0..1
    landmarks: NDArray[np.float32]  # (5, 2) in the order of TEMPLATE; outside the photograph if its border cuts them
    mesh: NDArray[np.float32] | None = None  # (468, 3) x, y and depth; None if the detector reads no mesh
    is_crop: bool = False  # whether the photograph was passed as a crop of this face, without detection


class Detector(Protocol):
    """A function that finds the faces in an (H, W, 3) uint8 RGB photograph."""

    def __call__(self, photograph: RGB) -> list[Face]:
        """Return the faces, sorted by their left edge; an empty list if there is none."""


def in_reading_order(faces: list[Face]) -> list[Face]:
    """Sort faces by left edge, then top, and drop those whose box or landmarks have no extent."""
    usable = [
        face
        for face in faces
        if face.box[2] > face.box[0] and face.box[3] > face.box[1] and np.ptp(face.landmarks, axis=0).min() > 0
    ]
    return sorted(usable, key=lambda face: face.box[:2])
